//! Device memory: slots, weights, parameters.

use super::context::Context;
use super::pipeline::Kind;
use crate::error::{ErrorKind, Result};
use crate::kernel::{Prepacked, Scalar, Storage};
use crate::plan::Port;
use crate::plan::memory::SlotKind;

/// A piece of device memory that can be bound.
pub(crate) enum Memory {
    Buffer(wgpu::Buffer),
    Texture(wgpu::TextureView),
}

impl Memory {
    /// Creates memory for intermediate values.
    pub(crate) fn slot(context: &Context, kind: SlotKind) -> Result<Memory> {
        match kind {
            SlotKind::Buffer(bytes) => {
                buffer(context, "activations", bytes, wgpu::BufferUsages::STORAGE).map(Memory::Buffer)
            }
            SlotKind::Texture(width, height, scalar) => {
                let size = [width, height].map(|texels| side(context, texels));
                texture(context, "activations", size, scalar, wgpu::TextureUsages::empty())
                    .map(|(_, view)| Memory::Texture(view))
            }
        }
    }

    /// Prepacks weights and uploads them. `None` if they should be `f16`s and are out of their range.
    pub(crate) fn weight(context: &Context, packed: &Prepacked) -> Result<Option<Memory>> {
        let values = (packed.values)();
        let stored: Vec<u16>;
        let bytes: &[u8] = match packed.scalar {
            Scalar::F32 => bytemuck::cast_slice(&values),
            Scalar::F16 => {
                let Some(halves) = packed.rounding.halves(&values) else { return Ok(None) };
                stored = halves;
                bytemuck::cast_slice(&stored)
            }
        };
        match packed.storage {
            Storage::Buffer => {
                upload(context, "weights", bytes, wgpu::BufferUsages::STORAGE).map(|made| Some(Memory::Buffer(made)))
            }
            Storage::Texture => {
                let (height, width) = (packed.texels.0 as u32, packed.texels.1 as u32);
                let size = [width, height].map(|texels| side(context, texels));
                let (texture, view) = texture(context, "weights", size, packed.scalar, wgpu::TextureUsages::COPY_DST)?;
                let row = 4 * packed.scalar.bytes() as usize * width as usize;
                let bytes_per_row = Some(row as u32);
                let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
                // Upload some rows at a time, since wgpu holds a second copy of pending data.
                let rows = (Context::ENOUGH / row).clamp(1, height as usize);
                for (i, band) in bytes.chunks(row * rows).enumerate() {
                    let origin = wgpu::Origin3d { x: 0, y: (i * rows) as u32, z: 0 };
                    let to = wgpu::TexelCopyTextureInfo { origin, ..texture.as_image_copy() };
                    let height = (band.len() / row) as u32;
                    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
                    context.checked(|| context.queue().write_texture(to, band, layout, size))?;
                    context.uploaded(band.len());
                }
                Ok(Some(Memory::Texture(view)))
            }
        }
    }

    /// Returns the kind of binding for a storage.
    pub(crate) fn kind(storage: Storage, scalar: Scalar, write: bool) -> Kind {
        match (storage, write) {
            (Storage::Buffer, false) => Kind::Read,
            (Storage::Buffer, true) => Kind::Write,
            (Storage::Texture, false) => Kind::TextureRead(scalar),
            (Storage::Texture, true) => Kind::TextureWrite(scalar),
        }
    }

    /// Returns a range of the bytes as a binding; a texture is always bound whole.
    pub(crate) fn binding(&self, offset: u64, bytes: u64) -> wgpu::BindingResource<'_> {
        match self {
            Memory::Buffer(buffer) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: wgpu::BufferSize::new(bytes),
            }),
            Memory::Texture(view) => wgpu::BindingResource::TextureView(view),
        }
    }
}

/// Creates a buffer.
pub(crate) fn buffer(context: &Context, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    context.count(1);
    let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
    context.checked(|| context.device().create_buffer(&descriptor))
}

/// Checks that a range of the host's buffer can be bound to a port.
pub(crate) fn check_lent(context: &Context, port: &Port, lent: &wgpu::BufferBinding<'_>) -> Result<()> {
    let wrong = |wanted: &dyn std::fmt::Display, got: &dyn std::fmt::Display| {
        Err(ErrorKind::argument(format!("the buffer of \"{}\"", port.name), wanted, got).into())
    };
    let behind = lent.buffer.size().saturating_sub(lent.offset);
    let size = lent.size.map_or(behind, wgpu::BufferSize::get);
    if size < port.bytes() || size > behind {
        return wrong(&format_args!("at least {} bytes", port.bytes()), &size.min(behind));
    }
    let alignment = u64::from(context.device().limits().min_storage_buffer_offset_alignment);
    if !lent.offset.is_multiple_of(alignment) {
        return wrong(&format_args!("an offset that is a multiple of {alignment}"), &lent.offset);
    }
    if !lent.buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
        return wrong(&"usage STORAGE", &format_args!("{:?}", lent.buffer.usage()));
    }
    Ok(())
}

/// The uses of a buffer of parameters: a pipeline has them in the one or in the other kind of memory.
pub(crate) const PARAMS: wgpu::BufferUsages = wgpu::BufferUsages::UNIFORM.union(wgpu::BufferUsages::STORAGE);

/// Creates a buffer with contents.
pub(crate) fn upload(context: &Context, label: &str, bytes: &[u8], usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
    context.count(1);
    // Mapped ranges begin and end at multiples of four bytes.
    let size = (bytes.len() as u64).next_multiple_of(4).max(4);
    let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: true };
    let buffer = context.checked(|| context.device().create_buffer(&descriptor))?;
    // wgpu reports no error for a buffer created on a lost device; mapping it fails instead.
    let mut view = buffer.get_mapped_range_mut(..).map_err(ErrorKind::lost)?;
    view.slice(..bytes.len()).copy_from_slice(bytes);
    drop(view);
    buffer.unmap();
    Ok(buffer)
}

/// Returns the format of this crate's storage textures.
pub(crate) fn format(scalar: Scalar) -> wgpu::TextureFormat {
    match scalar {
        Scalar::F32 => wgpu::TextureFormat::Rgba32Float,
        Scalar::F16 => wgpu::TextureFormat::Rgba16Float,
    }
}

/// Returns the width or height of a texture for so many texels: no power of two, if the device allows more. llvmpipe
/// compiles a shader anew for each set of textures whose sides are powers of two, to the same instructions. The texels
/// beside a value are zeros, like those outside of a texture: wgpu clears them, and no kernel stores there.
fn side(context: &Context, texels: u32) -> u32 {
    let most = context.device().limits().max_texture_dimension_2d;
    (texels..=most).find(|side| !side.is_power_of_two()).unwrap_or(texels)
}

/// Creates a storage texture of this width and height, and a view of it.
pub(crate) fn texture(
    context: &Context,
    label: &str,
    [width, height]: [u32; 2],
    scalar: Scalar,
    usage: wgpu::TextureUsages,
) -> Result<(wgpu::Texture, wgpu::TextureView)> {
    context.count(1);
    context.checked(|| {
        let texture = context.device().create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: format(scalar),
            usage: usage | wgpu::TextureUsages::STORAGE_BINDING,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        (texture, view)
    })
}
