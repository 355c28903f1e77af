//! What a device can do, as far as the choice of a kernel depends on it.

/// `LP_MAX_TGSI_LOOP_ITERATIONS` of Mesa's llvmpipe, the same in all its versions.
pub(crate) const LLVMPIPE_ITERATIONS: u32 = 65_535;

/// What a device can do: plain numbers, so that a [`Plan`](crate::Plan) can be made and tested without one.
///
/// Two profiles exist. Real GPUs keep values in storage buffers and share tiles through workgroup memory.
/// Mesa's llvmpipe (`lanes` is set) keeps values in `rgba32float` storage textures, which it loads five
/// times faster, and spreads operands over the lanes of a subgroup.
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
    /// `min_uniform_buffer_offset_alignment`, in bytes.
    pub uniform_alignment: u32,
    /// Compute units, about: NVIDIA's multiprocessors, AMD's compute units, Apple's cores. WebGPU doesn't tell them; they only
    /// say how large tiles may be that leave none idle.
    pub units: u32,
    /// The most iterations that the loops of one invocation may make, all together. WebGPU has no such limit (`u32::MAX`), but
    /// Mesa's llvmpipe ends every loop after 65,535 iterations, without an error.
    pub max_loop_iterations: u32,
    /// Subgroups have this many lanes, always, and values are best kept in storage textures.
    pub lanes: Option<u32>,
}

impl Caps {
    /// What every WebGPU device has: the specification's default limits, no optional feature.
    pub fn portable() -> Caps {
        Caps {
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_workgroups: 65_535,
            max_texture: 8192,
            max_workgroup_memory: 16 << 10,
            max_invocations: 256,
            max_storage_buffers: 8,
            uniform_alignment: 256,
            units: 24,
            max_loop_iterations: u32::MAX,
            lanes: None,
        }
    }

    /// Which of the two profiles of kernels such a device gets: `portable` or `llvmpipe`.
    pub fn profile(&self) -> &'static str {
        if self.lanes.is_some() { "llvmpipe" } else { "portable" }
    }

    /// Mesa's llvmpipe on a processor with 256-bit vectors.
    pub fn llvmpipe() -> Caps {
        Caps { lanes: Some(8), max_texture: 16_384, max_loop_iterations: LLVMPIPE_ITERATIONS, ..Caps::portable() }
    }
}
