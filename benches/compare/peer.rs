//! The common part of the comparison's Rust programs. They take `NETWORK WEIGHTS INPUT OUTPUT SECONDS`, write the first
//! frame's output to OUTPUT, and print JSON: the milliseconds of the first inference and of the frames after it, and
//! the process's peak memory.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The number of tokens in a decoder's prompt. One more token follows it.
pub(crate) const PROMPT: usize = 128;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A measurement to make.
pub(crate) struct Task {
    pub(crate) network: String,
    pub(crate) weights: PathBuf,
    pub(crate) input: Array,
    output: PathBuf,
    seconds: f64,
}

/// A shape and its numbers. Integers are small enough to be exact.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Array {
    /// Returns the tokens in `range` of each text.
    pub(crate) fn tokens(&self, range: Range<usize>) -> Vec<i32> {
        let texts = self.values.chunks_exact(self.shape[1]);
        texts.flat_map(|text| &text[range.clone()]).map(|&token| token as i32).collect()
    }
}

impl Task {
    pub(crate) fn of(arguments: impl Iterator<Item = String>) -> Result<Task> {
        let arguments: Vec<String> = arguments.collect();
        let [network, weights, input, output, seconds] = &arguments[..] else {
            return Err("wanted NETWORK WEIGHTS INPUT OUTPUT SECONDS".into());
        };
        let input = read(Path::new(input))?.remove("x").ok_or("there is no x in the input")?;
        let (network, weights, output) = (network.clone(), weights.into(), output.into());
        Ok(Task { network, weights, input, output, seconds: seconds.parse()? })
    }

    /// Creates the network and times it. Every frame, also the first, goes from host memory to host memory.
    pub(crate) fn measure<Run: FnMut() -> Result<Vec<f32>>>(
        &self,
        make: impl FnOnce() -> Result<Run>,
    ) -> Result<Value> {
        let start = Instant::now();
        let mut run = make()?;
        let y = run()?;
        let first = start.elapsed();
        write(&self.output, &y)?;
        let mut times = Vec::new();
        let (warm, time) = (Duration::from_millis(200), Duration::from_secs_f64(self.seconds));
        let start = Instant::now();
        while first < warm && start.elapsed() < warm {
            run()?;
        }
        let start = Instant::now();
        while times.len() < 5 || start.elapsed() < time {
            let frame = Instant::now();
            run()?;
            times.push(ms(frame.elapsed()));
        }
        Ok(json!({ "first_ms": ms(first), "ms": times, "peak_mib": peak_mib() }))
    }
}

fn ms(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

/// Returns the arrays of a safetensors file.
pub(crate) fn read(path: &Path) -> Result<HashMap<String, Array>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file = SafeTensors::deserialize(&bytes)?;
    let tensors = file.iter().filter(|(_, tensor)| matches!(tensor.dtype(), Dtype::F32 | Dtype::I32));
    let array = |tensor: TensorView| {
        let words = tensor.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let values = match tensor.dtype() {
            Dtype::F32 => words.map(f32::from_le_bytes).collect(),
            _ => words.map(|word| i32::from_le_bytes(word) as f32).collect(),
        };
        Array { shape: tensor.shape().to_vec(), values }
    };
    Ok(tensors.map(|(name, tensor)| (name.to_owned(), array(tensor))).collect())
}

fn write(path: &Path, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = TensorView::new(Dtype::F32, vec![values.len()], &bytes)?;
    Ok(std::fs::write(path, safetensors::serialize([("y", tensor)], None)?)?)
}

/// Returns the peak memory of this process in MiB; `None` if the system doesn't report it.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
