//! The network between the application's textures.

use super::scene;
use shadernet::measure::{Effort, step_times};
use shadernet::texture::{Drawing, Region, Sampling, Source};
use shadernet::texture::{TextureInput, TextureOutput};
use shadernet::{BoundBuffers, FrameSlices, Result, Session, wgpu};
use std::time::Duration;

/// A session for one size of the scene, bound to its textures.
pub(crate) struct Filter {
    session: Session,
    input: TextureInput,
    source: Source,
    /// Two outputs: one picture is shown while the next one is computed, perhaps over several frames.
    outputs: [(TextureOutput, BoundBuffers); 2],
    /// The index of the output that is shown; `None` before the first picture.
    front: Option<usize>,
    /// The time of each step.
    times: Vec<Duration>,
    slices: FrameSlices,
    /// True while a picture is begun and not finished.
    pub(crate) midway: bool,
}

/// The longest dispatch. Longer ones are split, so that a small budget can be kept.
const LONGEST: Duration = Duration::from_millis(2);

impl Filter {
    pub(crate) fn new(session: Session, from: &wgpu::Texture, to: wgpu::TextureFormat) -> Result<Filter> {
        let context = session.context();
        let input = TextureInput::new(context, &session.inputs()[0], scene::FORMAT, Sampling::new())?;
        let source = input.bind(from)?;
        let output = || -> Result<(TextureOutput, BoundBuffers)> {
            let usage = wgpu::TextureUsages::RENDER_ATTACHMENT;
            let output = TextureOutput::new(context, &session.outputs()[0], to, usage, Drawing::image())?;
            let bound = session.bind(&[input.buffer()], &[output.buffer()])?;
            Ok((output, bound))
        };
        let outputs = [output()?, output()?];
        let (times, slices) = measured(&session)?;
        Ok(Filter { session, input, source, outputs, front: None, times, slices, midway: false })
    }

    /// Reads another texture from the next picture on. A texture of another size is resized.
    pub(crate) fn read(&mut self, from: &wgpu::Texture) -> Result<()> {
        self.source = self.input.bind(from)?;
        Ok(())
    }

    /// Measures the times of the steps again.
    pub(crate) fn measure(&mut self) -> Result<()> {
        (self.times, self.slices) = measured(&self.session)?;
        // The picture that was begun is lost.
        self.midway = false;
        Ok(())
    }

    /// Records as much of a picture as the budget allows, or all if that is zero. Returns true if it is finished.
    pub(crate) fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, budget: Duration) -> Result<bool> {
        if !self.midway {
            self.input.encode(encoder, &self.source)?;
        }
        let back = self.front.map_or(0, |front| 1 - front);
        let bound = &self.outputs[back].1;
        let finished = if budget.is_zero() && !self.midway {
            self.session.encode(encoder, bound)?;
            true
        } else {
            let budget = if budget.is_zero() { Duration::MAX } else { budget };
            self.session.encode_within(encoder, bound, &mut self.slices, budget)?.finished
        };
        self.midway = !finished;
        if finished {
            self.front = Some(back);
        }
        Ok(finished)
    }

    /// Draws the last finished picture into a rectangle of a texture, which may be the swap chain's own.
    pub(crate) fn draw(&self, encoder: &mut wgpu::CommandEncoder, to: &wgpu::Texture, size: [u32; 2]) -> Result<()> {
        let Some(front) = self.front else { return Ok(()) };
        let output = &self.outputs[front].0;
        // A swap chain gives a new texture in each frame; any other texture would be bound once.
        let target = output.bind(Region::whole(to).rect([0, 0, size[0], size[1]]))?;
        output.encode(encoder, &target)
    }

    /// Returns true if there is a picture to draw.
    pub(crate) fn is_ready(&self) -> bool {
        self.front.is_some()
    }

    /// Returns the sizes of the input and the output, width first.
    pub(crate) fn sizes(&self) -> [[usize; 2]; 2] {
        [&self.session.inputs()[0], &self.session.outputs()[0]].map(|port| [port.shape[3], port.shape[2]])
    }

    /// Returns the name and the time of each step.
    pub(crate) fn steps(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.session.plan().steps.iter().map(|step| step.node.as_str()).zip(self.times.iter().copied())
    }
}

/// Measures the steps and prepares slices. Waits for the device, a few frames long.
fn measured(session: &Session) -> Result<(Vec<Duration>, FrameSlices)> {
    let times = step_times(session, Effort::Frames(3))?;
    let slices = session.slices(&times, LONGEST)?;
    Ok((times, slices))
}
