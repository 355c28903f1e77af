//! A Vulkan device as wgpu opens it, which also tells what its compiler made of a shader.

use crate::Result;
use crate::spirv::Module;
use ash::vk;
use shadernet::{Context, wgpu};
use std::ffi::CStr;
use wgpu_hal::api::Vulkan;

/// A device whose compiler is asked.
pub struct Driver {
    /// The same device for shadernet.
    pub context: Context,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    /// True if wgpu enables subgroup operations, which lets the driver choose the subgroup size of every shader.
    subgroups: bool,
}

/// The results of a compilation.
#[derive(Debug, Default)]
pub struct Compiled {
    /// The driver's statistics, by its own names. Floating-point numbers are left out.
    pub statistics: Vec<(String, u64)>,
    /// The driver's texts about the program, by their names. One is the assembly, if the driver gives it.
    pub texts: Vec<(String, String)>,
}

impl Driver {
    /// Opens the first Vulkan device with the features and limits that shadernet asks wgpu for, matrix units included. It is never destroyed:
    /// the drivers of absent devices don't always survive that.
    pub fn open() -> Result<&'static Driver> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN;
        let instance = wgpu::Instance::new(descriptor);
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        let adapter = adapters.into_iter().next().ok_or("there is no Vulkan device")?;
        let experimental = adapter.features() & wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
        let required_features = Context::required_features(&adapter) | experimental;
        let required_limits = adapter.limits();
        let wanted = ash::khr::pipeline_executable_properties::NAME;
        let mut feature =
            vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
        // SAFETY: the adapter supports these features and limits, its own. The callback adds an extension that it supports
        // and the feature that every driver with this extension has; `feature` outlives the call.
        let (opened, device, executables) = unsafe {
            let adapter = adapter.as_hal::<Vulkan>().ok_or("the adapter isn't Vulkan's")?;
            if !adapter.physical_device_capabilities().supports_extension(wanted) {
                return Err("the driver lacks VK_KHR_pipeline_executable_properties".into());
            }
            let add: Box<wgpu_hal::vulkan::CreateDeviceCallback> = Box::new(|args| {
                args.extensions.push(wanted);
                *args.create_info = args.create_info.push_next(&mut feature);
            });
            let hints = wgpu::MemoryHints::default();
            let opened = adapter.open_with_callback(required_features, &required_limits, &hints, Some(add))?;
            let device = opened.device.raw_device().clone();
            let instance = adapter.shared_instance().raw_instance();
            let executables = ash::khr::pipeline_executable_properties::Device::new(instance, &device);
            (opened, device, executables)
        };
        // SAFETY: nothing runs on this device.
        let experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
        let descriptor =
            wgpu::DeviceDescriptor { required_features, required_limits, experimental_features, ..Default::default() };
        // SAFETY: the device was opened by this adapter with these features and limits.
        let (wgpu_device, queue) = unsafe { adapter.create_device_from_hal::<Vulkan>(opened, &descriptor)? };
        let context = Context::from_wgpu(&adapter, &wgpu_device, &queue)?;
        let subgroups = required_features.contains(wgpu::Features::SUBGROUP);
        Ok(Box::leak(Box::new(Driver { context, device, executables, subgroups })))
    }

    /// Returns the driver's name and version.
    pub fn version(&self) -> String {
        let info = self.context.info();
        format!("{} {}", info.driver, info.driver_info)
    }

    /// Compiles a module into a compute pipeline, as wgpu's Vulkan backend does.
    pub fn compile(&self, module: &Module) -> Result<Compiled> {
        let device = &self.device;
        // SAFETY: the module is naga's valid SPIR-V, the layout has all of its bindings, the entry point exists. Each
        // object is used on its own device, before it is destroyed. The device is never destroyed.
        unsafe {
            let bindings: Vec<_> = module
                .bindings
                .iter()
                .map(|&(binding, kind)| {
                    let stages = vk::ShaderStageFlags::COMPUTE;
                    let layout = vk::DescriptorSetLayoutBinding::default().binding(binding).descriptor_type(kind);
                    layout.descriptor_count(1).stage_flags(stages)
                })
                .collect();
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [device.create_descriptor_set_layout(&set, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None)?;
            let shader =
                device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&module.words), None)?;
            let mut flags = vk::PipelineShaderStageCreateFlags::empty();
            if self.subgroups {
                flags |= vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
            }
            let stage = vk::PipelineShaderStageCreateInfo::default().flags(flags);
            let stage = stage.stage(vk::ShaderStageFlags::COMPUTE).module(shader).name(c"main");
            let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                    | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
            );
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            let pipeline = made.map_err(|(_, error)| error)?[0];
            let compiled = self.told(pipeline);
            device.destroy_pipeline(pipeline, None);
            device.destroy_shader_module(shader, None);
            device.destroy_pipeline_layout(layout, None);
            device.destroy_descriptor_set_layout(sets[0], None);
            compiled
        }
    }

    /// Returns the driver's statistics and texts about a pipeline.
    ///
    /// # Safety
    ///
    /// The pipeline is this device's, and was created with the flags that capture both.
    unsafe fn told(&self, pipeline: vk::Pipeline) -> Result<Compiled> {
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: by the caller's promise. The first executable exists: a compute pipeline has one.
        let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&info)? };
        let mut compiled = Compiled::default();
        for statistic in &statistics {
            // SAFETY: a statistic's format says which field of the union is set.
            let value = unsafe {
                match statistic.format {
                    vk::PipelineExecutableStatisticFormatKHR::BOOL32 => u64::from(statistic.value.b32),
                    vk::PipelineExecutableStatisticFormatKHR::INT64 => u64::try_from(statistic.value.i64)?,
                    vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64,
                    _ => continue,
                }
            };
            compiled.statistics.push((text(&statistic.name), value));
        }
        // SAFETY: as above. The first call sets the sizes of the texts, for which the second call finds memory.
        unsafe {
            let mut found = self.executables.get_pipeline_executable_internal_representations(&info)?;
            let mut bytes: Vec<Vec<u8>> = found.iter().map(|text| vec![0; text.data_size]).collect();
            for (text, bytes) in found.iter_mut().zip(&mut bytes) {
                text.p_data = bytes.as_mut_ptr().cast();
            }
            let mut count = u32::try_from(found.len())?;
            let fill = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            fill(self.device.handle(), &info, &mut count, found.as_mut_ptr()).result()?;
            let texts = found.iter().zip(&bytes).filter(|(text, _)| text.is_text == vk::TRUE);
            let texts = texts.map(|(name, bytes)| {
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                (text(&name.name), String::from_utf8_lossy(&bytes[..end]).into_owned())
            });
            compiled.texts = texts.collect();
        }
        Ok(compiled)
    }
}

/// Returns the text in a field of a fixed size.
fn text(field: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|&character| character as u8).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}
