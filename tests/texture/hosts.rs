//! Hosts' devices, texture views, frames and ranges of buffers.

use super::{
    DECODED, Rgba, alone, blank, close, close_pixels, contents, context, describe, drawn, encoder, fill, filled,
    is_refused, on_rgb, picture, planes, port, sampled, to_linear, to_srgb,
};
use pollster::block_on;
use shadernet::texture::{ColorSpace, Drawing, Sampling, TextureInput, TextureOutput};
use shadernet::{BATCH, Context, ErrorKind, Graph, Model};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

/// Opens a host's device with this feature, if the adapter has it, and with these limits.
fn host(feature: wgpu::Features, limits: wgpu::Limits) -> Option<Context> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = block_on(wgpu::util::initialize_adapter_from_env_or_default(&instance, None)).expect("an adapter");
    let descriptor =
        wgpu::DeviceDescriptor { required_features: feature, required_limits: limits, ..Default::default() };
    let has = adapter.features().contains(feature);
    let (device, queue) = has.then(|| block_on(adapter.request_device(&descriptor)).expect("a device"))?;
    Some(Context::from_wgpu(&adapter, &device, &queue).expect("the portable kernels run on it"))
}

#[test]
fn bgra_is_stored_to_where_the_device_can() {
    let _alone = alone();
    let Some(context) = host(wgpu::Features::BGRA8UNORM_STORAGE, wgpu::Limits::default()) else { return };
    let (pixels, usage) = (picture([6, 4]), Usage::STORAGE_BINDING | Usage::COPY_SRC);
    let texture = blank(&context, [6, 4], Format::Bgra8Unorm, usage);
    let output = TextureOutput::new(&context, &port([1, 4, 4, 6]), Format::Bgra8Unorm, usage, Drawing::image());
    let output = output.expect("it fits");
    let values = planes(&pixels, &[0, 1, 2, 3]);
    let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
    close_pixels("bgra", &got, &pixels, 0.6 / 255.0);
}

#[test]
fn a_device_without_storage_textures_is_told() {
    let _alone = alone();
    let limits = wgpu::Limits { max_storage_textures_per_shader_stage: 0, ..Default::default() };
    let context = host(wgpu::Features::empty(), limits).expect("no feature is needed");
    let (three, format) = (port([1, 3, 4, 6]), Format::Rgba8Unorm);
    let new = |usage| TextureOutput::new(&context, &three, format, usage, Drawing::image());
    let error = new(Usage::STORAGE_BINDING).map(drop).expect_err("there are none");
    let limit = "max_storage_textures_per_shader_stage";
    assert!(matches!(error.kind, ErrorKind::Limit { limit: named, .. } if named == limit), "{error}");
    new(Usage::RENDER_ATTACHMENT).expect("attachments need none");
}

/// A texture with views with and without sRGB is bound as the named format.
#[test]
fn views_have_the_format_that_was_named() {
    let _alone = alone();
    let context = context();
    let (size, pixels) = ([6, 4], picture([6, 4]));
    let usage = Usage::RENDER_ATTACHMENT | Usage::TEXTURE_BINDING | Usage::COPY_SRC | Usage::COPY_DST;
    let extent = wgpu::Extent3d { width: 6, height: 4, depth_or_array_layers: 1 };
    let both = || {
        let descriptor = describe(extent, Format::Rgba8Unorm, usage);
        context
            .device()
            .create_texture(&wgpu::TextureDescriptor { view_formats: &[Format::Rgba8UnormSrgb], ..descriptor })
    };
    let texture = both();
    fill(&context, &texture, 0, 0, size, &pixels);
    let srgb = Format::Rgba8UnormSrgb;
    let sampling = Sampling::new().network(ColorSpace::Linear);
    let input = TextureInput::new(&context, &port([1, 3, 4, 6]), srgb, sampling).expect("it fits");
    let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
    let wanted: Vec<f64> = (0..3).flat_map(|c| pixels.iter().map(move |pixel| to_linear(pixel[c]))).collect();
    close("decoded as it is read", &got, &wanted, DECODED);

    let to = both();
    let drawing = Drawing::image().network(ColorSpace::Linear);
    let output = TextureOutput::new(&context, &port([1, 3, 4, 6]), srgb, usage, drawing).expect("it fits");
    let got = drawn(&context, &output, &planes(&pixels, &[0, 1, 2]), &to, &output.bind(&to).expect("it serves"));
    let wanted: Vec<Rgba> = pixels.iter().map(|&[r, g, b, _]| on_rgb(to_srgb, [r, g, b, 1.0])).collect();
    close_pixels("encoded as it is written", &got, &wanted, 1.1 / 255.0);
    // A texture without that view format can't be read as sRGB.
    let plain = blank(&context, size, Format::Rgba8Unorm, usage);
    let error = input.bind(&plain).map(drop).expect_err("it promises nothing");
    assert!(matches!(error.kind, ErrorKind::Device(_)), "{error}");
}

/// Builds a session that doubles its input.
fn doubling(context: &Context) -> shadernet::Session {
    let mut graph = Graph::new();
    let x = graph.input("image", [BATCH, 3, 4, 6]);
    let sum = graph.add(x, x).expect("one shape");
    graph.output("twice", sum);
    Model::new(context, &graph).and_then(|model| model.session(1)).expect("it fits")
}

