//! Latency against throughput of a video: frames in flight.
//!
//! `cargo run --release --example video_pipeline [MS]`: MS milliseconds for each line of its table, by default 400.
//!
//! A made-up video goes through the upscaler. With one frame in flight, host and device wait for each other. With more,
//! the host makes the next frame while the device computes: more frames a second, each older when it arrives. The first
//! frames go through host memory; the others are textures that stay on the device, as in a player. If the device is the
//! processor itself, both work on the same cores, and little is gained.

use futures::{StreamExt, stream};
use shadernet::measure::Distribution;
use shadernet::texture::{Drawing, Sampling};
use shadernet::texture::{TextureInput, TextureOutput};
use shadernet::{Context, Model, Session, models, wgpu};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

/// The size of the video in pixels. The output is twice as wide and twice as high.
const WIDTH: usize = 128;
const HEIGHT: usize = 80;

fn main() -> Result<(), Box<dyn Error>> {
    let span = std::env::args().nth(1).map_or(Ok(400), |ms| ms.parse()).map_err(|_| "how many milliseconds a line?")?;
    let span = Duration::from_millis(span);
    let context = pollster::block_on(Context::new())?;
    let graph = models::find("upscale")?.graph(&models::upscale_weights()?, Some([HEIGHT, WIDTH]))?;
    let session = Model::new(&context, &graph)?.session(1)?;
    println!("{WIDTH} x {HEIGHT} to twice that on {}", context.info().name);
    println!("{:12} {:>9} {:>12} {:>12} {:>10}", "frames", "in flight", "latency p50", "p90", "frames/s");
    for in_flight in 1..=3 {
        print("host memory", in_flight, through_memory(&session, in_flight, span)?)?;
    }
    for in_flight in 1..=3 {
        print("textures", in_flight, through_textures(&session, in_flight, span)?)?;
    }
    Ok(())
}

fn print(frames: &str, in_flight: usize, (latencies, took): (Vec<Duration>, Duration)) -> Result<(), Box<dyn Error>> {
    let rate = latencies.len() as f64 / took.as_secs_f64();
    let latencies = Distribution::new(latencies).ok_or("there was no time for a frame")?;
    let [p50, p90] = [latencies.p50, latencies.p90].map(|time| 1e3 * time.as_secs_f64());
    println!("{frames:12} {in_flight:9} {p50:9.2} ms {p90:9.2} ms {rate:10.1}");
    Ok(())
}

/// Returns a value in 0..1 for each pixel of frame `i`: waves that move.
fn wave(i: usize, x: usize, y: usize, channel: usize) -> f32 {
    let along = (x * (channel + 1)) as f32 * 0.09 + (y * (3 - channel)) as f32 * 0.07;
    0.5 + 0.5 * (along + 0.2 * i as f32).sin()
}

/// Returns the latencies of as many frames as the time allows, at least one, and the time of all.
fn through_memory(
    session: &Session,
    in_flight: usize,
    span: Duration,
) -> Result<(Vec<Duration>, Duration), Box<dyn Error>> {
    // The network takes an image channel by channel.
    let decoded = |i: usize| -> Vec<f32> {
        let places = (0..3 * HEIGHT * WIDTH).map(|at| (at % WIDTH, at / WIDTH % HEIGHT, at / (HEIGHT * WIDTH)));
        places.map(|(x, y, channel)| wave(i, x, y, channel)).collect()
    };
    session.run_blocking(&[decoded(0)])?;

    let begun = RefCell::new(VecDeque::new());
    let start = Instant::now();
    let video = (0..).take_while(|&i| i == 0 || start.elapsed() < span).map(|i| {
        begun.borrow_mut().push_back(Instant::now());
        [decoded(i)]
    });
    let mut shown = std::pin::pin!(session.stream(stream::iter(video), in_flight));
    let mut latencies = Vec::new();
    while let Some(outputs) = pollster::block_on(shown.next()) {
        outputs?;
        latencies.extend(begun.borrow_mut().pop_front().map(|begun| begun.elapsed()));
    }
    Ok((latencies, start.elapsed()))
}

/// Returns the latencies from texture to texture. One texture serves all frames: the queue keeps their order.
fn through_textures(
    session: &Session,
    in_flight: usize,
    span: Duration,
) -> Result<(Vec<Duration>, Duration), Box<dyn Error>> {
    use wgpu::TextureUsages as Usage;
    let context = session.context();
    let (device, queue) = (context.device(), context.queue());
    let format = wgpu::TextureFormat::Rgba8Unorm;
    let texture = |scale: u32, usage| {
        device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d {
                width: scale * WIDTH as u32,
                height: scale * HEIGHT as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage,
            view_formats: &[],
        })
    };
    let (video, screen) = (texture(1, Usage::TEXTURE_BINDING | Usage::COPY_DST), texture(2, Usage::RENDER_ATTACHMENT));
    let input = TextureInput::new(context, &session.inputs()[0], format, Sampling::new())?;
    let output = TextureOutput::new(context, &session.outputs()[0], format, screen.usage(), Drawing::image())?;
    let bound = session.bind(&[input.buffer()], &[output.buffer()])?;
    let (source, target) = (input.bind(&video)?, output.bind(&screen)?);
    let submit = |i: usize| -> shadernet::Result<wgpu::SubmissionIndex> {
        let places = (0..HEIGHT * WIDTH).map(|at| (at % WIDTH, at / WIDTH));
        let pixel = |(x, y)| [0, 1, 2, 3].map(|c| if c == 3 { 255 } else { (255.0 * wave(i, x, y, c)) as u8 });
        let pixels: Vec<u8> = places.flat_map(pixel).collect();
        let rows =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * WIDTH as u32), rows_per_image: None };
        queue.write_texture(video.as_image_copy(), &pixels, rows, video.size());
        let mut encoder = device.create_command_encoder(&Default::default());
        input.encode(&mut encoder, &source)?;
        session.encode(&mut encoder, &bound)?;
        output.encode(&mut encoder, &target)?;
        Ok(queue.submit([encoder.finish()]))
    };
    let wait = |submission| device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
    wait(submit(0)?)?;

    let start = Instant::now();
    let (mut flying, mut latencies) = (VecDeque::new(), Vec::new());
    let mut video = (0..).take_while(|&i| i == 0 || start.elapsed() < span);
    loop {
        if let Some(i) = video.next() {
            let begun = Instant::now();
            flying.push_back((begun, submit(i)?));
            if flying.len() < in_flight {
                continue;
            }
        }
        let Some((begun, submission)) = flying.pop_front() else { break };
        wait(submission)?;
        latencies.push(begun.elapsed());
    }
    Ok((latencies, start.elapsed()))
}
