//! A summary as text: a table of the layers, then the totals.

use super::{Energy, Layer, Summary};
use crate::Precision;
use crate::kernel::Scalar;
use std::fmt;

/// The greatest widths of names and operations: a longer name loses its beginning, a longer operation its end.
const NAME: usize = 28;
const OP: usize = 19;

/// The titles of the columns, and the number of those that hold words.
const HEADER: [&str; 9] =
    ["layer", "op", "output", "parameters", "MACs", "FLOPs", "activations", "FLOPs/B", "receptive field"];
const WORDS: usize = 3;

/// Writes the table of the layers, in Markdown, and the totals below it. `shadernet summary` prints this.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.layers.iter().map(cells).collect();
        let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0).max(HEADER[i].len());
        let widths: [usize; HEADER.len()] = std::array::from_fn(width);
        write_row(f, &HEADER.map(String::from), &widths)?;
        let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width + 2)).collect();
        writeln!(f, "|{}|", rules.join("|"))?;
        rows.iter().try_for_each(|row| write_row(f, row, &widths))?;
        writeln!(f)?;

        let mut line = |what: &str, number: u64, more: &str| {
            let line = format!("{what:<20} {:>18} {more}", thousands(number));
            writeln!(f, "{}", line.trim_end())
        };
        line("parameters", self.parameters, "")?;
        line("weights, no biases", self.weights, "")?;
        for (storage, bits) in Summary::STORAGE {
            line(&format!("model size, {storage}"), self.model_bytes(bits), "bytes")?;
        }
        let values = if self.precision.values() == Scalar::F16 { "f16" } else { "f32" };
        if self.parameter_bytes != self.model_bytes(32) {
            let weights = if self.precision == Precision::F32 { "" } else { "weights as f16, " };
            let at = self.precision;
            let of = format!("bytes at precision {at}: {weights}packed integers as packed, other parameters as f32");
            line("model size, stored", self.parameter_bytes, &of)?;
        }
        line("MACs", self.macs, "")?;
        line("FLOPs", self.flops, &format!("of them {} beside the MACs", thousands(self.other)))?;
        let bytes = |bytes: u64| format!("{} bytes as {values}", thousands(bytes));
        line("activations, total", self.activations_total, &bytes(self.activations_total_bytes))?;
        line("activations, peak", self.activations_peak, &bytes(self.activations_peak_bytes))?;
        let intensity = self.intensity().unwrap_or_default();
        line("bytes moved", self.bytes, &format!("each layer on its own: {intensity:.2} FLOPs a byte"))?;
        let Energy { arithmetic, memory } = self.energy_estimate();
        write!(
            f,
            "{:<20} {:>15.3} mJ of arithmetic and {:.3} mJ of DRAM: an estimate for 45 nm (Horowitz 2014), not a measurement",
            "energy",
            arithmetic * 1e3,
            memory * 1e3,
        )
    }
}

/// Writes a row of the table: words begin at the left, numbers end at the right.
fn write_row(f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    for (i, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        if i < WORDS { write!(f, "| {cell:<width$} ")? } else { write!(f, "| {cell:>width$} ")? }
    }
    writeln!(f, "|")
}

fn cells(layer: &Layer) -> [String; HEADER.len()] {
    let unless_zero = |number: u64, text: fn(u64) -> String| if number == 0 { String::new() } else { text(number) };
    let held = if layer.cost.activations { layer.output_shape.elements() as u64 } else { 0 };
    [
        tail(&layer.name, NAME),
        head(layer.op, OP),
        layer.output_shape.to_string(),
        unless_zero(layer.cost.parameters, thousands),
        unless_zero(layer.cost.macs, short),
        unless_zero(layer.flops(), short),
        unless_zero(held, short),
        layer.intensity().filter(|&of| of > 0.0).map_or_else(String::new, |of| format!("{of:.2}")),
        layer.receptive_field.as_ref().map_or_else(String::new, ToString::to_string),
    ]
}

/// Formats 1234567 as 1,234,567.
#[doc(hidden)]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

/// Shortens a text to its first characters.
fn head(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// Shortens a text to its last characters, which tell layers apart.
fn tail(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    ['…'].into_iter().chain(text.chars().skip(count - most + 1)).collect()
}

/// Formats a number with three digits: 1.23 M.
fn short(number: u64) -> String {
    let (mut scaled, mut units) = (number as f64, ["", " k", " M", " G", " T", " P"].into_iter());
    let mut unit = units.next().unwrap_or_default();
    while scaled >= 999.5 {
        let Some(next) = units.next() else { break };
        (scaled, unit) = (scaled / 1e3, next);
    }
    let decimals = if unit.is_empty() || scaled >= 99.95 { 0 } else { 1 + usize::from(scaled < 9.995) };
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::{head, short, tail};

    #[test]
    fn columns_stay_narrow() {
        let numbers = [0, 7, 999, 1000, 9_994, 9_995, 99_950, 999_499, 999_500, 105_415_200, u64::MAX];
        let texts = ["0", "7", "999", "1.00 k", "9.99 k", "10.0 k", "100 k", "999 k", "1.00 M", "105 M", "18447 P"];
        assert_eq!(numbers.map(short), texts);
        assert_eq!((head("softmax", 7), head("softmaxes", 7)), ("softmax".into(), "softma…".into()));
        assert_eq!((tail("conv1.0", 7), tail("layer1.0.conv2", 7)), ("conv1.0".into(), "….conv2".into()));
    }
}
