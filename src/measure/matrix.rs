//! The probe for matrix units: picks a tile that the device supports and checks its products.

use crate::Context;
use crate::error::{ErrorKind, Result};
use crate::gpu::memory::{buffer, upload};
use crate::gpu::probe::{Probe, timed};
use crate::kernel::Shader;
use crate::kernel::shader::shader;
use crate::weights::seeded_input;
use half::f16;
use wgpu::BufferUsages as Usage;
use wgpu::CooperativeScalarType::{F16, F32};

const PRODUCTS: Shader = shader!("probe_matrix", "index");

/// The shader's workgroup size, and WebGPU's smallest subgroup size.
const INVOCATIONS: usize = 128;
const LEAST_SUBGROUP: usize = 4;
/// The numbers of left and right factor tiles. Each subgroup multiplies every left tile by every right tile.
const LEFT: usize = 2;
const RIGHT: usize = 4;

/// A shader that keeps a device's matrix units busy.
pub(super) struct Matrix {
    /// The shader. Its parameter is the number of rounds.
    pub(super) probe: Probe,
    /// The number of workgroups: enough to fill any device several times.
    pub(super) workgroups: u32,
    /// The operations of one round in all workgroups.
    pub(super) round: u64,
}

/// A kind of square tiles in WGSL.
#[derive(Clone, Copy)]
struct Tile {
    side: usize,
    factors: wgpu::CooperativeScalarType,
    sums: wgpu::CooperativeScalarType,
}

/// The tiles that the shader supports, in order of preference.
const TILES: [Tile; 6] = [
    Tile { side: 16, factors: F16, sums: F32 },
    Tile { side: 8, factors: F16, sums: F32 },
    Tile { side: 16, factors: F16, sums: F16 },
    Tile { side: 8, factors: F16, sums: F16 },
    Tile { side: 16, factors: F32, sums: F32 },
    Tile { side: 8, factors: F32, sums: F32 },
];

/// Returns the shader for each kind of tile.
pub(super) fn shaders() -> impl Iterator<Item = Shader> {
    TILES.iter().map(Tile::shader)
}

impl Tile {
    /// Returns the best tile that shaders can use on this device.
    fn for_device(context: &Context) -> Option<Tile> {
        let has = |feature| context.device().features().contains(feature);
        // The shader reads `subgroup_id`.
        let tiles = TILES.into_iter().filter(|_| has(wgpu::Features::SUBGROUP));
        tiles.filter(|tile| tile.factors == F32 || has(wgpu::Features::SHADER_F16)).find(|tile| {
            context.matrix_units().iter().any(|unit| {
                [unit.m_size, unit.n_size, unit.k_size] == [tile.side as u32; 3]
                    && (unit.ab_type, unit.cr_type) == (tile.factors, tile.sums)
            })
        })
    }

    fn shader(&self) -> Shader {
        let mut shader = PRODUCTS.tile("SIDE", self.side as u32);
        if self.side == 16 {
            shader = shader.alias("Left", "coop_mat16x16<Factor, A>").alias("Right", "coop_mat16x16<Factor, B>");
            shader = shader.alias("Sums", "coop_mat16x16<Sum, C>");
        }
        for (name, of) in [("Factor", self.factors), ("Sum", self.sums)] {
            shader = if of == F16 { shader.alias(name, "f16") } else { shader };
        }
        shader
    }

    /// Returns the number of elements.
    fn area(&self) -> usize {
        self.side * self.side
    }

    /// Returns the sums that a subgroup leaves after a round: each left tile times each right tile.
    fn products(&self, factors: &[f32]) -> Vec<f32> {
        let (side, tiles) = (self.side, factors.chunks_exact(self.area()));
        let (left, right) = (tiles.clone().take(LEFT), tiles.skip(LEFT));
        let product = |a: &[f32], b: &[f32], i: usize| -> f32 {
            let (row, column) = (i / side, i % side);
            (0..side).map(|k| a[row * side + k] * b[k * side + column]).sum()
        };
        let pairs = left.flat_map(|a| right.clone().map(move |b| (a, b)));
        pairs.flat_map(|(a, b)| (0..self.area()).map(move |i| product(a, b, i))).collect()
    }

    /// Returns the largest error that is allowed in a sum of products of numbers in ±1.
    fn tolerance(&self) -> f32 {
        if self.sums == F16 { 0.05 } else { 1e-4 }
    }
}

impl Matrix {
    /// Returns the probe; `None` if the device has no matrix units, or none that pass the check.
    pub(super) fn new(context: &Context) -> Option<Matrix> {
        let matrix = Matrix::checked(context, Tile::for_device(context)?);
        matrix.inspect_err(|error| log::warn!("matrix units are not measured: {error}")).ok()
    }

