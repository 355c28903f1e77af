// Fused multiply-adds and nothing else: `measure::Peaks` measures how many a device computes in a second.
//
// Each invocation keeps 3 independent vectors and computes 24 * params.rounds vector fused multiply-adds: 192 *
// params.rounds operations. 8 vectors exceed a processor's registers (llvmpipe, two cores: 67 to 92 GFLOP/s in four
// runs, instead of 92 to 130). The compiler can't foresee x, so that it folds nothing; y receives the vectors' sum, so
// that it drops nothing.

alias Number = f32;

struct Params { rounds: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

struct Sums { a: vec4<Number>, b: vec4<Number>, c: vec4<Number> }

fn step(s: Sums, m: Number, n: Number) -> Sums {
    return Sums(fma(s.a, vec4(m), vec4(n)), fma(s.b, vec4(m), vec4(n)), fma(s.c, vec4(m), vec4(n)));
}

fn steps(s: Sums, m: Number, n: Number) -> Sums {
    return step(step(step(step(s, m, n), m, n), m, n), m, n);
}

@compute @workgroup_size(256)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 256u + lane;
    let m = Number(x[0].x);
    let n = Number(x[0].y);
    let v = vec4<Number>(x[1u + lane]);
    var s = Sums(v, v + vec4(m), v * vec4(n));
    for (var round = 0u; round < params.rounds; round++) {
        s = steps(steps(s, m, n), m, n);
    }
    y[i] = vec4<f32>(s.a + s.b + s.c);
}
