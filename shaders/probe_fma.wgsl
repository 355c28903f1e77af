// Fused multiply-adds and nothing else: how many a device computes in a second, for `measure::Peaks`.
//
// Each invocation keeps 8 vectors, which depend on nothing but themselves, and computes 32 * params.rounds vector
// fused multiply-adds: 256 * params.rounds operations. x holds what nobody can foresee, so that nothing is folded;
// y receives their sum, so that nothing is left out.

alias Number = f32;

struct Params { rounds: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

struct Sums {
    a: vec4<Number>, b: vec4<Number>, c: vec4<Number>, d: vec4<Number>,
    e: vec4<Number>, f: vec4<Number>, g: vec4<Number>, h: vec4<Number>,
}

fn step(s: Sums, m: vec4<Number>, n: vec4<Number>) -> Sums {
    return Sums(
        fma(s.a, m, n), fma(s.b, m, n), fma(s.c, m, n), fma(s.d, m, n),
        fma(s.e, m, n), fma(s.f, m, n), fma(s.g, m, n), fma(s.h, m, n),
    );
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = linear(group, groups) * 256u + lane;
    let m = vec4<Number>(x[0]);
    let n = vec4<Number>(x[1]);
    let v = vec4<Number>(x[2u + lane]);
    var s = Sums(v, v + m, v + n, v * m, v * n, v + m + n, v - m, v - n);
    for (var round = 0u; round < params.rounds; round++) {
        s = step(step(step(step(s, m, n), m, n), m, n), m, n);
    }
    y[i] = vec4<f32>(s.a + s.b + s.c + s.d + s.e + s.f + s.g + s.h);
}
