// Functions of one number, four at once. NaN stays NaN. Many need a polynomial: WGSL lacks them or promises less.
//
// kind: 0 abs, 1 neg, 2 sign, 3 floor, 4 ceil, 5 round, 6 sqrt, 7 rsqrt, 8 reciprocal, 9 exp, 10 log, 11 sin, 12 cos,
// 13 erf, 14 tan, 15 sinh, 16 cosh, 17 asin, 18 acos, 19 atan, 20 asinh, 21 acosh, 22 atanh. `src/ops/unary/` chooses.

fn unary(kind: u32, x: vec4<f32>) -> vec4<f32> {
    return select(function(kind, x), x, is_nan(x));
}

fn function(kind: u32, x: vec4<f32>) -> vec4<f32> {
    switch kind {
        case 1u: { return -x; }
        case 2u: { return sign(x); }
        case 3u: { return floor(x); }
        case 4u: { return ceil(x); }
        case 5u: { return round(x); }
        case 6u: { return sqrt(x); }
        case 7u: { return inverseSqrt(x); }
        case 8u: { return 1.0 / x; }
        case 9u: { return exp(x); }
        case 10u: { return logarithm(x); }
        case 11u: { return sine(x, 0); }
        case 12u: { return sine(x, 1); }
        case 13u: { return erf_near_zero_too(x); }
        case 14u: { return sine(x, 0) / sine(x, 1); }
        case 15u: { return sinh_near_zero_too(x); }
        case 16u: { return half_exp(x, 1.0); }
        case 17u: { return arcsine(x); }
        case 18u: { return arccosine(x); }
        case 19u: { return arctangent(x); }
        case 20u: { return mirrored(x, area_sine(abs(x))); }
        case 21u: { return area_cosine(x); }
        case 22u: { return mirrored(x, area_tangent(abs(x))); }
        default: { return abs(x); }
    }
}

// Returns sin(x + quarters π/2). WGSL's own may be off by 2^-11; here the absolute error is at most 1.5e-7 for all x.
// The argument is reduced to ±π/4, where Taylor's polynomials have errors of 2e-9 (sine) and 3e-8 (cosine).
fn sine(x: vec4<f32>, quarters: i32) -> vec4<f32> {
    let n = round(x * 0.63661977);
    // π/2 in three parts: the first two, times a number below 2^13, are exact.
    var r = ((x - n * 1.5703125) - n * 0.00048375129699707) - n * 7.5497899e-8;
    var quarter = vec4<i32>(n);
    let size = bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu);
    // Beyond 10,000; infinity and NaN too.
    let far = size > vec4<u32>(0x461c4000u);
    if any(far) {
        for (var i = 0u; i < 4u; i++) {
            if far[i] {
                let turned = less_quarters(bitcast<u32>(x[i]));
                r[i] = turned.r;
                quarter[i] = turned.quarters;
            }
        }
    }
    quarter += quarters;
    let q = r * r;
    let sin_r = r * (1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - q / 362880.0))));
    let cos_r = 1.0 - q * (0.5 - q * (1.0 / 24.0 - q * (1.0 / 720.0 - q / 40320.0)));
    let value = select(sin_r, cos_r, (quarter & vec4<i32>(1)) != vec4<i32>());
    return select(value, -value, (quarter & vec4<i32>(2)) != vec4<i32>());
}

// Returns erf(x). Up to 0.5, where erf is small, Taylor's polynomial has a relative error of at most 3e-8.
fn erf_near_zero_too(x: vec4<f32>) -> vec4<f32> {
    let q = x * x;
    let p = 1.0 / 10.0 - q * (1.0 / 42.0 - q * (1.0 / 216.0 - q / 1320.0));
    return select(erf(x), 1.12837917 * x * (1.0 - q * (1.0 / 3.0 - q * p)), abs(x) <= vec4<f32>(0.5));
}

// Returns the value of an odd function, from its value at |x|.
fn mirrored(x: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    return select(value, -value, x < vec4<f32>());
}

