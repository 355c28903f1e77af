//! Sound in chunks, one after the other.

use super::numbers::MOST_NUMBERS;
use shadernet::{Data, ErrorKind, Result, Shape, Tensor};

/// The chunks of a sound: parts of its last axis. Each is cut when it is needed, since chunks may overlap.
pub(super) struct Chunks {
    sound: Tensor,
    chunk: usize,
    hop: usize,
}

impl Chunks {
    pub(super) fn new(sound: Tensor, chunk: usize, hop: usize) -> Result<Chunks> {
        for (argument, samples) in [("--chunk", chunk), ("--hop", hop)] {
            if !(1..=MOST_NUMBERS).contains(&samples) {
                return Err(ErrorKind::argument(argument, "1 to 2^28 samples", samples).into());
            }
        }
        if sound.shape().elements() == 0 {
            return Err(ErrorKind::argument("--chunk", "a .wav file with samples", sound.shape()).into());
        }
        Ok(Chunks { sound, chunk, hop })
    }

    fn samples(&self) -> usize {
        self.sound.shape().last().copied().unwrap_or(1)
    }

    pub(super) fn count(&self) -> usize {
        self.samples().saturating_sub(self.chunk).div_ceil(self.hop) + 1
    }

    /// Returns a chunk. Zeros fill the last one.
    pub(super) fn at(&self, i: usize) -> Result<Tensor> {
        fn cut<T: Copy>(values: &[T], zero: T, [samples, chunk, start]: [usize; 3]) -> Vec<T> {
            let rows = values.chunks(samples);
            rows.flat_map(|row| (start..start + chunk).map(move |i| row.get(i).copied().unwrap_or(zero))).collect()
        }
        let place = [self.samples(), self.chunk, i * self.hop];
        let data = match self.sound.data() {
            Data::F32(values) => Data::F32(cut(values, 0.0, place)),
            Data::I32(values) => Data::I32(cut(values, 0, place)),
            Data::Bool(values) => Data::Bool(cut(values, false, place)),
        };
        let [outer @ .., _] = &self.sound.shape()[..] else { return Tensor::new([0; 0], data) };
        Tensor::new(Shape::from([outer, &[self.chunk]].concat()), data)
    }
}
