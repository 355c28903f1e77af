//! A host that owns the device: the network is recorded into the host's encoder, between the host's buffers, and the host
//! submits. shadernet creates nothing in the frame, and never submits, polls or waits.

use shadernet::{Context, Model, Result, models, wgpu};

fn main() -> Result<()> {
    // The host's own set-up.
    let (adapter, device, queue) = pollster::block_on(set_up());

    // Once: the network on the host's device, bound to the host's buffers.
    let context = Context::from_wgpu(&adapter, &device, &queue)?;
    let upscale = models::find("upscale")?;
    let graph = upscale.graph(&models::upscale_weights()?, Some([32, 48]))?;
    let session = Model::new(&context, &graph)?.session(1)?;
    let buffer = |bytes: u64, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false })
    };
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let picture = buffer(session.inputs()[0].bytes(), usage);
    let larger = buffer(session.outputs()[0].bytes(), usage);
    let download = buffer(larger.size(), wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
    let bound = session.bind(&[picture.as_entire_buffer_binding()], &[larger.as_entire_buffer_binding()])?;

    // Each frame: the host's passes, the network between them, one submission.
    for frame in 0..3 {
        let grey = vec![0.25 * (frame + 1) as f32; session.inputs()[0].shape.elements()];
        queue.write_buffer(&picture, 0, bytemuck::cast_slice(&grey));
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        session.encode(&mut encoder, &bound)?;
        encoder.copy_buffer_to_buffer(&larger, 0, &download, 0, None);
        queue.submit([encoder.finish()]);

        // A real host would go on drawing from `larger`; this one looks at a pixel.
        download.map_async(wgpu::MapMode::Read, .., |result| result.expect("the device is there"));
        device.poll(wgpu::PollType::wait_indefinitely()).expect("the device is there");
        let view = download.get_mapped_range(..4).expect("it was mapped");
        println!("frame {frame}: a grey of {:.2} became {:.2}", grey[0], bytemuck::pod_read_unaligned::<f32>(&view));
        drop(view);
        download.unmap();
    }
    Ok(())
}

async fn set_up() -> (wgpu::Adapter, wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.expect("an adapter");
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await.expect("a device");
    (adapter, device, queue)
}
