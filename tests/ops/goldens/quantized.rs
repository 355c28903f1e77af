//! Cases of operations on quantised numbers.

use super::Attributes;
use shadernet::IntType;
use shadernet::selftest::ops::{integer_conv2d, integer_matmul, packed_linear, quantize};
use shadernet::selftest::reference::{Conv, Tensor};

/// Computes operations on quantised numbers.
pub fn quantized(op: &str, attributes: &mut Attributes, inputs: &[Tensor]) -> Option<Tensor> {
    let (x, zero) = (&inputs[0], Tensor::new([], vec![0.0]));
    Some(match op {
        "quantize" | "dequantize" => {
            let (scale, zero) = (&inputs[1], inputs.get(2).unwrap_or(&zero));
            let (axis, block) = (attributes.size("axis"), attributes.size("block_size"));
            let block = (block > 0).then_some(block);
            match op {
                "quantize" => quantize::quantize(x, scale, zero, axis, block, int_type(attributes)),
                _ => quantize::dequantize(x, scale, zero, axis, block),
            }
        }
        "dynamic_quantize" => quantize::dynamic_quantize(x)[attributes.size("part")].clone(),
        "integer_matmul" => integer_matmul::integer_matmul(x, &inputs[1], &inputs[2], &inputs[3]),
        "qlinear_matmul" => {
            let sums = integer_matmul::integer_matmul(x, &inputs[1], &inputs[2], &inputs[3]);
            end(attributes, &inputs[4]).reference(&sums, 1)
        }
        "integer_conv2d" | "qlinear_conv2d" => {
            let [top, left, bottom, right] = attributes.sizes("pads");
            let conv = Conv {
                stride: attributes.sizes("strides"),
                padding: [[top, bottom], [left, right]],
                dilation: attributes.sizes("dilations"),
                groups: attributes.size("group"),
                ..Conv::ONE
            };
            let sums = integer_conv2d::integer_conv2d(x, &inputs[1], [&inputs[2], &inputs[3]], inputs.get(4), &conv);
            if op == "integer_conv2d" { sums } else { end(attributes, &inputs[5]).reference(&sums, 1) }
        }
        "matmul_nbits" => {
            let block = attributes.size("block_size");
            let weight = packed_linear::dequantized(&inputs[1], &inputs[2], inputs.get(3), Some(block));
            packed_linear::packed_linear(x, &weight, None)
        }
        _ => return None,
    })
}

fn int_type(attributes: &mut Attributes) -> IntType {
    let name = attributes.get("type").as_str().expect("a type").to_owned();
    let types = [IntType::U4, IntType::I4, IntType::U8, IntType::I8, IntType::U16, IntType::I16];
    types.into_iter().find(|of| of.to_string() == name).unwrap_or_else(|| panic!("type {name}"))
}

fn end(attributes: &mut Attributes, w_scale: &Tensor) -> integer_matmul::End {
    let [x_scale, y_scale] = ["x_scale", "y_scale"].map(|name| attributes.number(name) as f32);
    let zero = i32::try_from(attributes.size("zero")).expect("a small one");
    integer_matmul::End { x_scale, w_scale: w_scale.clone(), y_scale, zero, to: int_type(attributes) }
}
