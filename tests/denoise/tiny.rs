//! Small networks of the same form as Open Image Denoise's, with seeded weights, as archives.

use half::f16;
use shadernet::{Shape, Weights};

/// A tensor: name, sizes, numbers that an `f16` holds.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) sizes: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A network of a few channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiny {
    pub(crate) large: bool,
    /// The images that it takes.
    pub(crate) images: usize,
    /// The channels of the five stages; a decoder has as many as its stage.
    pub(crate) channels: [usize; 5],
}

impl Tiny {
    /// Returns the convolutions in order: name, inputs, outputs.
    pub(crate) fn layers(&self) -> Vec<(String, usize, usize)> {
        let [input, c] = [[3 * self.images; 5], self.channels];
        let mut layers = Vec::new();
        let mut channels = input[0];
        let mut add = |name: String, skipped: usize, out: usize| {
            layers.push((name, channels + skipped, out));
            channels = out;
        };
        if !self.large {
            add("enc_conv0".into(), 0, c[0]);
        }
        for stage in 1..=4 {
            for part in if self.large { &["a", "b"][..] } else { &[""] } {
                add(format!("enc_conv{stage}{part}"), 0, c[stage - 1]);
            }
        }
        add("enc_conv5a".into(), 0, c[4]);
        add("enc_conv5b".into(), 0, c[4]);
        for stage in (1..=4).rev() {
            let skipped = if stage == 1 { input[0] } else { c[stage - 2] };
            add(format!("dec_conv{stage}a"), skipped, c[stage - 1]);
            add(format!("dec_conv{stage}b"), 0, c[stage - 1]);
        }
        let last = if self.large { "dec_conv1c" } else { "dec_conv0" };
        add(last.into(), 0, 3);
        layers
    }

    pub(crate) fn tensors(&self) -> Vec<Tensor> {
        let weights = Weights::seeded(22);
        let (layers, mut tensors) = (self.layers(), Vec::new());
        let last = layers.last().map(|(layer, ..)| layer);
        for (layer, inputs, outputs) in &layers {
            for (name, sizes) in [("weight", vec![*outputs, *inputs, 3, 3]), ("bias", vec![*outputs])] {
                let name = format!("{layer}.{name}");
                let seeded = weights.get(&name, Shape::from(sizes.clone())).unwrap().values();
                // The output of the last layer is about 0.4 to 0.6: much larger ones are infinite when they are decoded.
                let (factor, more) = match (Some(layer) == last, sizes.len()) {
                    (true, 4) => (0.1, 0.0),
                    (true, _) => (1.0, 0.5),
                    _ => (1.0, 0.0),
                };
                let values = seeded.iter().map(|value| f16::from_f32(value * factor + more).to_f32()).collect();
                tensors.push(Tensor { name, sizes, values });
            }
        }
        tensors
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        archive(&self.tensors(), true)
    }
}

/// Writes an archive of `f16`s or `f32`s, the table after the numbers.
pub(crate) fn archive(tensors: &[Tensor], half: bool) -> Vec<u8> {
    let (mut bytes, mut table) = (vec![0xd7, 0x41, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0], Vec::new());
    table.extend((tensors.len() as u32).to_le_bytes());
    for Tensor { name, sizes, values } in tensors {
        table.extend((name.len() as u16).to_le_bytes());
        table.extend(name.as_bytes());
        table.push(sizes.len() as u8);
        sizes.iter().for_each(|&size| table.extend((size as u32).to_le_bytes()));
        table.extend(if sizes.len() == 1 { &b"x"[..] } else { &b"oihw"[..] });
        table.push(if half { b'h' } else { b'f' });
        table.extend((bytes.len() as u64).to_le_bytes());
        for &value in values {
            match half {
                true => bytes.extend(f16::from_f32(value).to_le_bytes()),
                false => bytes.extend(value.to_le_bytes()),
            }
        }
    }
    let offset = (bytes.len() as u64).to_le_bytes();
    bytes[4..12].copy_from_slice(&offset);
    bytes.extend(table);
    bytes
}
