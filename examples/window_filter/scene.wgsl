// The application's drawing: an animated scene, and a texture stretched beside the network's picture.

struct Params {
    seconds: f32,
    // The width of the scene over its height.
    aspect: f32,
    // The pixel at which the line begins. The network's picture is right of it.
    line: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var small: texture_2d<f32>;
@group(0) @binding(2) var bilinear: sampler;

struct Corner {
    @builtin(position) at: vec4f,
    @location(0) uv: vec2f,
}

// A triangle that covers the viewport.
@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let uv = vec2f(f32(i << 1u & 2u), f32(i & 2u));
    return Corner(vec4f(uv * vec2f(2.0, -2.0) + vec2f(-1.0, 1.0), 0.0, 1.0), uv);
}

fn checker(at: vec2f) -> f32 {
    let sum = floor(at.x) + floor(at.y);
    return sum - 2.0 * floor(sum / 2.0);
}

// A sun with turning rays.
fn sky(p: vec2f) -> vec3f {
    let q = p - vec2f(0.12, -0.24);
    let rays = step(0.0, sin(24.0 * atan2(q.y, q.x) + params.seconds));
    let sun = mix(rays, 1.0, step(length(q), 0.09)) * step(length(q), 0.19);
    let blue = mix(vec3f(0.13, 0.25, 0.55), vec3f(0.75, 0.72, 0.80), smoothstep(-0.5, 0.0, p.y));
    return mix(blue, vec3f(1.0, 0.86, 0.45), sun);
}

// Tiles that come nearer, in haze.
fn ground(p: vec2f) -> vec3f {
    let depth = 0.3 / (p.y + 0.02);
    let tile = checker(vec2f(3.0 * p.x * depth, 3.0 * depth + 1.5 * params.seconds));
    let color = mix(vec3f(0.16, 0.20, 0.24), vec3f(0.85, 0.83, 0.75), tile);
    return mix(vec3f(0.75, 0.72, 0.80), color, exp(-0.25 * depth));
}

fn color(p: vec2f) -> vec3f {
    var color = select(sky(p), ground(p), p.y > 0.0);
    for (var i = 0u; i < 5u; i++) {
        // Striped balls that turn and bounce, the nearer ones over the others.
        let n = f32(i);
        let radius = 0.08 + 0.02 * n;
        let x = (0.5 * params.aspect - radius) * sin(0.5 * params.seconds + 1.9 * n);
        let y = 0.12 + 0.07 * n - radius - 0.25 * abs(sin(1.6 * params.seconds + n));
        let d = (p - vec2f(x, y)) / radius;
        if dot(d, d) < 1.0 {
            let normal = vec3f(d, sqrt(1.0 - dot(d, d)));
            let angle = params.seconds + n;
            let along = cos(angle) * d.x + sin(angle) * d.y;
            let paint = 0.5 + 0.5 * cos(1.3 * n + vec3f(0.0, 2.1, 4.2));
            let stripes = mix(paint, vec3f(0.95), step(0.3, sin(16.0 * asin(clamp(along, -1.0, 1.0)))));
            color = stripes * (0.3 + 0.7 * max(dot(normal, normalize(vec3f(-0.4, -0.6, 0.7))), 0.0));
        }
    }
    return color;
}

// Each pixel is the mean of 4x4 points in it, as a camera's is.
@fragment
fn scene(corner: Corner) -> @location(0) vec4f {
    let right = dpdx(corner.uv);
    let down = dpdy(corner.uv);
    var sum = vec3f(0.0);
    for (var i = 0u; i < 16u; i++) {
        let offset = (vec2f(f32(i % 4u), f32(i / 4u)) - 1.5) / 4.0;
        let uv = corner.uv + offset.x * right + offset.y * down;
        sum += color((uv - 0.5) * vec2f(params.aspect, 1.0));
    }
    return vec4f(sum / 16.0, 1.0);
}

// The scene stretched by the sampler, up to the line.
@fragment
fn stretched(corner: Corner) -> @location(0) vec4f {
    let color = textureSample(small, bilinear, corner.uv).rgb;
    return vec4f(select(color, vec3f(1.0), corner.at.x > params.line), 1.0);
}