// Returns (e^|x| ± e^-|x|) / 2, by halves: e^|x| overflows before the result.
fn half_exp(x: vec4<f32>, other: f32) -> vec4<f32> {
    let root = exp(0.5 * min(abs(x), vec4<f32>(170.0)));
    return 0.5 * root * root + other * 0.5 / root / root;
}

// Returns sinh(x). Up to 1, where e^x and e^-x cancel, Taylor's polynomial has a relative error of at most 2e-10.
fn sinh_near_zero_too(x: vec4<f32>) -> vec4<f32> {
    let q = x * x;
    let near = x * (1.0 + q / 6.0 * (1.0 + q / 20.0 * (1.0 + q / 42.0 * (1.0 + q / 72.0 * (1.0 + q / 110.0)))));
    return select(mirrored(x, half_exp(x, -1.0)), near, abs(x) <= vec4<f32>(1.0));
}

// Returns asin(x) up to 1/2: a polynomial fitted with a relative error of at most 2e-8.
fn arcsine_near_zero(x: vec4<f32>) -> vec4<f32> {
    let q = x * x;
    let p = 0.166666724 + q * (0.0749880088 + q * (0.0450146187 + q * (0.0264629885 + q * 0.038275938)));
    return x + x * q * p;
}

// Returns asin(x). Beyond 1/2 it is π/2 - 2 asin(sqrt((1 - x) / 2)), in which nothing cancels.
fn arcsine(x: vec4<f32>) -> vec4<f32> {
    let far = 1.57079633 - 2.0 * arcsine_near_zero(sqrt(0.5 - 0.5 * abs(x)));
    return select(mirrored(x, far), arcsine_near_zero(x), abs(x) <= vec4<f32>(0.5));
}

fn arccosine(x: vec4<f32>) -> vec4<f32> {
    let far = 2.0 * arcsine_near_zero(sqrt(0.5 - 0.5 * abs(x)));
    let beyond = select(far, 3.14159265 - far, x < vec4<f32>());
    return select(beyond, 1.57079633 - arcsine_near_zero(x), abs(x) <= vec4<f32>(0.5));
}

// Returns atan(x): above 1, π/2 - atan(1 / x); above tan(π/8), π/4 + atan((x - 1) / (x + 1)). The last atan is a
// polynomial fitted with a relative error of at most 3e-9.
fn arctangent(x: vec4<f32>) -> vec4<f32> {
    let size = abs(x);
    let steep = size > vec4<f32>(1.0);
    let slope = select(size, 1.0 / size, steep);
    let turned = slope > vec4<f32>(0.41421356);
    let r = select(slope, (slope - 1.0) / (slope + 1.0), turned);
    let q = r * r;
    let p = -0.333333331 + q * (0.199996652 + q * (-0.14266792 + q * (0.107669317 - q * 0.0651420729)));
    let near = r + r * q * p;
    let angle = select(near, 0.785398163 + near, turned);
    return mirrored(x, select(angle, 1.57079633 - angle, steep));
}

// Returns log(2x), which asinh and acosh equal where x² overflows.
fn log_of_twice(x: vec4<f32>) -> vec4<f32> {
    return logarithm(x) + 0.693147181;
}

// Returns asinh(x) for x >= 0. log1p takes at most 1.
fn area_sine(x: vec4<f32>) -> vec4<f32> {
    let root = sqrt(x * x + 1.0);
    let far = select(logarithm(x + root), log_of_twice(x), x > vec4<f32>(1e9));
    return select(far, log1p(x + x * x / (1.0 + root)), x <= vec4<f32>(0.75));
}

fn area_cosine(x: vec4<f32>) -> vec4<f32> {
    let above = x - 1.0;
    // A product of roots: below -1 the root of a product would be real.
    let root = sqrt(above) * sqrt(x + 1.0);
    let far = select(logarithm(x + root), log_of_twice(x), x > vec4<f32>(1e9));
    return select(far, log1p(above + root), x <= vec4<f32>(1.25));
}

fn area_tangent(x: vec4<f32>) -> vec4<f32> {
    return 0.5 * select(logarithm((1.0 + x) / (1.0 - x)), log1p(2.0 * x / (1.0 - x)), x <= vec4<f32>(0.33333333));
}
