// Product of integer matrices: y[m, n] = sum_k (a[m, k] - a_zero[m]) (b[k, n] - b_zero[n]), exact in i32. REQUANTIZE:
// the sum as a quantised number, saturate(round(sum scale[n]) + zero).
//
// One workgroup computes ROWS rows x 4 COLUMNS columns of one matrix: COLUMNS invocations, all rows of four columns
// each, times slices of k, which workgroup memory adds up. Neighbours read neighbouring b. The zero points of b are
// subtracted last, times the sum of a's row: one multiplication a column instead of one subtraction a product.
// a: row-major. b: (PACKED) `grouped` [k][n/4] words of four bytes, each the weight + `offset`, or row-major. a_zero,
// b_zero: one for all, or one for each row (column). y: row-major. Not measured on a GPU yet.
// Lost by compilers' registers: loads of a for all rows before their products (RTX 3090: 32 subgroups instead of 36).

const ROWS: u32 = 4u;
const COLUMNS: u32 = 16u;
const SLICES: u32 = 64u / COLUMNS;

override PACKED: bool = false;
override REQUANTIZE: bool = false;

struct Params {
    sizes: array<vec4<u32>, 2>, a: array<vec4<u32>, 2>, b: array<vec4<u32>, 2>,
    rows: u32, k: u32, n: u32, m: u32,
    a_zeros: u32, b_zeros: u32, offset: i32, zero: i32,
    lo: i32, hi: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<i32>;
@group(0) @binding(2) var<storage, read> b: array<u32>;
@group(0) @binding(3) var<storage, read> a_zero: array<i32>;
@group(0) @binding(4) var<storage, read> b_zero: array<i32>;
@group(0) @binding(5) var<storage, read> scale: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<i32>;

fn load_a(i: u32) -> i32 { return a[i]; }
fn load_b(i: u32) -> u32 { return b[i]; }
fn load_a_zero(i: u32) -> i32 { return a_zero[i]; }
fn load_b_zero(i: u32) -> i32 { return b_zero[i]; }
fn load_scale(i: u32) -> f32 { return scale[i]; }
fn store_y(i: u32, value: i32) { y[i] = value; }

// Returns four columns of a row of b; beyond the last column, the last one again.
fn four_of_b(base: u32, k: u32, column: u32) -> vec4<i32> {
    if PACKED {
        let word = load_b(grouped(k, column, params.k, (params.n + 3u) / 4u));
        return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
    }
    let row = base + k * params.n;
    let at = columns(column);
    return vec4<i32>(vec4<u32>(load_b(row + at.x), load_b(row + at.y), load_b(row + at.z), load_b(row + at.w)));
}

fn columns(column: u32) -> vec4<u32> {
    return min(4u * vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.n - 1u));
}

var<workgroup> shared_sums: array<vec4<i32>, 64>; // [slice][column]

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    // Adjacent workgroups read the same rows.
    let id = linear(group.id, group.count);
    let wide = (params.n + 4u * COLUMNS - 1u) / (4u * COLUMNS);
    let high = (params.rows + ROWS - 1u) / ROWS;
    let column = min(id % wide * COLUMNS + lane % COLUMNS, (params.n - 1u) / 4u);
    let first = id / wide % high * ROWS;
    let matrix = id / wide / high;
    var rest = matrix;
    var base_a = 0u;
    var base_b = 0u;
    for (var d = 7u; rest > 0u && d < 8u; d--) {
        let size = params.sizes[d / 4u][d % 4u];
        base_a += rest % size * params.a[d / 4u][d % 4u];
        base_b += rest % size * params.b[d / 4u][d % 4u];
        rest /= size;
    }
    // A workgroup beyond all matrices computes an earlier one again and writes nothing.

    var sums: array<vec4<i32>, ROWS>;
    var totals: array<i32, ROWS>;
    var rows: array<u32, ROWS>;
    var zeros: array<i32, ROWS>;
    for (var r = 0u; r < ROWS; r++) {
        let row = min(first + r, params.rows - 1u);
        rows[r] = base_a + row * params.k;
        zeros[r] = load_a_zero(row % params.m * params.a_zeros);
    }
    for (var k = lane / COLUMNS; k < params.k; k += SLICES) {
        let four = four_of_b(base_b, k, column);
        for (var r = 0u; r < ROWS; r++) {
            let value = load_a(rows[r] + k) - zeros[r];
            sums[r] += value * four;
            totals[r] += value;
        }
    }

    let at = columns(column);
    let of_columns = at * params.b_zeros;
    let zeros_b = vec4<i32>(
        load_b_zero(of_columns.x), load_b_zero(of_columns.y), load_b_zero(of_columns.z), load_b_zero(of_columns.w));
    let zero = zeros_b + params.offset;
    var scales = vec4<f32>();
    if REQUANTIZE { scales = vec4<f32>(load_scale(at.x), load_scale(at.y), load_scale(at.z), load_scale(at.w)); }
    let first_slice = lane < COLUMNS && id % wide * COLUMNS + lane <= (params.n - 1u) / 4u && rest == 0u;
    for (var r = 0u; r < ROWS; r++) {
        var sum = sums[r] - totals[r] * zero;
        if SLICES > 1u {
            workgroupBarrier();
            shared_sums[lane] = sum;
            workgroupBarrier();
            for (var half = 32u; half >= COLUMNS; half /= 2u) {
                if lane < half { shared_sums[lane] += shared_sums[lane + half]; }
                workgroupBarrier();
            }
            sum = shared_sums[lane];
        }
        if first_slice && first + r < params.rows {
            if REQUANTIZE {
                sum = quantized(vec4<f32>(sum) * scales, vec4<i32>(params.zero), params.lo, params.hi);
            }
            let to = (matrix * params.rows + first + r) * params.n + 4u * column;
            for (var l = 0u; l < min(4u, params.n - 4u * column); l++) { store_y(to + l, sum[l]); }
        }
    }
}
