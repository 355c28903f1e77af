//! Facts about a device that the choice of a kernel depends on.

/// `LP_MAX_TGSI_LOOP_ITERATIONS` of Mesa's llvmpipe, the same in all its versions.
pub(crate) const LLVMPIPE_ITERATIONS: u32 = 65_535;

/// Facts about a device that the choice of a kernel depends on. They are plain numbers and flags, so that a
/// [`Plan`](crate::plan::Plan) can be made and tested without a device. No kernel asks for the driver's name.
///
/// Limits come from WebGPU, texture and workgroup memory speed from [`Context::probe`](crate::Context::probe).
#[derive(Clone, Debug, PartialEq)]
pub struct Caps {
    /// `max_storage_buffer_binding_size`, in bytes.
    pub max_binding: u64,
    /// `max_buffer_size`, in bytes.
    pub max_buffer: u64,
    /// `max_compute_workgroups_per_dimension`.
    pub max_workgroups: u32,
    /// `max_texture_dimension_2d`, in texels.
    pub max_texture: u32,
    /// `max_compute_workgroup_storage_size`, in bytes.
    pub max_workgroup_memory: u32,
    /// `max_compute_invocations_per_workgroup`.
    pub max_invocations: u32,
    /// `max_storage_buffers_per_shader_stage`.
    pub max_storage_buffers: u32,
    /// The greater of `min_uniform_buffer_offset_alignment` and `min_storage_buffer_offset_alignment`, in bytes.
    pub params_alignment: u32,
    /// The approximate number of compute units: NVIDIA's multiprocessors, AMD's compute units, Apple's cores. WebGPU
    /// doesn't tell it. Tile sizes are chosen so that no unit is idle.
    pub units: u32,
    /// The 32-bit registers that an invocation may take before values spill to memory. WebGPU doesn't tell it.
    pub registers: u32,
    /// The most iterations that all loops of one invocation may make together. WebGPU sets no limit (`u32::MAX`).
    /// Mesa's llvmpipe ends every loop after 65,535 iterations, without an error.
    pub max_loop_iterations: u32,
    /// The smallest and the largest subgroup size. `None` if shaders have no subgroup operations.
    pub subgroup_sizes: Option<[u32; 2]>,
    /// True if storage textures are faster to read than storage buffers, so that images are best kept in textures.
    pub fast_textures: bool,
    /// True if a load outside of a storage texture gives 0 and a store there does nothing. WebGPU leaves both open.
    pub zero_outside_textures: bool,
    /// True if workgroup memory and barriers cost little. Otherwise the best workgroup is one subgroup.
    pub fast_workgroup_memory: bool,
    /// True if shaders can compute in f16.
    pub f16: bool,
    /// True if shaders can convert between f32 and the f16 that buffers hold (`pack2x16float`), as all of WebGPU can.
    /// wgpu's `SHADER_F16_IN_F32`; Mesa's llvmpipe lacks it where it lacks f16.
    pub packs_f16: bool,
    /// The matrix units that shaders may use: by [`ContextOptions::matrix_units`](crate::ContextOptions::matrix_units),
    /// if kernels for them have computed the right numbers when the context was opened.
    pub matrix: Option<Matrix>,
}

/// A device's matrix units: they add products of square matrices of `f16`s to one of `f32`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// The rows and columns: 8 or 16.
    pub side: u32,
}

impl Caps {
    /// Returns the facts that hold for every WebGPU device: the specification's default limits, no optional feature.
    pub fn portable() -> Caps {
        Caps {
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_workgroups: 65_535,
            max_texture: 8192,
            max_workgroup_memory: 16 << 10,
            max_invocations: 256,
            max_storage_buffers: 8,
            params_alignment: 256,
            units: 24,
            registers: 255,
            max_loop_iterations: u32::MAX,
            subgroup_sizes: None,
            fast_textures: false,
            zero_outside_textures: false,
            fast_workgroup_memory: true,
            f16: false,
            packs_f16: true,
            matrix: None,
        }
    }

    /// Returns the facts about Mesa's llvmpipe on a processor with 256-bit vectors. It loads faster from storage textures
    /// than from buffers. At a barrier it saves all registers, unless a workgroup is one vector.
    pub fn llvmpipe() -> Caps {
        Caps {
            max_texture: 16_384,
            max_loop_iterations: LLVMPIPE_ITERATIONS,
            subgroup_sizes: Some([8; 2]),
            fast_textures: true,
            zero_outside_textures: true,
            fast_workgroup_memory: false,
            ..Caps::portable()
        }
    }

    /// Returns a made-up phone GPU for tests: fast textures, subgroups of 64, few registers, WebGPU's default limits.
    pub fn phone() -> Caps {
        Caps {
            units: 6,
            registers: 128,
            subgroup_sizes: Some([64; 2]),
            fast_textures: true,
            zero_outside_textures: true,
            f16: true,
            ..Caps::portable()
        }
    }

    /// Returns a made-up GPU for tests: matrix units, subgroups of 32.
    pub fn matrix_units(side: u32) -> Caps {
        Caps {
            max_workgroup_memory: 48 << 10,
            subgroup_sizes: Some([32; 2]),
            f16: true,
            matrix: Some(Matrix { side }),
            ..Caps::portable()
        }
    }

    /// Returns a name for the kernels that these facts lead to, for reports.
    pub fn profile(&self) -> &'static str {
        match (self.shuffles_of_eight(), self.fast_textures) {
            (true, _) => "shuffles",
            (false, true) => "textures",
            (false, false) => "portable",
        }
    }

    /// Returns true if an invocation may hold as many values as large tiles and unrolled rows need.
    pub(crate) fn many_registers(&self) -> bool {
        self.registers >= 255
    }

    /// Returns true if the kernels apply whose workgroup is one subgroup of exactly eight invocations: these load
    /// texels from textures and exchange them by shuffles. No other kernel is as fast where workgroup memory is slow.
    pub(crate) fn shuffles_of_eight(&self) -> bool {
        self.subgroup_sizes == Some([8; 2])
            && self.fast_textures
            && self.zero_outside_textures
            && !self.fast_workgroup_memory
    }

    /// Returns the side of the matrices that kernels may multiply, with the smallest and the largest subgroup. None if these are
    /// so far apart that most subgroups of a workgroup would be without a part of a product.
    pub(crate) fn matrices(&self) -> Option<(usize, [usize; 2])> {
        let [side, least, widest] = [self.matrix?.side, self.subgroup_sizes?[0], self.subgroup_sizes?[1]];
        let fits = self.f16 && least > 0 && widest / least <= 4;
        fits.then_some((side as usize, [least as usize, widest as usize]))
    }

    /// Returns the size of a workgroup of one subgroup, if workgroup memory is slow and subgroups have one size.
    pub(crate) fn one_subgroup(&self) -> Option<u32> {
        let [least, most] = self.subgroup_sizes?;
        (least == most && !self.fast_workgroup_memory).then_some(least)
    }
}
