// Three facts about a device that WebGPU leaves open, in one dispatch of one subgroup of 8 invocations.
//
// x, z: textures of 8 texels x 4 rows. Invocation i reads column i of x, and outside of x, where a texel must read as
// 0. It writes column i of x plus 1 to z, and outside of z, where a store must do nothing. y[i]: the sum of the texels
// inside; the sum of the texels outside; i, which a shuffle brought from the mirror image; the index in the subgroup.

struct Params { rows: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var z: texture_storage_2d<rgba32float, write>;

fn load_x(row: u32, column: u32) -> vec4<f32> { return textureLoad(x, vec2<u32>(column, row)); }
fn store_y(i: u32, value: vec4<f32>) { y[i] = value; }
fn store_z(row: u32, column: u32, value: vec4<f32>) { textureStore(z, vec2<u32>(column, row), value); }

@compute @workgroup_size(8)
fn main(group: Group, @builtin(local_invocation_index) i: u32, @builtin(subgroup_invocation_id) place: u32) {
    if linear(group.id, group.count) > 0u { return; }
    var inside = 0.0;
    var outside = 0.0;
    for (var row = 0u; row < params.rows; row++) {
        let texel = load_x(row, i);
        inside += dot(texel, vec4<f32>(1.0));
        outside += dot(abs(load_x(row, 8u + i)) + abs(load_x(row, 0u - 1u - i)), vec4<f32>(1.0));
        outside += dot(abs(load_x(params.rows + row, i)) + abs(load_x(0u - 1u - row, i)), vec4<f32>(1.0));
        store_z(row, i, texel + 1.0);
        store_z(row, 8u + i, vec4<f32>(1000.0));
        store_z(params.rows + row, i, vec4<f32>(1000.0));
        store_z(0u - 1u - row, i, vec4<f32>(1000.0));
    }
    let mirrored = subgroupShuffle(7u - i, 7u - i);
    store_y(i, vec4<f32>(inside, outside, f32(mirrored), f32(place)));
}
