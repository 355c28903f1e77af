//! Sound from `.wav` files.

use crate::error::{ErrorKind, Result};
use hound::{SampleFormat, WavReader};
use std::path::Path;

/// The sound of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples in a second.
    pub rate: u32,
    /// The number of channels.
    pub channels: usize,
    /// The samples in -1..1, the channels of one moment together.
    pub samples: Vec<f32>,
}

/// Reads a file of integers of 8 to 32 bits, or of 32-bit floating-point numbers.
pub fn open(path: &Path) -> Result<Sound> {
    let problem =
        |error: hound::Error| ErrorKind::file(path, format_args!("not a .wav file that can be read: {error}"));
    let file = WavReader::open(path).map_err(|error| match error {
        hound::Error::IoError(error) => ErrorKind::file(path, error),
        other => problem(other),
    })?;
    let header = file.spec();
    let samples: Result<Vec<f32>, _> = match header.sample_format {
        SampleFormat::Float => file.into_samples::<f32>().collect(),
        SampleFormat::Int => {
            let whole = f64::from(1u32 << (header.bits_per_sample - 1).min(31));
            file.into_samples::<i32>().map(|sample| Ok((f64::from(sample?) / whole) as f32)).collect()
        }
    };
    Ok(Sound { rate: header.sample_rate, channels: header.channels.into(), samples: samples.map_err(problem)? })
}

impl Sound {
    /// Returns the number of moments: samples of each channel.
    pub fn len(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    /// Returns true if there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the samples of one channel after those of another.
    pub fn planes(&self) -> Vec<f32> {
        let channel = |channel| self.samples.iter().copied().skip(channel).step_by(self.channels);
        (0..self.channels).flat_map(channel).collect()
    }
}
