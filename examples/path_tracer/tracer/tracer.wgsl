// A path tracer: adds `samples` paths to each pixel of an image and of its guides.
//
// A room (a box seen from inside, whose open walls show the sky), SPHERES spheres and BOXES boxes that may be turned about y.
// Surface i has material i: six walls, the spheres, the boxes. Sphere 0, the rectangle of box 0 and the sun may be lights; each
// bounce samples one of them, weighted against the surface's own sampling (balance heuristic). Glass lets the light of such
// samples pass, and a light that is seen by a mirror or through glass after a bounce on a rough surface doesn't count: no caustics.
//
// An invocation traces its pixel's paths one after the other in one loop, so that neighbours don't wait for the longest path.
// Objects are named one by one: llvmpipe loads a number at a constant address once, otherwise once an invocation.
// color, albedo, normal: planes [3][height][width], the means of all samples so far.

const PI: f32 = 3.1415927;
const FAR: f32 = 1e20;
const NEAR: f32 = 1e-4;
const SKY: u32 = 1000u;
const SPHERES: u32 = 5u;
const BOXES: u32 = 7u;
const FIRST_SPHERE: u32 = 6u;
const FIRST_BOX: u32 = 11u;
const SURFACES: u32 = 18u;
const BOUNCES: u32 = 7u;
// The largest light that a path adds after a bounce on a rough surface.
const MOST: f32 = 20.0;

// Kinds of surfaces. Rough plastic has a clear coat over its color; metal reflects in its color.
const DIFFUSE: u32 = 0u;
const PLASTIC: u32 = 1u;
const METAL: u32 = 2u;
const MIRROR: u32 = 3u;
const GLASS: u32 = 4u;

