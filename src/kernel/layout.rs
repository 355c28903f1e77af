//! The layout of a value in memory. The planner chooses it; the API speaks row-major NCHW.

use super::Caps;
use crate::Shape;

/// The order of a value's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Row-major, one number after the other: the order of the API.
    Rows,
    /// Row-major, the last dimension in `vec4`s (the last one padded).
    RowsVec4,
    /// `[N, C, .., W]` as N, .., W, C, the channels in `vec4`s (the last one padded): every convolution's order.
    Channels,
}

/// The kind of memory that holds a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// A storage buffer.
    Buffer,
    /// A storage texture, `rgba32float` or `rgba16float`.
    Texture,
}

/// The stored form of a value's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// `f32`
    #[default]
    F32,
    /// `f16`: half of the memory, about three decimal digits.
    F16,
}

impl Scalar {
    /// Returns the size of one number, in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Scalar::F32 => 4,
            Scalar::F16 => 2,
        }
    }

    /// Returns true if numbers may be stored so: none becomes infinite, and the greatest doesn't lose digits.
    pub(crate) fn holds(self, numbers: &[f32]) -> bool {
        let finite = numbers.iter().filter(|number| number.is_finite());
        let greatest = finite.fold(0.0, |most: f32, number| most.max(number.abs()));
        // From 65520 on, a number is rounded to infinity. 2^-14 is the least with 11 bits.
        self == Scalar::F32 || greatest == 0.0 || (2f32.powi(-14)..65520.0).contains(&greatest)
    }
}

/// The order of a value's elements, the memory that holds them, and the stored form of each number. The components that
/// pad a `vec4` hold finite numbers that nobody may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// The order of the elements.
    pub order: Order,
    /// The memory that holds them.
    pub storage: Storage,
    /// The stored form of each.
    pub scalar: Scalar,
}

impl Layout {
    /// Row-major in a buffer.
    pub const ROWS: Layout = Layout { order: Order::Rows, storage: Storage::Buffer, scalar: Scalar::F32 };

    /// Channels last, in `storage`.
    pub const fn channels(storage: Storage) -> Layout {
        Layout { order: Order::Channels, storage, scalar: Scalar::F32 }
    }

    /// Row-major with the last dimension in `vec4`s, in `storage`.
    pub const fn rows_vec4(storage: Storage) -> Layout {
        Layout { order: Order::RowsVec4, storage, scalar: Scalar::F32 }
    }

    /// Returns this layout with numbers stored as `scalar`.
    #[must_use]
    pub const fn stored_as(self, scalar: Scalar) -> Layout {
        Layout { scalar, ..self }
    }

    /// Returns a value's size as an image of `vec4` texels: (rows, texels in a row). `Rows` has four elements a texel.
    pub fn texels(self, shape: &Shape) -> (usize, usize) {
        match self.order {
            Order::Rows => (1, shape.elements().div_ceil(4)),
            Order::RowsVec4 => {
                let last = shape.last().copied().unwrap_or(1);
                (shape.elements() / last.max(1), last.div_ceil(4))
            }
            Order::Channels => {
                let Image { n, c, h, w } = Image::new(shape);
                (n.saturating_mul(h), w.saturating_mul(c.div_ceil(4)))
            }
        }
    }

    /// Returns true if the device's textures are large enough for such a value. Buffers always are.
    pub fn fits(self, shape: &Shape, caps: &Caps) -> bool {
        let (rows, width) = self.texels(shape);
        self.storage == Storage::Buffer || rows.max(width) <= caps.max_texture as usize
    }

    /// Returns the bytes of a value of this shape.
    pub fn bytes(self, shape: &Shape) -> u64 {
        let (rows, width) = self.texels(shape);
        (4 * self.scalar.bytes()).saturating_mul(rows as u64).saturating_mul(width as u64)
    }

    /// Returns true if a value of this shape has the same bytes in both layouts.
    pub fn same_bytes(self, other: Layout, shape: &Shape) -> bool {
        if (self.storage, self.scalar) != (other.storage, other.scalar) {
            return false;
        }
        let last = shape.last().copied().unwrap_or(1);
        let Image { c, h, w, .. } = Image::new(shape);
        let flat_image = h * w == 1;
        match (self.order, other.order) {
            (a, b) if a == b => true,
            (Order::Rows, Order::RowsVec4) | (Order::RowsVec4, Order::Rows) => last % 4 == 0,
            (Order::Rows, Order::Channels) | (Order::Channels, Order::Rows) => flat_image && c % 4 == 0,
            _ => shape.len() == 2,
        }
    }

    /// Returns true if memory that holds a value of this shape in this layout can be read as the other layout: the bytes
    /// are the same, except that rows end before the padding of their last `vec4`.
    pub(crate) fn serves_as(self, other: Layout, shape: &Shape) -> bool {
        let Image { h, w, .. } = Image::new(shape);
        let one_row = self.texels(shape).0 == 1 && (self.order == Order::RowsVec4 || h * w == 1);
        let stored = (self.storage, self.scalar) == (other.storage, other.scalar);
        self.same_bytes(other, shape) || (stored && other == Layout::ROWS && one_row)
    }
}

/// A shape read as a batch of images: `[N, C, H, W]`; `[N, C, L]` has a height of 1, `[N, C]` one pixel. The planes of a
/// volume, `[N, C, D, H, W]`, stand below one another: its height is `D * H`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Images in the batch.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
}

impl Image {
    /// Reads a shape as a batch of images; more than five dimensions, or fewer than two, are one row of pixels.
    pub(crate) fn new(shape: &Shape) -> Image {
        match shape[..] {
            [n, c, d, h, w] => Image { n, c, h: d.saturating_mul(h), w },
            [n, c, h, w] => Image { n, c, h, w },
            [n, c, w] => Image { n, c, h: 1, w },
            [n, c] => Image { n, c, h: 1, w: 1 },
            _ => Image { n: 1, c: 1, h: 1, w: shape.elements() },
        }
    }

    /// Reads a shape as a batch of images, each plane of a volume as one.
    pub(crate) fn planes(shape: &Shape) -> Image {
        let image = Image::new(shape);
        match shape[..] {
            [n, _, d, h, _] => Image { n: n.saturating_mul(d), h, ..image },
            _ => image,
        }
    }

    /// Returns the number of `vec4`s that hold the channels of a pixel.
    pub(crate) fn c4(&self) -> usize {
        self.c.div_ceil(4)
    }
}
