// The scale and the zero point of numbers 0..most that quantise least..greatest: scale = (max(greatest, 0) - min(least,
// 0)) / most, 1 if it is 0, NaN if an operand is; zero_point = saturate(round(-min(least, 0) / scale)). One invocation.

struct Params { most: f32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> greatest: array<f32>;
@group(0) @binding(2) var<storage, read> least: array<f32>;
@group(0) @binding(3) var<storage, read_write> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> zero_point: array<i32>;

fn load_greatest(i: u32) -> f32 { return greatest[i]; }
fn load_least(i: u32) -> f32 { return least[i]; }
fn store_scale(i: u32, value: f32) { scale[i] = value; }
fn store_zero_point(i: u32, value: i32) { zero_point[i] = value; }

@compute @workgroup_size(1)
fn main(group: Group) {
    if linear(group.id, group.count) > 0u { return; }
    let below = -minimum(vec4<f32>(load_least(0u)), vec4<f32>()).x;
    let range = maximum(vec4<f32>(load_greatest(0u)), vec4<f32>()).x + below;
    let s = select(range / params.most, 1.0, range == 0.0);
    store_scale(0u, s);
    store_zero_point(0u, quantized(vec4<f32>(below / s), vec4<i32>(), 0, i32(params.most)).x);
}