struct Sphere { center: vec3<f32>, radius: f32 }
// turn: cosine and sine of the angle about y.
struct Box { center: vec3<f32>, turn_cos: f32, half: vec3<f32>, turn_sin: f32 }
// pattern: 0 none, 1 checks, 2 stripes, 3 marble, 4 tiles; of `color` and `second`, at point * frequency + offset.
struct Material {
    color: vec3<f32>, kind: u32,
    second: vec3<f32>, pattern: u32,
    emission: vec3<f32>, roughness: f32,
    frequency: vec3<f32>, offset: f32,
}
struct Scene {
    spheres: array<Sphere, 5>,
    boxes: array<Box, 7>,
    materials: array<Material, 18>,
    room_low: vec3<f32>, open: u32,
    room_high: vec3<f32>, clear: u32,
    // The light of box 0: half its edges.
    edge_u: vec3<f32>, light_count: u32,
    edge_v: vec3<f32>, pad0: u32,
    // Up to three lights: 0 the rectangle, 1 sphere 0, 2 the sun.
    lights: vec4<u32>,
    sun: vec3<f32>, sun_cos: f32,
    sun_light: vec3<f32>, pad1: u32,
    horizon: vec3<f32>, pad2: u32,
    zenith: vec3<f32>, pad3: u32,
}
// right, up: half the image at distance 1.
struct Params {
    eye: vec3<f32>, width: u32,
    right: vec3<f32>, height: u32,
    up: vec3<f32>, count: u32,
    ahead: vec3<f32>, samples: u32,
    seed: u32, pad0: u32, pad1: u32, pad2: u32,
    // The camera of the last frame.
    last_eye: vec3<f32>, pad3: u32,
    last_right: vec3<f32>, pad4: u32,
    last_up: vec3<f32>, pad5: u32,
    last_ahead: vec3<f32>, pad6: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> scene: Scene;
@group(0) @binding(2) var<storage, read_write> color: array<f32>;
@group(0) @binding(3) var<storage, read_write> albedo: array<f32>;
@group(0) @binding(4) var<storage, read_write> normal: array<f32>;
@group(0) @binding(5) var color_texture: texture_storage_2d<rgba32float, write>;
@group(0) @binding(6) var albedo_texture: texture_storage_2d<rgba16float, write>;
@group(0) @binding(7) var normal_texture: texture_storage_2d<rgba16float, write>;
@group(0) @binding(8) var depth_texture: texture_storage_2d<r32float, write>;
@group(0) @binding(9) var motion_texture: texture_storage_2d<rg32float, write>;

var<private> state: u32;

fn hash(x: u32) -> u32 {
    let s = (x * 747796405u) + 2891336453u;
    let word = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
    return (word >> 22u) ^ word;
}

fn random() -> f32 {
    state = hash(state);
    return f32(state >> 8u) * (1.0 / 16777216.0);
}

struct Ray { origin: vec3<f32>, direction: vec3<f32> }
struct Hit { t: f32, id: u32 }

fn sphere_distance(i: u32, ray: Ray) -> f32 {
    let to = ray.origin - scene.spheres[i].center;
    let b = dot(to, ray.direction);
    let root = scene.spheres[i].radius * scene.spheres[i].radius - dot(to - (b * ray.direction), to - (b * ray.direction));
    let s = sqrt(max(root, 0.0));
    let t = select(s - b, -b - s, -b - s > NEAR);
    return select(FAR, t, (root > 0.0) & (t > NEAR));
}

fn turned(v: vec3<f32>, turn_cos: f32, turn_sin: f32) -> vec3<f32> {
    return vec3<f32>((turn_cos * v.x) - (turn_sin * v.z), v.y, (turn_sin * v.x) + (turn_cos * v.z));
}

fn box_distance(i: u32, ray: Ray) -> f32 {
    let origin = turned(ray.origin - scene.boxes[i].center, scene.boxes[i].turn_cos, scene.boxes[i].turn_sin);
    let inverse = 1.0 / turned(ray.direction, scene.boxes[i].turn_cos, scene.boxes[i].turn_sin);
    let a = (-scene.boxes[i].half - origin) * inverse;
    let b = (scene.boxes[i].half - origin) * inverse;
    let low = min(a, b);
    let high = max(a, b);
    let enter = max(max(low.x, low.y), low.z);
    let leave = min(min(high.x, high.y), high.z);
    let t = select(leave, enter, enter > NEAR);
    return select(FAR, t, (leave > enter) & (t > NEAR));
}

fn nearer_sphere(hit: Hit, i: u32, ray: Ray) -> Hit {
    let t = sphere_distance(i, ray);
    return Hit(min(hit.t, t), select(hit.id, FIRST_SPHERE + i, t < hit.t));
}

fn nearer_box(hit: Hit, i: u32, ray: Ray) -> Hit {
    let t = box_distance(i, ray);
    return Hit(min(hit.t, t), select(hit.id, FIRST_BOX + i, t < hit.t));
}

// Returns the wall behind a point in the room: 2 axis, + 1 for the higher one.
fn wall(ray: Ray) -> Hit {
    let up = ray.direction > vec3<f32>();
    let t = (select(scene.room_low, scene.room_high, up) - ray.origin) / ray.direction;
    let x_first = (t.x < t.y) & (t.x < t.z);
    let axis = select(select(2u, 1u, t.y < t.z), 0u, x_first);
    return Hit(min(min(t.x, t.y), t.z), (2u * axis) + select(0u, 1u, select(select(up.z, up.y, axis == 1u), up.x, axis == 0u)));
}

fn is_open(id: u32) -> bool { return (id < FIRST_SPHERE) & (((scene.open >> min(id, 31u)) & 1u) == 1u); }

fn nearest(ray: Ray) -> Hit {
    var hit = wall(ray);
    hit = nearer_sphere(hit, 0u, ray);
    hit = nearer_sphere(hit, 1u, ray);
    hit = nearer_sphere(hit, 2u, ray);
    hit = nearer_sphere(hit, 3u, ray);
    hit = nearer_sphere(hit, 4u, ray);
    hit = nearer_box(hit, 0u, ray);
    hit = nearer_box(hit, 1u, ray);
    hit = nearer_box(hit, 2u, ray);
    hit = nearer_box(hit, 3u, ray);
    hit = nearer_box(hit, 4u, ray);
    hit = nearer_box(hit, 5u, ray);
    hit = nearer_box(hit, 6u, ray);
    return Hit(hit.t, select(hit.id, SKY, is_open(hit.id)));
}

fn is_solid(id: u32) -> bool { return ((scene.clear >> id) & 1u) == 0u; }
fn sphere_blocks(i: u32, ray: Ray, most: f32) -> bool { return is_solid(FIRST_SPHERE + i) & (sphere_distance(i, ray) < most); }
fn box_blocks(i: u32, ray: Ray, most: f32) -> bool { return is_solid(FIRST_BOX + i) & (box_distance(i, ray) < most); }

fn is_blocked(ray: Ray, most: f32) -> bool {
    let spheres = sphere_blocks(0u, ray, most) | sphere_blocks(1u, ray, most) | sphere_blocks(2u, ray, most)
        | sphere_blocks(3u, ray, most) | sphere_blocks(4u, ray, most);
    let boxes = box_blocks(0u, ray, most) | box_blocks(1u, ray, most) | box_blocks(2u, ray, most)
        | box_blocks(3u, ray, most) | box_blocks(4u, ray, most) | box_blocks(5u, ray, most) | box_blocks(6u, ray, most);
    // Only the sun lies beyond the walls.
    return spheres | boxes | ((most >= FAR) & !is_open(wall(ray).id));
}

// Returns a surface's normal, outwards, of the room inwards.
fn normal_at(id: u32, point: vec3<f32>) -> vec3<f32> {
    if id < FIRST_SPHERE {
        let sign = select(1.0, -1.0, (id & 1u) == 1u);
        return sign * vec3<f32>(vec3<u32>(id >> 1u) == vec3<u32>(0u, 1u, 2u));
    }
    if id < FIRST_BOX { return normalize(point - scene.spheres[id - FIRST_SPHERE].center); }
    let shape = scene.boxes[id - FIRST_BOX];
    let local = turned(point - shape.center, shape.turn_cos, shape.turn_sin);
    let depth = abs(local) - shape.half;
    let most = max(max(depth.x, depth.y), depth.z);
    return turned(sign(local) * vec3<f32>(depth == vec3<f32>(most)), shape.turn_cos, -shape.turn_sin);
}

fn pattern_at(material: Material, point: vec3<f32>) -> vec3<f32> {
    let p = (point * material.frequency) + material.offset;
    let cell = vec3<i32>(floor(p));
    let part = abs(fract(p) - 0.5);
    let stripes = 0.5 + (0.5 * sin(6.0 * (p.x + p.y + p.z)));
    let marble = 0.5 + (0.5 * sin((3.0 * p.x) + (2.0 * sin((2.3 * p.y) + sin(3.1 * p.z))) + (1.5 * sin(4.7 * (p.x + p.z)))));
    var mix_by = 0.0;
    if material.pattern == 1u { mix_by = f32((cell.x + cell.y + cell.z) & 1); }
    if material.pattern == 2u { mix_by = smoothstep(0.4, 0.6, stripes); }
    if material.pattern == 3u { mix_by = marble; }
    if material.pattern == 4u { mix_by = select(0.0, 1.0, max(max(part.x, part.y), part.z) > 0.46); }
    return mix(material.color, material.second, mix_by);
}

// Two vectors that form a basis with n (Duff et al. 2017).
fn basis(n: vec3<f32>) -> mat3x3<f32> {
    let sign = select(-1.0, 1.0, n.z >= 0.0);
    let a = -1.0 / (sign + n.z);
    let b = n.x * n.y * a;
    return mat3x3<f32>(
        vec3<f32>(1.0 + (sign * n.x * n.x * a), sign * b, -sign * n.x),
        vec3<f32>(b, sign + (n.y * n.y * a), -n.y), n);
}

// A direction at this cosine from the axis n.
fn around(n: vec3<f32>, cosine: f32) -> vec3<f32> {
    let angle = 2.0 * PI * random();
    let sine = sqrt(max(1.0 - (cosine * cosine), 0.0));
    return basis(n) * vec3<f32>(sine * cos(angle), sine * sin(angle), cosine);
}

fn schlick(f0: vec3<f32>, cosine: f32) -> vec3<f32> { return f0 + ((1.0 - f0) * pow(clamp(1.0 - cosine, 0.0, 1.0), 5.0)); }

// The light that a rough surface reflects from `i` to `o`, times the cosine, and the density with which it samples i.
fn reflected(kind: u32, base: vec3<f32>, alpha: f32, glossy: f32, n: vec3<f32>, o: vec3<f32>, i: vec3<f32>) -> vec4<f32> {
    let ni = dot(n, i);
    let no = max(dot(n, o), 1e-3);
    let h = normalize(i + o);
    let nh = max(dot(n, h), 0.0);
    let oh = max(dot(o, h), 1e-3);
    let square = alpha * alpha;
    let spread = (nh * nh * (square - 1.0)) + 1.0;
    let d = square / (PI * spread * spread);
    let k = alpha * 0.5;
    let shadow = 1.0 / (4.0 * ((ni * (1.0 - k)) + k) * ((no * (1.0 - k)) + k));
    let f = schlick(select(vec3<f32>(0.04), base, kind == METAL), oh) * f32(kind != DIFFUSE);
    let matte = select(base * (1.0 - f) * (1.0 / PI), vec3<f32>(), kind == METAL);
    let density = ((1.0 - glossy) * ni * (1.0 / PI)) + (glossy * d * nh / (4.0 * oh));
    return select(vec4<f32>(), vec4<f32>(((f * d * shadow) + matte) * ni, density), ni > 1e-5);
}

// 1 - cosine of the angle that sphere 0 fills, from a point.
fn sphere_angle(point: vec3<f32>) -> f32 {
    let to = scene.spheres[0].center - point;
    let square = min(scene.spheres[0].radius * scene.spheres[0].radius / dot(to, to), 1.0);
    return square / (1.0 + sqrt(1.0 - square));
}

// The density with which lights are sampled in a direction that hits one, from a point at this distance.
fn light_density(light: u32, point: vec3<f32>, direction: vec3<f32>, t: f32) -> f32 {
    let side = cross(scene.edge_u, scene.edge_v);
    let area = 4.0 * length(side);
    let cosine = max(dot(-direction, normalize(side)), 1e-6);
    let angle = select(1.0 - scene.sun_cos, sphere_angle(point), light == 1u);
    return select(1.0 / (2.0 * PI * max(angle, 1e-9)), t * t / (cosine * area), light == 0u) / f32(scene.light_count);
}

fn sky(direction: vec3<f32>) -> vec3<f32> { return mix(scene.horizon, scene.zenith, sqrt(clamp(direction.y, 0.0, 1.0))); }

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) | (id.y >= params.height) { return; }
    let pixel = (id.y * params.width) + id.x;
    var color_sum = vec3<f32>();
    var albedo_sum = vec3<f32>();
    var normal_sum = vec3<f32>();

    var ray = Ray();
    var through = vec3<f32>();
    // The density with which the last surface sampled the ray; 0 for the camera, mirrors and glass.
    var density = 0.0;
    var is_rough = false;
    var depth = 0u;
    var fresh = true;
    for (var done = 0u; done < params.samples;) {
        if fresh {
            state = hash(pixel ^ hash((params.count + done) ^ hash(params.seed)));
            // A filter like a tent, two pixels wide.
            let offset = vec2<f32>(random() + random() - 0.5, random() + random() - 0.5);
            let at = (2.0 * (vec2<f32>(id.xy) + offset) / vec2<f32>(f32(params.width), f32(params.height))) - 1.0;
            ray = Ray(params.eye, normalize(params.ahead + (at.x * params.right) - (at.y * params.up)));
            through = vec3<f32>(1.0);
            density = 0.0;
            is_rough = false;
            depth = 0u;
        }
        let hit = nearest(ray);
        let point = ray.origin + (hit.t * ray.direction);
        let surface = min(hit.id, SURFACES - 1u);
        let material = scene.materials[surface];
        let outward = normal_at(surface, point);
        let is_outside = dot(outward, ray.direction) < 0.0;
        let n = select(-outward, outward, is_outside);
        let base = pattern_at(material, point);
        let is_sky = hit.id == SKY;
        let is_clear = (material.kind == MIRROR) | (material.kind == GLASS);

        // Emitted light.
        let is_sun = is_sky & (dot(ray.direction, scene.sun) > scene.sun_cos);
        let side = dot(n, cross(scene.edge_u, scene.edge_v));
        var emitted = select(material.emission, vec3<f32>(), (surface == FIRST_BOX) & (side <= 0.0));
        emitted = select(emitted, select(vec3<f32>(), scene.sun_light, is_sun), is_sky);
        let emits = max(max(emitted.x, emitted.y), emitted.z) > 0.0;
        let light = select(select(0u, 1u, surface == FIRST_SPHERE), 2u, is_sky);
        let chance = light_density(light, ray.origin, ray.direction, hit.t);
        let weight = select(select(1.0, 0.0, is_rough), density / (density + chance), density > 0.0);
        var added = through * emitted * weight;
        if is_sky { added += through * sky(ray.direction); }
        color_sum += select(added, min(added, vec3<f32>(MOST)), is_rough);

        // The guides: the first rough surface, if need be behind mirrors and glass.
        if !is_rough & !is_sky & (!is_clear | emits) {
            albedo_sum += through * select(base, vec3<f32>(1.0), emits);
            normal_sum += n;
        }

        // One light.
        let o = -ray.direction;
        let no = max(dot(n, o), 0.0);
        let gloss = schlick(select(vec3<f32>(0.04), base, material.kind == METAL), no).x;
        var glossy = select(0.0, clamp(2.0 * gloss, 0.2, 0.8), material.kind == PLASTIC);
        glossy = select(glossy, 1.0, material.kind == METAL);
        let alpha = material.roughness * material.roughness;
        let start = point + (1e-3 * n);
        let picked = scene.lights[min(u32(random() * f32(scene.light_count)), 2u)];
        let u = (2.0 * vec2<f32>(random(), random())) - 1.0;
        let center = scene.spheres[0].center - start;
        let angle = select(1.0 - scene.sun_cos, sphere_angle(start), picked == 1u);
        let axis = select(scene.sun, normalize(center), picked == 1u);
        // Just before the rectangle, which would block its own light.
        let front = scene.boxes[0].center + (2e-3 * normalize(cross(scene.edge_u, scene.edge_v)));
        let on_side = front + (u.x * scene.edge_u) + (u.y * scene.edge_v) - start;
        let into_light = select(around(axis, 1.0 - (angle * (0.5 + (0.5 * u.x)))), normalize(on_side), picked == 0u);
        var most = select(length(center) - scene.spheres[0].radius - 1e-3, length(on_side), picked == 0u);
        most = select(most, FAR, picked == 2u);
        let bounced = reflected(material.kind, base, alpha, glossy, n, o, into_light);
        let faces = (picked != 0u) | (dot(cross(scene.edge_u, scene.edge_v), into_light) < 0.0);
        let is_lit = !is_sky & !is_clear & faces & (bounced.w > 0.0) & (scene.light_count > 0u);
        if is_lit & !is_blocked(Ray(start, into_light), most) {
            let sent = select(scene.materials[select(FIRST_BOX, FIRST_SPHERE, picked == 1u)].emission, scene.sun_light, picked == 2u);
            let by_light = light_density(picked, start, into_light, length(on_side));
            let lit = through * sent * bounced.xyz / (by_light + bounced.w);
            color_sum += select(lit, min(lit, vec3<f32>(MOST)), is_rough);
        }

        // The next ray.
        let choice = random();
        let cosine = random();
        let h = around(n, sqrt((1.0 - cosine) / (1.0 + (((alpha * alpha) - 1.0) * cosine))));
        let scattered = select(around(n, sqrt(cosine)), reflect(ray.direction, h), choice < glossy);
        let mirrored = reflect(ray.direction, n);
        let ratio = select(1.5, 1.0 / 1.5, is_outside);
        let bent = refract(ray.direction, n, ratio);
        let is_total = dot(bent, bent) < 0.5;
        let reflects = (material.kind == MIRROR) | is_total | (choice < schlick(vec3<f32>(0.04), no).x);
        let sampled = reflected(material.kind, base, alpha, glossy, n, o, scattered);
        if is_clear {
            ray = Ray(select(point - (1e-3 * n), start, reflects), select(bent, mirrored, reflects));
            through *= select(base, vec3<f32>(1.0), (material.kind == GLASS) & reflects);
            density = 0.0;
        } else {
            ray = Ray(start, scattered);
            through *= sampled.xyz / max(sampled.w, 1e-9);
            density = sampled.w;
            is_rough = true;
        }
        depth += 1u;
        let survives = select(1.0, clamp(max(max(through.x, through.y), through.z), 0.05, 0.95), depth > 2u);
        fresh = is_sky | emits | (depth >= BOUNCES) | (random() >= survives) | (!is_clear & (sampled.w <= 0.0));
        through /= survives;
        if fresh { done += 1u; }
    }

    // The mean of the old and the new samples.
    let plane = params.width * params.height;
    let before = f32(params.count) / f32(params.count + params.samples);
    let each = 1.0 / f32(params.count + params.samples);
    for (var c = 0u; c < 3u; c++) {
        let i = (c * plane) + pixel;
        let is_first = params.count == 0u;
        color[i] = (select(color[i], 0.0, is_first) * before) + (color_sum[c] * each);
        albedo[i] = (select(albedo[i], 0.0, is_first) * before) + (albedo_sum[c] * each);
        normal[i] = (select(normal[i], 0.0, is_first) * before) + (normal_sum[c] * each);
    }
}

