//! The facts that the adapter of a device tells: by limits, features, its name or the name of its driver.

use super::context::Context;
use crate::kernel::Caps;
use crate::kernel::caps::LLVMPIPE_ITERATIONS;
use wgpu::{DownlevelFlags, Features};

/// Returns the facts that a device's limits, its features and its driver's name tell.
pub(super) fn told(adapter: &wgpu::Adapter, device: &wgpu::Device) -> Caps {
    let (limits, features, info) = (device.limits(), device.features(), &adapter.get_info());
    Caps {
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        max_texture: limits.max_texture_dimension_2d,
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        params_alignment: limits.min_uniform_buffer_offset_alignment.max(limits.min_storage_buffer_offset_alignment),
        units: super::units::units(info),
        registers: registers(info),
        max_loop_iterations: if is_llvmpipe(info) { LLVMPIPE_ITERATIONS } else { u32::MAX },
        subgroup_sizes: features
            .contains(Features::SUBGROUP)
            .then_some([info.subgroup_min_size, info.subgroup_max_size]),
        f16: features.contains(Features::SHADER_F16),
        packs_f16: adapter.get_downlevel_capabilities().flags.contains(DownlevelFlags::SHADER_F16_IN_F32),
        ..Caps::portable()
    }
}

/// Returns the further facts expected of this driver, which the probe must confirm. Textures and workgroup memory were
/// measured on Mesa's llvmpipe with vectors of eight numbers, and nowhere else.
pub(super) fn expected(context: &Context) -> Option<Caps> {
    let (caps, info) = (context.caps(), context.info());
    let measured = is_llvmpipe(info) && caps.subgroup_sizes == Some([8; 2]);
    let textures = context.device().limits().max_storage_textures_per_shader_stage >= 4;
    (measured && textures).then(|| Caps {
        fast_textures: true,
        zero_outside_textures: true,
        fast_workgroup_memory: false,
        ..caps.clone()
    })
}

/// Returns the registers of an invocation: 128 are assumed for Apple and Intel. No device was asked.
fn registers(info: &wgpu::AdapterInfo) -> u32 {
    let few = ["Apple", "Intel"].iter().any(|maker| info.name.contains(maker));
    if few { 128 } else { Caps::portable().registers }
}

/// Returns true if the driver compiles a shader at its first dispatch, and keeps the instructions on disk.
pub(super) fn compiles_late(info: &wgpu::AdapterInfo) -> bool {
    is_llvmpipe(info)
}

/// Returns true if the driver compiles a shader anew for the numbers in its uniforms, at every dispatch, wherever loops
/// whose ends they tell become straight code. Seen in Mesa 22.3: 2 to 10 ms a dispatch.
pub(super) fn compiles_for_uniforms(info: &wgpu::AdapterInfo) -> bool {
    is_llvmpipe(info)
}

fn is_llvmpipe(info: &wgpu::AdapterInfo) -> bool {
    info.name.contains("llvmpipe") || info.driver.contains("llvmpipe")
}
