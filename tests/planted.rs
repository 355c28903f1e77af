//! Faults that Vulkan's validation must report before its silence means anything: `scripts/test-drivers.sh` runs this
//! under it. This is no test of `cargo test`.

use pollster::block_on;
use shadernet::wgpu;
use wgpu::hal::{CommandEncoder as _, api::Vulkan};

const OUTSIDE: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn main(@builtin(num_workgroups) groups: vec3<u32>) { y[3u + groups.x] = 1u; }";

fn main() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())).expect("an adapter");
    let (device, queue) = block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).expect("a device");
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let buffer =
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    match std::env::args().nth(1).as_deref() {
        Some("outside") => write_outside(&device, &buffer, &mut encoder),
        Some("barrier") => write_twice(&buffer, &mut encoder),
        _ => panic!("which fault: `outside` of a buffer, or no `barrier` between two that write it"),
    }
    queue.submit([encoder.finish()]);
    device.poll(wgpu::PollType::wait_indefinitely()).expect("the device isn't lost");
    // Validation reports from its own thread, which doesn't outlive `main`.
    std::thread::sleep(std::time::Duration::from_secs(1));
}

/// Writes the element after a buffer's last one, by a shader without guards.
fn write_outside(device: &wgpu::Device, buffer: &wgpu::Buffer, encoder: &mut wgpu::CommandEncoder) {
    let module = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(OUTSIDE.into()) };
    // SAFETY: unsound on purpose: this write is the fault under test. The test's drivers drop such a write.
    let module = unsafe { device.create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked()) };
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let entries = [wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }];
    let layout = &pipeline.get_bind_group_layout(0);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries });
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(1, 1, 1);
}

/// Clears a buffer twice, without a barrier between the two.
fn write_twice(buffer: &wgpu::Buffer, encoder: &mut wgpu::CommandEncoder) {
    // SAFETY: the buffer is large enough, lives until the device is done, and is in the state of a copy's target. The
    // unordered writes are the fault under test; both write the same bytes.
    unsafe {
        let buffer = buffer.as_hal::<Vulkan>().expect("Vulkan");
        encoder.as_hal_mut::<Vulkan, _, _>(|encoder| {
            let encoder = encoder.expect("Vulkan");
            encoder.clear_buffer(&buffer, 0..16);
            encoder.clear_buffer(&buffer, 0..16);
        });
    }
}
