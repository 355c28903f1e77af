//! Facts about a device that WebGPU doesn't report: known by the driver's name, or found by a small dispatch.

use super::context::Context;
use super::memory::{Memory, buffer, texture, upload};
use super::pipeline::{Key, Kind, group, pipelines};
use crate::error::{ErrorKind, Result};
use crate::kernel::Caps;
use crate::kernel::Shader;
use crate::kernel::caps::LLVMPIPE_ITERATIONS;
use crate::kernel::shader::shader;
use futures::channel::oneshot;
use wgpu::{BufferUsages, DownlevelFlags, Features, TextureUsages};

/// The size of the probe's textures, in texels.
const WIDTH: u32 = 8;
const ROWS: u32 = 4;

/// Returns the shader of [`Context::probed`].
pub(crate) fn probe() -> Shader {
    shader!("probe_facts", "index")
}

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
        uniform_alignment: limits.min_uniform_buffer_offset_alignment,
        units: super::units::units(info),
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
fn expected(context: &Context) -> Option<Caps> {
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

fn is_llvmpipe(info: &wgpu::AdapterInfo) -> bool {
    info.name.contains("llvmpipe") || info.driver.contains("llvmpipe")
}

impl Context {
    /// Returns the same device with facts that WebGPU doesn't report, if a small dispatch confirms them. On Mesa's
    /// llvmpipe these facts enable kernels that are several times as fast. On other drivers it returns this context.
    ///
    /// The probe submits to the queue and waits; [`Context::from_wgpu`] does neither. Sessions of the new context also
    /// submit and wait while they upload weights.
    pub async fn probed(self) -> Result<Context> {
        let Some(caps) = expected(&self) else { return Ok(self) };
        let name = &self.info().name;
        match confirmed(&self).await {
            Ok(true) => return Ok(self.with_facts(caps)),
            Ok(false) => log::warn!("{name}: textures or subgroups don't work as expected, the portable kernels serve"),
            Err(error) => log::warn!("{name}: the probe of its facts failed ({error}), the portable kernels serve"),
        }
        Ok(self)
    }
}

/// Runs the probe twice, from one texture to another and back, and returns true if all facts hold.
async fn confirmed(context: &Context) -> Result<bool> {
    let usage = TextureUsages::COPY_DST;
    let views: Vec<_> = (0..2).map(|_| texture(context, "facts", WIDTH, ROWS, usage)).collect::<Result<_>>()?;
    let zeros = vec![0; (16 * WIDTH * ROWS) as usize];
    let size = wgpu::Extent3d { width: WIDTH, height: ROWS, depth_or_array_layers: 1 };
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(16 * WIDTH), rows_per_image: None };
    context.checked(|| context.queue().write_texture(views[0].0.as_image_copy(), &zeros, layout, size))?;
    let views: Vec<Memory> = views.into_iter().map(|(_, view)| Memory::Texture(view)).collect();
    let params = upload(context, "facts", bytemuck::bytes_of(&[ROWS, 0, 0, 0]), BufferUsages::UNIFORM)?;
    let bytes = u64::from(16 * WIDTH);
    let results = buffer(context, "facts", bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC)?;
    let download = buffer(context, "facts", bytes, BufferUsages::COPY_DST | BufferUsages::MAP_READ)?;
    let kinds = vec![Kind::Params(16), Kind::TextureRead, Kind::Write, Kind::TextureWrite];
    let wanted: Key = (probe(), kinds);
    let pipeline = pipelines(context, &[wanted])?.swap_remove(0);
    let bound = |from: &Memory, to: &Memory| {
        let resources = [params.as_entire_binding(), from.binding(0, 0), results.as_entire_binding(), to.binding(0, 0)];
        group(context, None, &pipeline.layout, resources)
    };
    let groups = [bound(&views[0], &views[1])?, bound(&views[1], &views[0])?];
    let mut encoder = context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline.pipeline);
    for group in &groups {
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    drop(pass);
    encoder.copy_buffer_to_buffer(&results, 0, &download, 0, None);
    let submission = context.queue().submit([encoder.finish()]);
    let (sender, mapped) = oneshot::channel();
    download.map_async(wgpu::MapMode::Read, .., move |result| {
        // The receiver is gone if the caller dropped this future.
        let _unheard = sender.send(result);
    });
    context.wait_in_background(submission)?;
    context.settled().await?;
    mapped.await.map_err(ErrorKind::lost)?.map_err(ErrorKind::lost)?;
    let view = download.get_mapped_range(..).map_err(ErrorKind::lost)?;
    let results: Vec<[f32; 4]> = bytemuck::pod_collect_to_vec(&view);
    // The second dispatch sums the ones that the first has written, four in each texel.
    let inside = (4 * ROWS) as f32;
    Ok(results.iter().enumerate().all(|(i, result)| *result == [inside, 0.0, i as f32, i as f32]))
}
