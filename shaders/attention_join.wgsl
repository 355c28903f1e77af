// The end of attention in splits: joins the partial results of attention.wgsl and attention_decode.wgsl. The sums of a
// split weigh exp(its largest score - the largest score of all).
//
// One workgroup computes the row of one pair of a query and a query head; its invocations are columns of texels times
// slices of the splits. x: [pair][split][dv/4 texels of sums; one with the largest score and the sum of the weights].

override ALIGNED: bool = false; // Rows of y are whole vec4s.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<Texel>;

fn load_x(i: u32) -> vec4<f32> { return x[i]; }
fn store_y(i: u32, value: vec4<f32>) { y[i] = to_texel(value); }
fn store_y_element(i: u32, value: f32) { y[i / 4u][i % 4u] = value; }

// Stores texel c of the row that begins at element `at`. Unless ALIGNED, two rows may share a texel of y.
fn store_in_row(at: u32, c: u32, value: vec4<f32>) {
    if ALIGNED { store_y(at / 4u + c, value); }
    for (var j = 0u; j < 4u; j++) {
        if !ALIGNED && 4u * c + j < params.dv { store_y_element(at + 4u * c + j, value[j]); }
    }
}

var<workgroup> joint: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(workgroup: Group, @builtin(local_invocation_index) lane: u32) {
    let id = linear(workgroup.id, workgroup.count);
    let pairs = params.group * params.queries;
    let pair = id % pairs;
    let head = id / pairs % params.heads;
    let n = id / pairs / params.heads;
    if n >= params.batch { return; }
    let dv4 = (params.dv + 3u) / 4u;
    let columns = dv4 + 1u;
    let base = id * params.splits * columns;

    var largest = EXCLUDED;
    for (var i = lane; i < params.splits; i += 256u) { largest = max(largest, load_x(base + i * columns + dv4).x); }
    joint[lane].x = largest;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if lane < half { joint[lane].x = max(joint[lane].x, joint[lane + half].x); }
        workgroupBarrier();
    }
    largest = joint[0].x;
    workgroupBarrier();

    let slices = 256u / columns;
    var sums = vec4<f32>();
    if lane < slices * columns {
        for (var i = lane / columns; i < params.splits; i += slices) {
            let at = base + i * columns;
            sums += weight(vec4<f32>(load_x(at + dv4).x), vec4<f32>(largest)) * load_x(at + lane % columns);
        }
    }
    joint[lane] = sums;
    workgroupBarrier();
    // The column after those of v holds the sum of the weights.
    if lane < columns {
        sums = joint[lane];
        for (var i = 1u; i < slices; i++) { sums += joint[i * columns + lane]; }
    }
    workgroupBarrier();
    joint[lane] = sums;
    workgroupBarrier();
    let total = joint[dv4].y;
    if lane < dv4 {
        let value = sums * inverse(params, total);
        store_in_row(params.y.w + row_of(params.y, n, head, params.group, pair), lane, value);
    }
}
