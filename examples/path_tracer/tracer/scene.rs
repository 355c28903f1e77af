//! Scenes, each made up from a seed: rooms with lamps, with a window or without a roof, and objects outdoors.

/// Where an image is seen from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Camera {
    pub(crate) eye: [f32; 3],
    pub(crate) target: [f32; 3],
    /// Half the image's height at distance 1.
    pub(crate) half_height: f32,
}

impl Camera {
    /// Returns half the image to the right and up at distance 1, and the direction ahead.
    pub(crate) fn axes(&self, [width, height]: [u32; 2]) -> [[f32; 3]; 3] {
        let ahead = normalized(sum(self.target, scaled(self.eye, -1.0)));
        let right = normalized(cross(ahead, [0.0, 1.0, 0.0]));
        let half_width = self.half_height * width as f32 / height as f32;
        [scaled(right, half_width), scaled(cross(right, ahead), self.half_height), ahead]
    }

    /// Returns the camera after steps to the right and ahead.
    pub(crate) fn moved(&self, right: f32, ahead: f32) -> Camera {
        let [side, _, front] = self.axes([1, 1]);
        let step = sum(scaled(normalized(side), right), scaled(front, ahead));
        Camera { eye: sum(self.eye, step), target: sum(self.target, step), ..*self }
    }

    /// Returns the camera after turns to the right and up, in radians. It never looks straight up or down.
    pub(crate) fn turned(&self, right: f32, up: f32) -> Camera {
        let [.., [x, y, z]] = self.axes([1, 1]);
        let (heading, height) = (x.atan2(-z) + right, (y.asin() + up).clamp(-1.5, 1.5));
        let ahead = [heading.sin() * height.cos(), height.sin(), -heading.cos() * height.cos()];
        Camera { target: sum(self.eye, ahead), ..*self }
    }
}

/// Objects, materials, lights, and where they are seen from.
#[derive(Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) camera: Camera,
    /// The uniform `scene` of the shader.
    pub(super) data: Data,
}

const SPHERES: usize = 5;
const BOXES: usize = 7;
const WALLS: usize = 6;
/// The materials are those of the walls, then of the spheres, then of the boxes.
const FIRST_BOX: usize = WALLS + SPHERES;
const SURFACES: usize = FIRST_BOX + BOXES;

