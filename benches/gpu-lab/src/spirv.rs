//! The translation of a shader to SPIR-V, by the options of wgpu 30's Vulkan backend for a trusted module.

use crate::Result;
use ash::vk;
use naga::back::{PipelineConstants, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy::Unchecked};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage, TypeInner};
use shadernet::kernel::Shader;

/// A shader in SPIR-V, its entry point `main`.
pub struct Module {
    /// The words of the module.
    pub words: Vec<u32>,
    /// The bindings of group 0.
    pub bindings: Vec<(u32, vk::DescriptorType)>,
    /// The bytes of its variables in workgroup memory.
    pub workgroup_memory: u32,
    /// The invocations of a workgroup.
    pub invocations: u32,
}

impl Module {
    /// Translates a shader without guards, as release builds of shadernet have it.
    pub fn new(shader: &Shader) -> Result<Module> {
        let text = shader.wgsl()?;
        let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
        let validated = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
        let info = validated.map_err(|error| error.emit_to_string(&text))?;
        let constants: PipelineConstants =
            shader.overrides().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let main = Some((ShaderStage::Compute, "main"));
        let (module, info) = pipeline_constants::process_overrides(&module, &info, main, &constants)?;
        // `naga_options` of wgpu-hal's `vulkan/adapter.rs` for Vulkan 1.3, with the changes of `compile_stage` in
        // `vulkan/device.rs` where neither checks nor zeros are wanted.
        let options = spv::Options {
            lang_version: (1, 6),
            flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
            bounds_check_policies: BoundsCheckPolicies {
                index: Unchecked,
                buffer: Unchecked,
                image_load: Unchecked,
                binding_array: Unchecked,
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..Default::default()
        };
        let entry = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: "main".to_owned() };
        let words = spv::write_vec(&module, &info, &options, Some(&entry))?;
        let bound = module.global_variables.iter().filter_map(|(_, global)| {
            let kind = match (global.space, &module.types[global.ty].inner) {
                (AddressSpace::Uniform, _) => vk::DescriptorType::UNIFORM_BUFFER,
                (AddressSpace::Storage { .. }, _) => vk::DescriptorType::STORAGE_BUFFER,
                (_, TypeInner::Image { class: naga::ImageClass::Storage { .. }, .. }) => {
                    vk::DescriptorType::STORAGE_IMAGE
                }
                _ => vk::DescriptorType::SAMPLED_IMAGE,
            };
            Some((global.binding?.binding, kind))
        });
        let main = info.get_entry_point(0);
        let shared = module
            .global_variables
            .iter()
            .filter(|&(handle, global)| global.space == AddressSpace::WorkGroup && !main[handle].is_empty());
        let workgroup_memory = shared.map(|(_, global)| module.types[global.ty].inner.size(module.to_ctx())).sum();
        let invocations = module.entry_points[0].workgroup_size.iter().product();
        Ok(Module { words, bindings: bound.collect(), workgroup_memory, invocations })
    }
}