    /// Multiplies once in one workgroup and checks the products: wgpu doesn't ensure that a driver is correct.
    fn checked(context: &Context, tile: Tile) -> Result<Matrix> {
        let (width, tiles) = (element(tile.sums), LEFT * RIGHT);
        // Fewer workgroups fill a CPU adapter.
        let most = if context.info().device_type == wgpu::DeviceType::Cpu { 64 } else { 1024 };
        let numbers = encoded(tile.factors, &seeded_input(0, &[LEFT + RIGHT, tile.area()].into()));
        let factors = upload(context, "factors", &numbers, Usage::STORAGE)?;
        let of_subgroup = tiles * tile.area() * width;
        let of_workgroup = of_subgroup * INVOCATIONS / LEAST_SUBGROUP;
        let bytes = (32 << 20).min(most * of_workgroup) as u64;
        let sums = buffer(context, "sums of products", bytes, Usage::STORAGE | Usage::COPY_SRC)?;
        let download = buffer(context, "download", of_workgroup as u64, Usage::COPY_DST | Usage::MAP_READ)?;
        let probe = Probe::new(context, &tile.shader(), &[1, 0, 0, 0], &[&factors], &[&sums])?;
        timed(context, |encoder| {
            probe.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), [1, 1, 1]);
            encoder.copy_buffer_to_buffer(&sums, 0, &download, 0, Some(of_workgroup as u64));
            encoder.map_buffer_on_submit(&download, wgpu::MapMode::Read, .., |_| ());
            Ok(())
        })?;
        let view = download.get_mapped_range(..).map_err(ErrorKind::lost)?;
        let products = tile.products(&decoded(tile.factors, &numbers));
        let subgroups = subgroups(&decoded(tile.sums, &view), &products, tile.tolerance())
            .ok_or_else(|| ErrorKind::Device("its products of matrices are wrong".into()))?;
        let workgroups = most.min(bytes as usize / (subgroups * of_subgroup));
        let round = workgroups * subgroups * tiles * 2 * tile.side * tile.area();
        Ok(Matrix { probe, workgroups: workgroups as u32, round: round as u64 })
    }
}

/// Counts the subgroups, whose number the driver chooses, by their products in zeroed memory; `None` if any differ.
fn subgroups(sums: &[f32], products: &[f32], tolerance: f32) -> Option<usize> {
    let near = |sum: &f32, wanted: &f32| (sum - wanted).abs() <= tolerance;
    let right = |set: &&[f32]| set.iter().zip(products).all(|(sum, wanted)| near(sum, wanted));
    let count = sums.chunks_exact(products.len()).take_while(right).count();
    let untouched = sums[count * products.len()..].iter().all(|&sum| sum == 0.0);
    (count > 0 && untouched).then_some(count)
}

/// Returns the bytes of an element.
fn element(of: wgpu::CooperativeScalarType) -> usize {
    if of == F16 { 2 } else { 4 }
}

fn encoded(of: wgpu::CooperativeScalarType, numbers: &[f32]) -> Vec<u8> {
    match of {
        F16 => numbers.iter().flat_map(|&number| f16::from_f32(number).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

fn decoded(of: wgpu::CooperativeScalarType, bytes: &[u8]) -> Vec<f32> {
    match of {
        F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        _ => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{TILES, decoded, encoded, subgroups};
    use crate::weights::seeded_input;

    #[test]
    fn subgroups_that_left_the_products_are_counted() {
        let (products, zeros) = (vec![1.0, -2.0, 0.5], vec![0.0; 3]);
        let count = |sets: &[&[f32]]| subgroups(&sets.concat(), &products, 0.01);
        assert_eq!(count(&[&products, &products, &zeros]), Some(2));
        assert_eq!(count(&[&products, &[1.005, -2.0, 0.5], &products]), Some(3));
        assert_eq!(count(&[&zeros, &zeros]), None, "nobody multiplied");
        assert_eq!(count(&[&[1.0, -2.0, 0.4], &zeros]), None);
        assert_eq!(count(&[&products, &[1.0, f32::NAN, 0.5]]), None);
        assert_eq!(count(&[&products, &zeros, &products]), None, "a gap");
    }

    /// Products of other tiles, or of tiles that are read by columns, are far out of tolerance.
    #[test]
    fn products_are_told_apart() {
        for tile in TILES {
            let factors = seeded_input(0, &[6, tile.area()].into());
            let factors = decoded(tile.factors, &encoded(tile.factors, &factors));
            let products = tile.products(&factors);
            let transposed: Vec<f32> = factors
                .chunks_exact(tile.area())
                .flat_map(|of| (0..tile.area()).map(|i| of[i % tile.side * tile.side + i / tile.side]))
                .collect();
            for other in [tile.products(&transposed), products[tile.area()..].to_vec()] {
                let far = |(a, b): (&f32, &f32)| (a - b).abs() > 2.0 * tile.tolerance();
                let off = other.iter().zip(&products).filter(|&pair| far(pair)).count();
                assert!(off > other.len() / 2, "{off} of {}", other.len());
            }
        }
    }
}
