//! Classes as outputs, from scores and from numbers.

use super::{
    PALETTE, Rgba, TARGETS, alone, blank, class, close_pixels, contents, context, drawn, encoder, port, resized,
};
use pollster::block_on;
use shadernet::plan::Port;
use shadernet::texture::{Drawing, Filter, Region, TextureOutput};
use shadernet::{BATCH, Context, ContextOptions, DType, Graph, Model};
use wgpu::{TextureFormat as Format, TextureUsages as Usage};

/// Opens a context with the kernels that suit the device best.
fn fastest() -> Context {
    let context = block_on(Context::with(&ContextOptions::from_env()));
    context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
}

#[test]
fn classes_are_drawn_by_their_scores() {
    let _alone = alone();
    let context = context();
    // Five classes: the fourth and fifth share the colors of the first and second. Of equal scores, the first shows.
    let scores = |at: usize| -> [f32; 5] { [3, 5, 7, 9, 11].map(|k| ((at * at * k + 5 * at) % 16) as f32) };
    let values: Vec<f32> = (0..5).flat_map(|c| (0..20).map(move |at| scores(at)[c])).collect();
    for filter in [Filter::Linear, Filter::Nearest] {
        for (format, usage, tolerance) in TARGETS {
            let usage = usage | Usage::COPY_SRC;
            let drawing = Drawing::classes(PALETTE).filter(filter);
            let output = TextureOutput::new(&context, &port([1, 5, 4, 5]), format, usage, drawing).expect("it fits");
            let texture = blank(&context, [15, 12], format, usage);
            let got = drawn(&context, &output, &values, &texture, &output.bind(&texture).expect("it serves"));
            // Each class's scores are resized separately, as the red of a picture.
            let resized_scores: Vec<Vec<f64>> = (0..5)
                .map(|c| {
                    let plane: Vec<Rgba> = (0..20).map(|at| [scores(at)[c].into(), 0.0, 0.0, 0.0]).collect();
                    let nearest = |i: usize| plane[i / 15 / 3 * 5 + i % 15 / 3][0];
                    match filter {
                        Filter::Nearest => (0..180).map(nearest).collect(),
                        Filter::Linear => resized(&plane, [5, 4], [15, 12]).iter().map(|pixel| pixel[0]).collect(),
                    }
                })
                .collect();
            for (i, got) in got.iter().enumerate() {
                let score = |c: usize| resized_scores[c][i];
                let best = (1..5).fold(0, |best, c| if score(c) > score(best) { c } else { best });
                // If two scores are about equal, rounding decides.
                let close = (0..5).filter(|&c| score(best) - score(c) < 1e-5 && filter == Filter::Linear);
                let may: Vec<Rgba> = close.chain([best]).map(class).collect();
                let off = |wanted: &Rgba| (0..4).map(|c| (got[c] - wanted[c]).abs()).fold(0.0, f64::max);
                assert!(may.iter().any(|wanted| off(wanted) <= tolerance), "{format:?} {filter:?}: {got:?} at {i}");
            }
        }
    }
}

#[test]
fn numbers_of_classes_are_drawn_as_they_are() {
    let _alone = alone();
    let context = context();
    let labels: Vec<i32> = (0..12).map(|i| (i * 5) % 7).collect();
    let port = Port { dtype: DType::I32, ..port([1, 3, 4]) };
    let usage = Usage::STORAGE_BINDING | Usage::COPY_SRC;
    let output =
        TextureOutput::new(&context, &port, Format::Rgba8Unorm, usage, Drawing::classes(PALETTE)).expect("it fits");
    let texture = blank(&context, [8, 6], Format::Rgba8Unorm, usage);
    let target = output.bind(&texture).expect("it serves");
    let got = drawn(&context, &output, bytemuck::cast_slice(&labels), &texture, &target);
    let wanted: Vec<Rgba> = (0..48).map(|i| class(labels[i / 8 / 2 * 4 + i % 8 / 2] as usize)).collect();
    close_pixels("twice as large", &got, &wanted, 0.0);
}

/// A network that ends in scores and a network that ends in their argmax give the same picture.
#[test]
fn a_segmentation_is_drawn_from_scores_or_from_their_argmax() {
    let _alone = alone();
    for context in [context(), fastest()] {
        let usage = Usage::RENDER_ATTACHMENT | Usage::COPY_SRC;
        let mut graph = Graph::new();
        let x = graph.input("scores", [BATCH, 4, 4, 5]);
        let best = graph.argmax(x, 1).expect("it has four channels");
        graph.output("scores", x);
        graph.output("classes", best);
        let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
        let scores = shadernet::seeded_input(3, &[2, 4, 4, 5].into());
        let given = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: session.inputs()[0].bytes(),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        context.queue().write_buffer(&given, 0, bytemuck::cast_slice(&scores));
        let outputs: Vec<TextureOutput> = session
            .outputs()
            .iter()
            .map(|port| TextureOutput::new(&context, port, Format::Rgba8Unorm, usage, Drawing::classes(PALETTE)))
            .map(|output| output.expect("it fits"))
            .collect();
        let taken: Vec<wgpu::BufferBinding> = outputs.iter().map(TextureOutput::buffer).collect();
        let bound = session.bind(&[given.as_entire_buffer_binding()], &taken).expect("they serve");
        for image in 0..2 {
            let score = |c: usize, at: usize| scores[(image * 4 + c) * 20 + at];
            let wanted: Vec<Rgba> = (0..20)
                .map(|at| class((1..4).fold(0, |best, c| if score(c, at) > score(best, at) { c } else { best })))
                .collect();
            for output in &outputs {
                let texture = blank(&context, [5, 4], Format::Rgba8Unorm, usage);
                let mut encoder = encoder(&context);
                session.encode(&mut encoder, &bound).expect("it bound them");
                let target = output.bind(Region::whole(&texture).image(image)).expect("it serves");
                output.encode(&mut encoder, &target).expect("it bound it");
                close_pixels(&format!("{output:?}, {image}"), &contents(&context, encoder, &texture), &wanted, 0.0);
            }
        }
    }
}
