//! Refusals of unfit ports, formats, textures and bindings.

use super::{PALETTE, alone, blank, context, describe, encoder, is_refused, port};
use shadernet::plan::Port;
use shadernet::texture::{Alpha, Channels, Drawing, Region, Sampling, TextureInput, TextureOutput};
use shadernet::{DType, ErrorKind, Result};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

#[track_caller]
fn refused<T>(made: Result<T>, argument: &str, wanted: &str) {
    is_refused(&made.map(drop).expect_err(wanted), argument, wanted);
}

#[test]
fn inputs_that_cant_be_are_refused() {
    let _alone = alone();
    let context = context();
    let (created, three) = (context.created(), port([1, 3, 4, 6]));
    let new = |port: &Port, format: Format, sampling: Sampling| TextureInput::new(&context, port, format, sampling);
    for format in
        [Format::Depth32Float, Format::Stencil8, Format::Rgba8Uint, Format::R32Sint, Format::Bc1RgbaUnorm, Format::NV12]
    {
        refused(new(&three, format, Sampling::new()), "format", &format!("{format:?}"));
    }
    let unorm = |port: &Port, sampling: Sampling| new(port, Format::Rgba8Unorm, sampling);
    for shape in [vec![1, 3, 4], vec![1, 3, 4, 6, 1], vec![3], vec![1, 3, 0, 6], vec![1, 0, 4, 6]] {
        refused(unorm(&port(shape), Sampling::new()), "\"image\"", "[N, C, H, W]");
    }
    refused(unorm(&Port { dtype: DType::I32, ..three.clone() }, Sampling::new()), "\"image\"", "f32");
    for count in [2, 5] {
        refused(unorm(&port([1, count, 4, 6]), Sampling::new()), "the channels of \"image\"", "1, 3 or 4");
    }
    for channels in [Channels::Rgba, Channels::Luma, Channels::Red] {
        refused(
            unorm(&three, Sampling::new().channels(channels)),
            "the channels of \"image\"",
            &format!("{channels:?}"),
        );
    }
    refused(unorm(&three, Sampling::new().mean([0.5, 0.5])), "mean", "1 or 3 values");
    refused(unorm(&three, Sampling::new().mean([f32::NAN])), "mean", "finite");
    refused(unorm(&three, Sampling::new().std([])), "std", "1 or 3 values");
    refused(unorm(&three, Sampling::new().std([1.0, 0.0, 1.0])), "std", "other than 0");
    refused(unorm(&three, Sampling::new().std([f32::INFINITY])), "std", "other than 0");
    for (shape, limit) in [
        ([1, 3, 1 << 13, 1 << 13], "max_storage_buffer_binding_size"),
        ([1, 3, usize::MAX, 2], "max_storage_buffer_binding_size"),
        ([1, 1, 1 << 19, 1], "max_compute_workgroups_per_dimension"),
    ] {
        let error = unorm(&port(shape), Sampling::new()).map(drop).expect_err(limit);
        assert!(matches!(error.kind, ErrorKind::Limit { limit: named, .. } if named == limit), "{error}");
    }
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn outputs_that_cant_be_are_refused() {
    let _alone = alone();
    let context = context();
    let (created, three, one) = (context.created(), port([1, 3, 4, 6]), port([1, 1, 4, 6]));
    let (attached, storage) = (Usage::RENDER_ATTACHMENT, Usage::STORAGE_BINDING);
    let new = |port: &Port, format: Format, usage: Usage, drawing: Drawing| {
        TextureOutput::new(&context, port, format, usage, drawing)
    };
    let image = Drawing::image;
    for format in [Format::Depth32Float, Format::Rgba8Uint, Format::Bc1RgbaUnorm] {
        refused(new(&three, format, attached, image()), "format", &format!("{format:?}"));
    }
    for format in [Format::Rgba8UnormSrgb, Format::Bgra8Unorm, Format::R8Unorm, Format::Rgb10a2Unorm] {
        refused(new(&three, format, storage, image()), "format", "STORAGE_BINDING");
    }
    for format in [Format::Rgb9e5Ufloat, Format::Rgba8Snorm] {
        refused(new(&three, format, attached, image()), "format", "RENDER_ATTACHMENT");
    }
    refused(
        new(&three, Format::Rgba8Unorm, Usage::TEXTURE_BINDING, image()),
        "usage",
        "RENDER_ATTACHMENT or STORAGE_BINDING",
    );
    refused(new(&three, Format::Rgba8Unorm, storage, image().alpha(Alpha::Left)), "usage", "RENDER_ATTACHMENT");
    let unorm = |port: &Port, drawing: Drawing| new(port, Format::Rgba8Unorm, attached, drawing);
    refused(unorm(&port([3, 4]), image()), "\"image\"", "[N, C, H, W] or [N, H, W]");
    let labels = Port { dtype: DType::I32, ..one.clone() };
    refused(unorm(&labels, image()), "\"image\"", "f32");
    refused(unorm(&Port { dtype: DType::Bool, ..one.clone() }, Drawing::classes(PALETTE)), "\"image\"", "f32 or i32");
    refused(unorm(&port([1, 2, 4, 6]), image()), "the channels of \"image\"", "1, 3 or 4");
    refused(unorm(&three, image().channels(Channels::Rgba)), "the channels of \"image\"", "4 for Rgba");
    refused(unorm(&three, image().std([1.0, 0.0, 1.0])), "std", "other than 0");
    refused(unorm(&three, Drawing::ramp([0.0, 1.0], PALETTE)), "the channels of \"image\"", "1 for a ramp");
    refused(unorm(&one, Drawing::ramp([1.0, 1.0], PALETTE)), "range", "the first the smaller one");
    refused(unorm(&one, Drawing::ramp([0.0, f32::NAN], PALETTE)), "range", "finite");
    refused(unorm(&one, Drawing::ramp([0.0, f32::INFINITY], PALETTE)), "range", "finite");
    refused(unorm(&one, Drawing::ramp([0.0, 1.0], [])), "colors", "at least one");
    refused(unorm(&three, Drawing::classes([])), "colors", "at least one");
    refused(unorm(&one, Drawing::classes(PALETTE)), "the channels of \"image\"", "a score for each class");
    let numbers = Port { dtype: DType::I32, ..three.clone() };
    refused(unorm(&numbers, Drawing::classes(PALETTE)), "the channels of \"image\"", "1 for numbers of classes");
    refused(unorm(&one, Drawing::ramp([0.0, 1.0], PALETTE).mean([0.5])), "mean", "an image");
    refused(unorm(&three, Drawing::classes(PALETTE).channels(Channels::Bgr)), "channels", "an image");
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn textures_that_dont_serve_are_refused() {
    let _alone = alone();
    let context = context();
    let port = port([2, 3, 4, 6]);
    let all = Usage::TEXTURE_BINDING | Usage::RENDER_ATTACHMENT | Usage::STORAGE_BINDING;
    let input = TextureInput::new(&context, &port, Format::Rgba8Unorm, Sampling::new()).expect("it fits");
    let output =
        |usage| TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, Drawing::image()).expect("it fits");
    let (attached, storing) = (output(Usage::RENDER_ATTACHMENT), output(Usage::STORAGE_BINDING));
    let created = context.created();
    let each = |region: Region<'_>, argument: &str, wanted: &str| {
        refused(input.bind(region), argument, wanted);
        refused(attached.bind(region), argument, wanted);
        refused(storing.bind(region), argument, wanted);
    };
    let extent = wgpu::Extent3d { width: 8, height: 6, depth_or_array_layers: 1 };
    let make = |descriptor: &wgpu::TextureDescriptor<'_>| context.device().create_texture(descriptor);
    let usual = describe(extent, Format::Rgba8Unorm, all);
    let texture = make(&usual);
    for rect in
        [[0, 0, 0, 6], [0, 0, 8, 0], [0, 0, 9, 6], [1, 0, 8, 6], [0, 3, 8, 4], [9, 0, 1, 1], [u32::MAX, 0, 2, 2]]
    {
        each(Region::whole(&texture).rect(rect), "texture: rectangle (x, y, width, height)", "within 8 x 6");
    }
    for rect in [[0, 0, 7, 4], [0, 1, 6, 4], [2, 2, 0, 1], [0, u32::MAX, 1, 1]] {
        let argument = "texture: rectangle of the image (x, y, width, height)";
        each(Region::whole(&texture).within(rect), argument, "within 6 x 4");
    }
    each(Region::whole(&texture).mip(1), "texture: mip level", "less than 1");
    each(Region::whole(&texture).layer(1), "texture: layer", "less than 1");
    each(Region::whole(&texture).image(2), "image", "less than the batch of \"image\", 2");
    let mips = make(&wgpu::TextureDescriptor { mip_level_count: 2, ..usual.clone() });
    let lower = Region::whole(&mips).mip(1).rect([0, 0, 5, 3]);
    each(lower, "texture: rectangle (x, y, width, height)", "within 4 x 3");
    each(Region::whole(&make(&describe(extent, Format::Rgba16Float, all))), "texture: format", "Rgba8Unorm");
    let many = wgpu::TextureDescriptor {
        sample_count: 4,
        ..describe(extent, Format::Rgba8Unorm, Usage::TEXTURE_BINDING | Usage::RENDER_ATTACHMENT)
    };
    each(Region::whole(&make(&many)), "texture: samples of a texel", "wanted 1, got 4");
    let deep = wgpu::TextureDescriptor {
        dimension: wgpu::TextureDimension::D3,
        ..describe(extent, Format::Rgba8Unorm, Usage::TEXTURE_BINDING)
    };
    each(Region::whole(&make(&deep)), "texture: dimension", "wanted D2, got D3");
    let with = |usage| make(&describe(extent, Format::Rgba8Unorm, usage));
    refused(input.bind(&with(Usage::RENDER_ATTACHMENT)), "texture: usage", "TEXTURE_BINDING");
    refused(attached.bind(&with(Usage::STORAGE_BINDING)), "texture: usage", "RENDER_ATTACHMENT");
    refused(storing.bind(&with(Usage::RENDER_ATTACHMENT)), "texture: usage", "STORAGE_BINDING");
    assert_eq!(context.created(), created, "it is known before anything is created");
}

