//! Cases of linear layers with packed weights, and their reference: types, blocks, zero points, fusion.

use crate::ops::{Activation, PackedLinear};
use crate::selftest::cases::{check_finished, constant, graph, outliers, packed, random, whole};
use crate::selftest::reference::{self, Tensor};
use crate::selftest::{Suite, Tolerance};
use crate::{Graph, IntType, Value};

/// Dequantises weights `[out, in]`. Scales and zero points are `[out, blocks]`, or one.
pub fn dequantized(q: &Tensor, scale: &Tensor, zero: Option<&Tensor>, block: Option<usize>) -> Tensor {
    let [out, features] = q.dims();
    let of = |scales: &Tensor, o: usize, k: usize| {
        let blocks = scales.data.len().div_ceil(out);
        let at = o * blocks + block.map_or(0, |block| k / block);
        f64::from(scales.data[if scales.data.len() == 1 { 0 } else { at }])
    };
    Tensor::build([out, features], |i| {
        (q.at(i) - zero.map_or(0.0, |zero| of(zero, i[0], i[1]))) * of(scale, i[0], i[1])
    })
}

/// Computes `x weightᵀ + bias`, with as many of the weight's inputs as x has.
pub fn packed_linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let features = x.shape[x.shape.len() - 1];
    let weight = Tensor::build([weight.shape[0], features], |i| weight.at(i));
    reference::linear(x, &weight, bias)
}

/// Runs the cases.
pub fn cases(t: &Suite) {
    sizes_about_the_tiles(t);
    blocks(t);
    zero_points(t);
    padded_blocks(t);
    transposed(t);
    many_rows(t);
    takes_in_residual_and_activation(t);
    what_pads_a_texel_is_nothing_to_it(t);
    not_finite(t);
}

const TYPES: [IntType; 4] = [IntType::U4, IntType::I4, IntType::U8, IntType::I8];

/// The case of a layer: sizes, type, blocks.
#[derive(Clone, Copy)]
pub struct Case {
    pub out: usize,
    pub features: usize,
    pub of: IntType,
    pub block: Option<usize>,
}

impl Case {
    pub fn q(&self) -> Tensor {
        whole(2, [self.out, self.features], self.of)
    }

    pub fn shape(&self) -> [usize; 2] {
        [self.out, self.block.map_or(1, |block| self.features.div_ceil(block))]
    }

    pub fn scale(&self) -> Tensor {
        random(3, self.shape()).map(|x| (1.5 + x) / 100.0)
    }

    pub fn op(&self) -> PackedLinear {
        let op = PackedLinear::new(packed(&self.q(), self.of), constant(&self.scale()));
        self.block.map_or(op.clone(), |block| op.block_size(block))
    }

    pub fn weight(&self) -> Tensor {
        dequantized(&self.q(), &self.scale(), None, self.block)
    }

    fn check(&self, t: &Suite, case: &str, x: &Tensor, op: PackedLinear, expected: &Tensor) {
        let graph = graph(&[x], |graph, x| graph.packed_linear(x[0], op));
        t.check(case, &graph, &[x], expected, Tolerance::Reduction(self.features));
    }
}

fn sizes_about_the_tiles(t: &Suite) {
    // A workgroup computes 1, 2, 4 or 8 rows of 4, 16, 64 or 256 outputs; a word holds 8 or 4 inputs, a chunk 64 or 32.
    let cases: [(&[usize], usize); 16] = [
        (&[1, 1], 1),
        (&[1, 7], 3),
        (&[1, 64], 16),
        (&[2, 65], 17),
        (&[3, 63], 15),
        (&[4, 8], 64),
        (&[5, 9], 65),
        (&[7, 32], 255),
        (&[8, 33], 256),
        (&[9, 31], 257),
        (&[1, 1024], 40),
        (&[17, 20], 68),
        (&[1, 40], 1100),
        (&[66, 12], 130),
        (&[6], 5),
        (&[2, 3, 2, 10], 7),
    ];
    for (i, (shape, out)) in cases.into_iter().enumerate() {
        let features = shape[shape.len() - 1];
        for of in [TYPES[i % 4], TYPES[(i + 2) % 4]] {
            let case = Case { out, features, of, block: None };
            let (x, bias) = (random(1, shape), random(4, [out]));
            let expected = packed_linear(&x, &case.weight(), Some(&bias));
            let op = case.op().bias(constant(&bias));
            case.check(t, &format!("{shape:?} to {out}, {of}"), &x, op, &expected);
        }
    }
}

fn blocks(t: &Suite) {
    for (features, block) in [(64, 16), (96, 32), (40, 8), (256, 128), (100, 16), (72, 24), (20, 32), (192, 64)] {
        for of in TYPES {
            let case = Case { out: 13, features, of, block: Some(block) };
            let x = outliers(1, [3, features]);
            let expected = packed_linear(&x, &case.weight(), None);
            case.check(t, &format!("blocks of {block} of {features}, {of}"), &x, case.op(), &expected);
        }
    }
}