// Writes the means into textures.
@compute @workgroup_size(8, 8)
fn publish(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) | (id.y >= params.height) { return; }
    let plane = params.width * params.height;
    let i = (id.y * params.width) + id.x;
    textureStore(color_texture, id.xy, vec4<f32>(color[i], color[i + plane], color[i + (2u * plane)], 1.0));
    textureStore(albedo_texture, id.xy, vec4<f32>(albedo[i], albedo[i + plane], albedo[i + (2u * plane)], 1.0));
    textureStore(normal_texture, id.xy, vec4<f32>(normal[i], normal[i + plane], normal[i + (2u * plane)], 1.0));
}

// Writes the distance of what a pixel's center shows, and the way in pixels to where the last frame showed it.
@compute @workgroup_size(8, 8)
fn follow(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) | (id.y >= params.height) { return; }
    let size = vec2<f32>(f32(params.width), f32(params.height));
    let center = vec2<f32>(id.xy) + 0.5;
    let at = (2.0 * center / size) - 1.0;
    let ray = Ray(params.eye, normalize(params.ahead + (at.x * params.right) - (at.y * params.up)));
    let hit = nearest(ray);
    // The sky is so far away that only turns move it.
    let is_sky = hit.id == SKY;
    let way = select((hit.t * ray.direction) + params.eye - params.last_eye, ray.direction, is_sky);
    let ahead = dot(way, params.last_ahead);
    let x = dot(way, params.last_right) / (ahead * dot(params.last_right, params.last_right));
    let y = dot(way, params.last_up) / (ahead * dot(params.last_up, params.last_up));
    let last = (vec2<f32>(x, -y) + 1.0) * 0.5 * size;
    // What was behind the camera was not in the image.
    let motion = select(vec2<f32>(1e9), last - center, ahead > 1e-6);
    textureStore(depth_texture, id.xy, vec4<f32>(select(hit.t, 1e6, is_sky)));
    textureStore(motion_texture, id.xy, vec4<f32>(motion, 0.0, 0.0));
}
