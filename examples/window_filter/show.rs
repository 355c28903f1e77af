//! The drawing of a frame, to a window or to a file.

use super::filter::Filter;
use super::gpu::Gpu;
use super::panel::{Figures, Panel};
use super::scene::Scene;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use shadernet::{Model, Result, Session, Weights, models, wgpu};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) struct Show {
    pub(crate) gpu: Gpu,
    pub(crate) panel: Panel,
    /// The start of the network's part of the picture: 0.5 for the middle.
    pub(crate) line: f32,
    format: wgpu::TextureFormat,
    scene: Scene,
    weights: Weights,
    /// The model. Sessions of all sizes share its weights on the device.
    model: Option<Model>,
    filter: Option<Filter>,
    /// The session that is being created, with its size.
    coming: Option<([u32; 2], LocalBoxFuture<'static, Result<Session>>)>,
    /// The size for which there is no session, with the reason.
    refused: Option<([u32; 2], String)>,
    clock: Clock,
    /// The start of the picture that is being computed, and the number of its frames so far.
    begun: (Instant, u32),
    /// The number of frames that the last picture took.
    pub(crate) frames: u32,
    last: Option<Instant>,
    frame: Duration,
}

impl Show {
    /// Creates a show. `format` is the format of the textures to draw to.
    pub(crate) fn new(gpu: Gpu, format: wgpu::TextureFormat) -> Result<Show> {
        let now = Instant::now();
        Ok(Show {
            panel: Panel::new(&gpu.device, format),
            line: 0.5,
            format,
            scene: Scene::new(&gpu.device, &gpu.queue, format),
            weights: models::upscale_weights()?,
            model: None,
            filter: None,
            coming: None,
            refused: None,
            clock: Clock::start(&gpu.device),
            begun: (now, 0),
            frames: 0,
            last: None,
            frame: Duration::ZERO,
            gpu,
        })
    }

    /// Returns the size of the picture in a window, and the size of the scene: half of that.
    fn sizes(&self, window: [u32; 2]) -> ([u32; 2], [u32; 2]) {
        let picture = [window[0] - self.panel.width(window[0]), window[1]];
        (picture, picture.map(|size| size.div_ceil(2)))
    }

    /// Fits the scene and the network to the window. A network for another size is created in the background; until
    /// then the old one runs, and its pictures are stretched.
    fn fit(&mut self, window: [u32; 2]) -> Result<()> {
        let (_, size) = self.sizes(window);
        self.refused.take_if(|(of, _)| *of != size);
        let (texture, is_new) = self.scene.texture(size);
        if let Some(filter) = self.filter.as_mut().filter(|_| is_new) {
            filter.read(texture)?;
        }
        if let Some((of, made)) = self.coming.as_mut().and_then(|(of, made)| Some((*of, made.now_or_never()?))) {
            self.coming = None;
            match made.and_then(|session| Filter::new(session, self.scene.texture(size).0, self.format)) {
                Ok(filter) => {
                    self.filter = Some(filter);
                    // Earlier frames had another network, and measuring this one took time: the mean starts again.
                    (self.last, self.frame) = (None, Duration::ZERO);
                }
                Err(error) => self.refused = Some((of, error.to_string())),
            }
        }
        let fits = self.filter.as_ref().is_some_and(|filter| filter.sizes()[0] == size.map(|size| size as usize));
        if !fits && self.refused.is_none() && self.coming.is_none() {
            let [width, height] = size.map(|size| size as usize);
            let graph = models::find("upscale")?.graph(&self.weights, Some([height, width]))?;
            let model = match &self.model {
                Some(model) => model.with_graph(&graph)?,
                None => Model::new(&self.gpu.context, &graph)?,
            };
            self.coming = Some((size, Box::pin(model.session_in_background(1))));
            self.model = Some(model);
        }
        Ok(())
    }

    /// Waits for the network that fits the window. A real window never waits.
    pub(crate) fn wait(&mut self, window: [u32; 2]) -> Result<(), Box<dyn Error>> {
        self.fit(window)?;
        if let Some((of, coming)) = self.coming.take() {
            let made = pollster::block_on(coming);
            self.coming = Some((of, Box::pin(async { made })));
            self.fit(window)?;
        }
        self.refused.as_ref().map_or(Ok(()), |(_, error)| Err(error.clone().into()))
    }

    /// Measures the times of the network's steps again.
    pub(crate) fn measure(&mut self) -> Result<()> {
        (self.last, self.frame) = (None, Duration::ZERO);
        self.filter.as_mut().map_or(Ok(()), Filter::measure)
    }

    /// Draws a frame to a texture and submits it. `seconds` is the time of the animation, `input` the panel's events.
    pub(crate) fn frame(
        &mut self,
        target: &wgpu::Texture,
        seconds: f32,
        input: egui::RawInput,
    ) -> Result<egui::PlatformOutput, Box<dyn Error>> {
        self.gpu.check()?;
        // The device's own error comes first: other errors follow from it.
        self.submit(target, seconds, input).or_else(|error| self.gpu.check().and(Err(error.into())))
    }

    fn submit(&mut self, target: &wgpu::Texture, seconds: f32, input: egui::RawInput) -> Result<egui::PlatformOutput> {
        let window = [target.width(), target.height()];
        self.fit(window)?;
        let (picture, _) = self.sizes(window);
        let mut output = self.lay_out(input, picture != window);
        let asked = std::mem::take(&mut output.platform_output);

        let view = target.create_view(&wgpu::TextureViewDescriptor { format: Some(self.format), ..Default::default() });
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.scene.encode(&mut encoder);
        let mut finished = false;
        if let Some(filter) = &mut self.filter {
            if !filter.midway {
                self.begun = (Instant::now(), 0);
            }
            self.begun.1 += 1;
            // The first picture is computed at once, so that there is always one to show.
            let budget = if filter.is_ready() { self.panel.budget / 1e3 } else { 0.0 };
            finished = filter.encode(&mut encoder, Duration::from_secs_f32(budget))?;
            filter.draw(&mut encoder, target, picture)?;
        }
        // Until there is a network, the whole picture is stretched.
        let line = if self.filter.is_some() { self.line } else { 1.0 };
        let columns = (line * picture[0] as f32).round() as u32;
        self.scene.update(seconds, picture[0], columns);
        self.scene.stretch(&mut encoder, &view, picture, columns);
        self.panel.encode(&self.gpu.device, &self.gpu.queue, &mut encoder, &view, window, output);
        let submission = self.gpu.queue.submit([encoder.finish()]);
        if finished {
            self.frames = self.begun.1;
            self.clock.stop(self.begun.0, submission);
        }
        Ok(asked)
    }

    fn lay_out(&mut self, input: egui::RawInput, visible: bool) -> egui::FullOutput {
        // The frame's time is a mean over about ten frames.
        let now = Instant::now();
        let passed = self.last.replace(now).map_or(Duration::ZERO, |last| now - last);
        self.frame = if self.frame.is_zero() { passed } else { self.frame.mul_f32(0.9) + passed.mul_f32(0.1) };
        let message = match (&self.coming, &self.refused) {
            (Some(_), _) => Some("the network is being made for this size"),
            (None, Some((_, error))) => Some(error.as_str()),
            (None, None) => None,
        };
        let figures = Figures {
            adapter: &self.gpu.context.info().name,
            frame: self.frame,
            latency: self.clock.latency(),
            frames: self.frames,
            sizes: self.filter.as_ref().map(Filter::sizes),
            steps: self.filter.iter().flat_map(Filter::steps).collect(),
            message,
        };
        self.panel.run(input, visible, &figures)
    }

    /// Returns the time of the network's last picture; zero if there is none.
    pub(crate) fn latency(&self) -> Duration {
        self.clock.latency()
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        // A session must be finished before the process ends.
        let _unused = self.coming.take().map(|(_, coming)| pollster::block_on(coming));
    }
}

/// A clock that waits for pictures on a thread of its own, so that no frame waits.
struct Clock {
    pictures: Option<mpsc::Sender<(Instant, wgpu::SubmissionIndex)>>,
    thread: Option<JoinHandle<()>>,
    nanoseconds: Arc<AtomicU64>,
}

impl Clock {
    fn start(device: &wgpu::Device) -> Clock {
        let (pictures, receiver) = mpsc::channel::<(Instant, wgpu::SubmissionIndex)>();
        let nanoseconds = Arc::new(AtomicU64::new(0));
        let (device, last) = (device.clone(), nanoseconds.clone());
        let thread = std::thread::spawn(move || {
            for (begun, submission) in receiver {
                let done = device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None });
                if done.is_ok() {
                    last.store(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
                }
            }
        });
        Clock { pictures: Some(pictures), thread: Some(thread), nanoseconds }
    }

    fn stop(&self, begun: Instant, submission: wgpu::SubmissionIndex) {
        // Without a thread there is no figure.
        let _unheard = self.pictures.as_ref().map(|pictures| pictures.send((begun, submission)));
    }

    fn latency(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }
}

impl Drop for Clock {
    /// Joins the thread, which may hold the device: a driver that is unloaded while `main` ends crashes the process.
    fn drop(&mut self) {
        self.pictures = None;
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}