fn zero_points(t: &Suite) {
    for of in TYPES {
        for (block, shape) in [(None, &[1][..]), (None, &[13]), (Some(16), &[1]), (Some(16), &[13, 3])] {
            let case = Case { out: 13, features: 42, of, block };
            let zero = whole(5, shape, of);
            let x = random(1, [2, 42]);
            let weight = dequantized(&case.q(), &case.scale(), Some(&zero), block);
            let expected = packed_linear(&x, &weight, None);
            let held = [constant(&zero), packed(&zero, of)];
            for (zero, how) in held.into_iter().zip(["integers", "packed"]) {
                let name = format!("zero points {shape:?}, {how}, blocks of {block:?}, {of}");
                case.check(t, &name, &x, case.op().zero_point(zero), &expected);
            }
        }
        // One scale for all outputs.
        let case = Case { out: 9, features: 24, of, block: None };
        let (x, scale) = (random(1, [2, 24]), Tensor::new([], vec![0.02]));
        let weight = dequantized(&case.q(), &scale, None, None);
        let op = PackedLinear::new(packed(&case.q(), of), constant(&scale));
        case.check(t, &format!("one scale, {of}"), &x, op, &packed_linear(&x, &weight, None));
    }
}

fn padded_blocks(t: &Suite) {
    for (features, of) in [(40usize, IntType::U4), (33, IntType::U8), (95, IntType::I4)] {
        let case = Case { out: 6, features: features.next_multiple_of(32), of, block: Some(32) };
        let x = random(1, [3, features]);
        let expected = packed_linear(&x, &case.weight(), None);
        case.check(t, &format!("{features} of blocks of 32, {of}"), &x, case.op(), &expected);
    }
}

fn swapped(x: &Tensor) -> Tensor {
    reference::transpose(x, &[1, 0]).with_dtype(x.dtype)
}

/// Checks layers of more rows than several workgroups have.
fn many_rows(t: &Suite) {
    for (i, of) in TYPES.into_iter().enumerate() {
        for block in [None, Some(16)] {
            let case = Case { out: 22, features: 40 + i, of, block };
            let zero = whole(5, case.shape(), of);
            let (x, bias) = (random(1, [3, 21, case.features]), random(4, [22]));
            let expected = packed_linear(&x, &dequantized(&case.q(), &case.scale(), Some(&zero), block), Some(&bias));
            let op = case.op().zero_point(constant(&zero)).bias(constant(&bias));
            case.check(t, &format!("63 rows, blocks of {block:?}, {of}"), &x, op, &expected);
            let op = PackedLinear::new(packed(&swapped(&case.q()), of), constant(&swapped(&case.scale())));
            let op = op.zero_point(constant(&swapped(&zero))).bias(constant(&bias)).transposed();
            let op = block.map_or(op.clone(), |block| op.block_size(block));
            case.check(t, &format!("63 rows, transposed, blocks of {block:?}, {of}"), &x, op, &expected);
        }
    }
}

fn transposed(t: &Suite) {
    for of in TYPES {
        for block in [None, Some(16)] {
            let case = Case { out: 11, features: 40, of, block };
            let zero = whole(5, case.shape(), of);
            let q = packed(&swapped(&case.q()), of);
            let op = PackedLinear::new(q, constant(&swapped(&case.scale()))).zero_point(constant(&swapped(&zero)));
            let op = block.map_or(op.clone(), |block| op.block_size(block)).transposed();
            let x = random(1, [3, 40]);
            let weight = dequantized(&case.q(), &case.scale(), Some(&zero), block);
            let name = format!("transposed, blocks of {block:?}, {of}");
            case.check(t, &name, &x, op, &packed_linear(&x, &weight, None));
        }
    }
}

fn takes_in_residual_and_activation(t: &Suite) {
    for rows in [1, 10] {
        let case = Case { out: 21, features: 48, of: IntType::I4, block: Some(16) };
        let (x, bias) = (random(1, [rows, 48]), random(5, [21]));
        let y = packed_linear(&x, &case.weight(), Some(&bias));
        let push = |graph: &mut Graph, x: &[Value]| graph.push(case.op().bias(constant(&bias)), x);
        check_finished(t, &format!("{rows} rows"), &[&x], &y, push, Tolerance::Transcendental);
    }
}

/// Checks a layer of six outputs: its last texel has two padding components, and a sigmoid turns their 0 into 0.5.
fn what_pads_a_texel_is_nothing_to_it(t: &Suite) {
    let first = Case { out: 6, features: 9, of: IntType::I8, block: None };
    let second = Case { out: 5, features: 6, of: IntType::U4, block: None };
    let x = random(1, [2, 3, 9]);
    let graph = graph(&[&x], |graph, x| {
        let y = graph.packed_linear(x[0], first.op())?;
        let y = graph.activation(y, Activation::Sigmoid)?;
        graph.packed_linear(y, second.op())
    });
    let y = reference::sigmoid(&packed_linear(&x, &first.weight(), None));
    t.check("a chain", &graph, &[&x], &packed_linear(&y, &second.weight(), None), Tolerance::Transcendental);
}

fn not_finite(t: &Suite) {
    for rows in [1, 10] {
        let case = Case { out: 21, features: 48, of: IntType::I4, block: Some(16) };
        let x = random(1, [rows, 48]);
        let graph = graph(&[&x], |graph, x| graph.packed_linear(x[0], case.op()));
        let reference = |x: &[&Tensor]| packed_linear(x[0], &case.weight(), None);
        t.check_not_finite(&format!("{rows} rows"), &graph, &[&x], reference, Tolerance::Reduction(48));
    }
}