#[test]
fn a_host_draws_what_a_network_computes_and_a_frame_creates_nothing() {
    let _alone = alone();
    let context = context();
    let session = doubling(&context);
    let size = [6, 4];
    let usage = Usage::RENDER_ATTACHMENT | Usage::COPY_SRC;
    let input = TextureInput::new(&context, &session.inputs()[0], Format::Rgba8Unorm, Sampling::new());
    let input = input.expect("it fits");
    let make = || {
        let drawing = Drawing::image();
        TextureOutput::new(&context, &session.outputs()[0], Format::Bgra8Unorm, usage, drawing).expect("it fits")
    };
    let output = make();
    let bound = session.bind(&[input.buffer()], &[output.buffer()]).expect("they serve");
    // Two pictures and two targets alternate, as in a swap chain.
    let pictures = [picture(size), picture([6, 8])[24..].to_vec()];
    let from = pictures.each_ref().map(|p| filled(&context, size, Format::Rgba8Unorm, Usage::TEXTURE_BINDING, p));
    let to = [(); 2].map(|()| blank(&context, size, Format::Bgra8Unorm, usage));
    let before = context.created();
    let sources = from.each_ref().map(|texture| input.bind(texture).expect("it serves"));
    let targets = to.each_ref().map(|texture| output.bind(texture).expect("it serves"));
    assert_eq!(context.created() - before, 4 * 2, "a bind group and its parameters for each");

    let created = context.created();
    for frame in 0..4 {
        let (i, j) = (frame % 2, frame / 2);
        let mut encoder = encoder(&context);
        input.encode(&mut encoder, &sources[i]).expect("it bound it");
        session.encode(&mut encoder, &bound).expect("it bound them");
        output.encode(&mut encoder, &targets[j]).expect("it bound it");
        let wanted: Vec<Rgba> =
            pictures[i].iter().map(|&[r, g, b, _]| [r, g, b, 0.5].map(|v| (2.0 * v).min(1.0))).collect();
        close_pixels(&format!("frame {frame}"), &contents(&context, encoder, &to[j]), &wanted, 0.6 / 255.0);
        assert_eq!(context.created(), created, "frame {frame}");
    }
    // Recorded commands run only when the host submits them.
    let mut recorded = encoder(&context);
    input.encode(&mut recorded, &sources[0]).expect("it bound it");
    session.encode(&mut recorded, &bound).expect("it bound them");
    output.encode(&mut recorded, &targets[1]).expect("it bound it");
    let before: Vec<Rgba> =
        pictures[1].iter().map(|&[r, g, b, _]| [r, g, b, 0.5].map(|v| (2.0 * v).min(1.0))).collect();
    close_pixels("not yet", &contents(&context, encoder(&context), &to[1]), &before, 0.6 / 255.0);

    // Inputs and outputs of a kind share pipelines: each creates a buffer, an output also colors and a dummy texture.
    let created = context.created();
    TextureInput::new(&context, &session.inputs()[0], Format::Rgba16Float, Sampling::new().raw()).expect("it fits");
    assert_eq!(context.created() - created, 1);
    make();
    assert_eq!(context.created() - created, 1 + 3);
}

#[test]
fn ranges_of_the_hosts_buffers_serve() {
    let _alone = alone();
    let context = context();
    let alignment = u64::from(context.device().limits().min_storage_buffer_offset_alignment);
    let port = port([1, 3, 4, 6]);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let size = alignment + port.bytes();
    let buffer = |size, usage| {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        context.device().create_buffer(&descriptor)
    };
    let large = buffer(size, usage);
    let range = wgpu::BufferBinding { buffer: &large, offset: alignment, size: None };
    let pixels = picture([6, 4]);
    let texture = filled(&context, [6, 4], Format::Rgba8Unorm, Usage::TEXTURE_BINDING, &pixels);
    let input = TextureInput::with_buffer(&context, &port, range.clone(), Format::Rgba8Unorm, Sampling::new());
    let input = input.expect("it serves");
    let got = sampled(&context, &input, &[input.bind(&texture).expect("it serves")]);
    let (unused, got) = got.split_at(alignment as usize / 4);
    assert!(unused.iter().all(|&v| v == 0.0), "what lies before the range stays");
    let wanted: Vec<f64> = planes(&pixels, &[0, 1, 2]).into_iter().map(f64::from).collect();
    close("a range", got, &wanted, 1e-6);

    let target_usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let output = |range: wgpu::BufferBinding<'_>| {
        let format = Format::Rgba8Unorm;
        TextureOutput::with_buffer(&context, &port, range, format, target_usage, Drawing::image())
    };
    let to = blank(&context, [6, 4], Format::Rgba8Unorm, target_usage);
    let drawing = output(range.clone()).expect("it serves");
    let mut encoder = encoder(&context);
    drawing.encode(&mut encoder, &drawing.bind(&to).expect("it serves")).expect("it bound it");
    let wanted: Vec<Rgba> = pixels.iter().map(|&[r, g, b, _]| [r, g, b, 1.0]).collect();
    close_pixels("a range", &contents(&context, encoder, &to), &wanted, 0.6 / 255.0);

    let refused = |range: wgpu::BufferBinding<'_>, wanted: &str| {
        let created = context.created();
        let sampling = Sampling::new();
        let input = TextureInput::with_buffer(&context, &port, range.clone(), Format::Rgba8Unorm, sampling);
        for error in [input.map(drop), output(range).map(drop)].map(|made| made.expect_err(wanted)) {
            is_refused(&error, "the buffer of \"image\"", wanted);
        }
        assert_eq!(context.created(), created, "it is known before anything is created");
    };
    let small = buffer(port.bytes() - 4, usage);
    let whole = |buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
    refused(whole(&small), "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: alignment + 16, ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: u64::MAX - 3, ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { size: wgpu::BufferSize::new(size), ..range.clone() }, "at least 288 bytes");
    refused(wgpu::BufferBinding { offset: 4, ..range.clone() }, "a multiple of");
    refused(whole(&buffer(port.bytes(), wgpu::BufferUsages::UNIFORM)), "usage STORAGE");
}