/// Of an object that isn't there: it lies below the floor.
const NOWHERE: [f32; 3] = [0.0, -500.0, 0.0];

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Data {
    spheres: [Sphere; SPHERES],
    boxes: [Box; BOXES],
    materials: [Material; SURFACES],
    room_low: [f32; 3],
    /// A bit for each wall that shows the sky.
    open: u32,
    room_high: [f32; 3],
    /// A bit for each surface of glass.
    clear: u32,
    edge_u: [f32; 3],
    light_count: u32,
    edge_v: [f32; 4],
    lights: [u32; 4],
    sun: [f32; 3],
    sun_cos: f32,
    sun_light: [f32; 4],
    horizon: [f32; 4],
    zenith: [f32; 4],
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Sphere {
    center: [f32; 3],
    radius: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Box {
    center: [f32; 3],
    turn_cos: f32,
    half: [f32; 3],
    turn_sin: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Material {
    color: [f32; 3],
    kind: u32,
    second: [f32; 3],
    pattern: u32,
    emission: [f32; 3],
    roughness: f32,
    frequency: [f32; 3],
    offset: f32,
}

const DIFFUSE: u32 = 0;
const PLASTIC: u32 = 1;
const METAL: u32 = 2;
const MIRROR: u32 = 3;
const GLASS: u32 = 4;

const CEILING: usize = 3;
const FLOOR: usize = 2;

impl Scene {
    /// Makes up a scene; the same for the same seed.
    pub(crate) fn seeded(seed: u64) -> Scene {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let random = &mut random;
        let mut data: Data = bytemuck::Zeroable::zeroed();
        data.spheres = [Sphere { center: NOWHERE, radius: 0.1 }; SPHERES];
        data.boxes = [Box { center: NOWHERE, turn_cos: 1.0, half: [0.1; 3], turn_sin: 0.0 }; BOXES];
        data.materials = [(); SURFACES].map(|()| Material::random(random));
        data.sun = [0.0, 1.0, 0.0];

        // A closed room of lamps twice as often as each of: no roof, a window, outdoors.
        let kind = random.below(5);
        let outdoors = kind == 4;
        let [x, z] = [0; 2].map(|_| random.between(1.3, 2.6));
        let height = random.between(2.0, 3.0);
        [data.room_low, data.room_high] =
            if outdoors { [[-40.0, 0.0, -40.0], [40.0, 80.0, 40.0]] } else { [[-x, 0.0, -z], [x, height, z]] };
        for (wall, material) in data.materials[..WALLS].iter_mut().enumerate() {
            // A room is lit by its walls, so few of them shine.
            if wall != FLOOR && material.kind > PLASTIC && random.chance(0.85) {
                material.kind = DIFFUSE;
            }
            if wall != FLOOR && !outdoors && random.chance(0.5) {
                material.pattern = 0;
            }
            if material.kind == GLASS {
                material.kind = PLASTIC;
            }
        }
        data.lamps(random, kind, height, [x, z]);
        data.objects(random, [x, z], height);
        for (id, material) in data.materials.iter().enumerate() {
            data.clear |= u32::from(material.kind == GLASS) << id;
        }

        let away = if outdoors { random.between(2.5, 5.0) } else { z - 0.05 };
        let eye = [random.between(-0.7, 0.7) * x, random.between(0.3, 0.8) * height, away];
        let target = [random.between(-0.4, 0.4) * x, random.between(0.1, 0.5) * height, random.between(-0.8, 0.2) * z];
        let camera = Camera { eye, target, half_height: random.between(0.3, 0.75) };
        Scene { camera, data }
    }
}

impl Data {
    /// Adds what lights the scene.
    fn lamps(&mut self, random: &mut Random, kind: usize, height: f32, [x, z]: [f32; 2]) {
        let mut lights = Vec::new();
        let tint = |random: &mut Random, brightness: f32| {
            let warm = random.between(-0.3, 0.3);
            [1.0 + warm, 1.0, 1.0 - warm].map(|channel| channel * brightness)
        };
        let is_closed = kind < 2;
        if is_closed && random.chance(0.75) || random.chance(0.15) {
            // A rectangle below the ceiling, or on a side wall.
            let [a, b] = [0; 2].map(|_| random.between(0.1, 0.6));
            let power = random.between(1.0, 4.0) / (a * b).sqrt();
            let (center, half) = if random.chance(0.7) || kind == 4 {
                (self.edge_u, self.edge_v) = ([a, 0.0, 0.0], [0.0, 0.0, b, 0.0]);
                ([random.between(-0.5, 0.5) * x, height - 0.02, random.between(-0.5, 0.5) * z], [a, 1e-3, b])
            } else {
                (self.edge_u, self.edge_v) = ([0.0, a, 0.0], [0.0, 0.0, b, 0.0]);
                ([-x + 0.02, 0.6 * height, random.between(-0.5, 0.3) * z], [1e-3, a, b])
            };
            self.boxes[0] = Box { center, turn_cos: 1.0, half, turn_sin: 0.0 };
            self.materials[FIRST_BOX].emission = tint(random, power * 2.0);
            lights.push(0);
        }
        if is_closed && lights.is_empty() || random.chance(0.3) {
            let radius = random.between(0.04, 0.25);
            let mut center =
                [random.between(-0.8, 0.8) * x, random.between(0.5, 0.9) * height, random.between(-0.8, 0.5) * z];
            center[1] = center[1].min(height - radius);
            self.spheres[0] = Sphere { center, radius };
            let power = random.between(0.3, 1.2) / (radius * radius);
            self.materials[WALLS].emission = tint(random, power);
            lights.push(1);
        }
        match kind {
            2 => self.open = 1 << CEILING,
            // To the left, or behind the camera.
            3 => self.open = if random.chance(0.5) { 1 } else { 1 << 5 },
            4 => self.open = 0b11_1111 & !(1 << FLOOR),
            _ => {}
        }
        if !is_closed {
            let bright = random.between(0.2, 1.5);
            let [horizon, zenith] = [0.6, 0.25].map(|red| [bright * random.between(red, 1.0), bright * 0.8, bright]);
            self.horizon[..3].copy_from_slice(&horizon);
            self.zenith[..3].copy_from_slice(&zenith);
            if random.chance(0.6) {
                self.sun = normalized([random.between(-1.0, 1.0), random.between(0.3, 1.5), random.between(-0.5, 1.0)]);
                self.sun_cos = random.between(0.5, 5.0).to_radians().cos();
                let power = random.between(1.0, 6.0) / (std::f32::consts::TAU * (1.0 - self.sun_cos));
                self.sun_light[..3].copy_from_slice(&tint(random, power));
                lights.push(2);
            } else {
                self.sun_cos = 2.0;
            }
        } else {
            self.sun_cos = 2.0;
        }
        self.light_count = lights.len() as u32;
        self.lights[..lights.len()].copy_from_slice(&lights);
    }

    /// Puts spheres and boxes on the floor, on each other and on the walls.
    fn objects(&mut self, random: &mut Random, [x, z]: [f32; 2], height: f32) {
        for i in 1..SPHERES {
            if random.chance(0.25) {
                continue;
            }
            let radius = random.between(0.12, 0.55);
            let y = if random.chance(0.75) { radius } else { random.between(radius, height - radius) };
            let [x, z] = [x, z].map(|side| random.between(-0.8, 0.8) * (side - radius));
            self.spheres[i] = Sphere { center: [x, y, z - 0.3], radius };
        }
        for i in 1..BOXES {
            if random.chance(0.2) {
                continue;
            }
            let angle: f32 = random.between(0.0, std::f32::consts::PI);
            let place = [random.between(-0.85, 0.85) * x, random.between(-0.85, 0.5) * z];
            let (center, half, angle) = match random.below(4) {
                // A block.
                0 | 1 => {
                    let half = [0; 3].map(|_| random.between(0.1, 0.5));
                    ([place[0], half[1], place[1]], half, angle)
                }
                // A post or a board that stands.
                2 => {
                    let half = [random.between(0.03, 0.4), random.between(0.4, 0.5 * height), 0.04];
                    ([place[0], half[1], place[1]], half, angle)
                }
                // A picture on the wall at the back, or a board that lies above the floor.
                _ => {
                    let [a, b] = [0; 2].map(|_| random.between(0.2, 0.7));
                    match random.chance(0.6) {
                        true => ([place[0], random.between(0.4, 0.8) * height, 0.02 - z], [a, b, 0.03], 0.0),
                        false => ([place[0], random.between(0.2, 1.0), place[1]], [a, 0.03, b], angle),
                    }
                }
            };
            self.boxes[i] = Box { center, turn_cos: angle.cos(), half, turn_sin: angle.sin() };
        }
    }
}

impl Material {
    fn random(random: &mut Random) -> Material {
        let kinds = [DIFFUSE, DIFFUSE, DIFFUSE, DIFFUSE, PLASTIC, PLASTIC, METAL, METAL, MIRROR, GLASS];
        let kind = kinds[random.below(kinds.len())];
        let saturation = random.between(0.0, 0.8);
        let mut color = |least: f32| {
            let value = random.between(least, 0.9);
            [0; 3].map(|_| value * (1.0 - saturation * random.between(0.0, 1.0)))
        };
        let (first, second) = (color(0.2), color(0.05));
        let color = if kind >= MIRROR { first.map(|channel| 0.7 + 0.3 * channel) } else { first };
        let each = 2.0f32.powf(random.between(0.0, 4.0));
        // Stripes run in any direction.
        let frequency = [0; 3].map(|_| each * random.between(0.4, 1.0));
        let pattern = if kind >= MIRROR || random.chance(0.35) { 0 } else { 1 + random.below(4) as u32 };
        let frequency = if pattern == 2 { frequency } else { [each; 3] };
        Material {
            color,
            kind,
            second,
            pattern,
            emission: [0.0; 3],
            roughness: random.between(0.1, 0.7),
            frequency,
            offset: random.between(0.1, 0.9),
        }
    }
}

/// Random numbers: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b ^ (b >> 31)
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.next() >> 40) as f32 / (1u32 << 24) as f32)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn chance(&mut self, of: f32) -> bool {
        self.between(0.0, 1.0) < of
    }
}

fn sum(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn scaled(a: [f32; 3], by: f32) -> [f32; 3] {
    a.map(|number| number * by)
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn normalized(a: [f32; 3]) -> [f32; 3] {
    scaled(a, 1.0 / (a[0] * a[0] + a[1] * a[1] + a[2] * a[2]).sqrt())
}