#[test]
fn what_another_bound_and_what_isnt_kept_are_refused() {
    let _alone = alone();
    let context = context();
    let port = port([1, 3, 4, 6]);
    let usage = Usage::RENDER_ATTACHMENT | Usage::TEXTURE_BINDING;
    let [one, other] =
        [(); 2].map(|()| TextureInput::new(&context, &port, Format::Rgba8Unorm, Sampling::new()).expect("it fits"));
    let texture = blank(&context, [6, 4], Format::Rgba8Unorm, usage);
    let mut encoder = encoder(&context);
    refused(other.encode(&mut encoder, &one.bind(&texture).expect("it serves")), "source", "this input");
    let output = |drawing| TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, drawing).expect("it fits");
    let [one, other] = [output(Drawing::image()), output(Drawing::image())];
    refused(other.encode(&mut encoder, &one.bind(&texture).expect("it serves")), "target", "this output");

    let keeping = output(Drawing::image().alpha(Alpha::Kept));
    refused(keeping.bind(&texture), "alpha", "bind_keeping");
    refused(one.bind_keeping(&texture, &texture), "alpha", "Alpha::Kept");
    refused(keeping.bind_keeping(&texture, &texture), "source", "another texture");
    let source = |format, usage| blank(&context, [6, 4], format, usage);
    let unread = source(Format::Rgba8Unorm, Usage::RENDER_ATTACHMENT);
    refused(keeping.bind_keeping(&texture, &unread), "source: usage", "TEXTURE_BINDING");
    refused(keeping.bind_keeping(&texture, &source(Format::Rgba8Uint, usage)), "source: format", "Rgba8Uint");
    keeping.bind_keeping(&texture, &source(Format::Rgba16Float, usage)).expect("any format serves");
}
