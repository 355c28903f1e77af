//! The parameters of a dispatch: a Rust struct with the fields of the shader's `Params`.

use std::num::Wrapping;

/// A type for the uniform `params` of a [`Dispatch`](super::Dispatch): plain data, or a parameter struct of this crate.
pub trait Params {
    /// Appends the bytes of the uniform.
    #[doc(hidden)]
    fn encode(&self, to: &mut Encoder);
}

impl<T: bytemuck::Pod> Params for T {
    fn encode(&self, to: &mut Encoder) {
        to.bytes.extend_from_slice(bytemuck::bytes_of(self));
    }
}

/// The bytes of a uniform, with the members of its WGSL struct.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Encoder {
    pub(crate) bytes: Vec<u8>,
    pub(crate) members: Vec<Member>,
    pub(crate) unfit: Option<Unfit>,
}

/// A member of a shader's `Params`, as the Rust struct declares it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name.
    pub name: &'static str,
    /// The first byte.
    pub offset: u32,
    /// The WGSL type of the numbers: `u32`, `i32` or `f32`.
    pub scalar: &'static str,
    /// The count of its numbers.
    pub count: u32,
}

/// A size that exceeds 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) name: &'static str,
    pub(crate) value: i128,
}

/// A field of a struct that [`params!`] declares: a number, an array of numbers, or another such struct, whose members
/// follow in its place.
pub(crate) trait Field {
    fn put(&self, name: &'static str, to: &mut Encoder);
}

/// A number of a field. A `usize` is a `u32` in WGSL, an `isize` an `i32`: both are checked. A `Wrapping<usize>` is a
/// `u32` too, and may be negative: two's complement.
pub(crate) trait Number: Copy {
    const SCALAR: &'static str;

    /// Returns the bytes, or the value if it needs more than four.
    fn word(self) -> Result<[u8; 4], i128>;
}

macro_rules! number {
    ($($type:ty, $scalar:literal, |$value:ident| $word:expr;)*) => {$(
        impl Number for $type {
            const SCALAR: &'static str = $scalar;

            fn word(self) -> Result<[u8; 4], i128> {
                let $value = self;
                $word
            }
        }

        impl Field for $type {
            fn put(&self, name: &'static str, to: &mut Encoder) {
                [*self].put(name, to);
            }
        }
    )*};
}

number! {
    u32, "u32", |value| Ok(value.to_le_bytes());
    i32, "i32", |value| Ok(value.to_le_bytes());
    f32, "f32", |value| Ok(value.to_le_bytes());
    usize, "u32", |value| u32::try_from(value).map(u32::to_le_bytes).map_err(|_| value as i128);
    isize, "i32", |value| i32::try_from(value).map(i32::to_le_bytes).map_err(|_| value as i128);
    Wrapping<usize>, "u32", |value| {
        let value = value.0 as isize;
        i32::try_from(value).map(i32::to_le_bytes).or_else(|_| (value as usize).word())
    };
}

impl<T: Number, const N: usize> Field for [T; N] {
    fn put(&self, name: &'static str, to: &mut Encoder) {
        to.members.push(Member { name, offset: to.bytes.len() as u32, scalar: T::SCALAR, count: N as u32 });
        to.words(name, self);
    }
}

/// An array of vectors.
impl<T: Number, const N: usize, const M: usize> Field for [[T; N]; M] {
    fn put(&self, name: &'static str, to: &mut Encoder) {
        to.members.push(Member { name, offset: to.bytes.len() as u32, scalar: T::SCALAR, count: (N * M) as u32 });
        self.iter().for_each(|row| to.words(name, row));
    }
}

impl Encoder {
    /// Puts each element of an array as a member of its own.
    pub(crate) fn put_each<T: Field, const N: usize>(&mut self, values: &[T; N], names: [&'static str; N]) {
        values.iter().zip(names).for_each(|(value, name)| value.put(name, self));
    }

    /// Ends the uniform as WGSL ends a struct: its size is a multiple of its alignment, which is 16 at most.
    pub(crate) fn end(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
    }

    fn words<T: Number>(&mut self, name: &'static str, values: &[T]) {
        for value in values {
            match value.word() {
                Ok(word) => self.bytes.extend(word),
                Err(value) => {
                    self.bytes.extend([0; 4]);
                    self.unfit = Some(Unfit { name, value });
                }
            }
        }
    }
}

/// Declares a struct of parameters. Its fields are the members of the shader's `Params`, in order, by name. A field may
/// hold another such struct for its members. `field: [usize; 2] as [a, b]` are two members, `a` and `b`.
macro_rules! params {
    ($(#[$outer:meta])* $vis:vis struct $name:ident {
        $($(#[$inner:meta])* $field:ident: $type:ty $(as [$($member:ident),*])?),* $(,)?
    }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $name {
            $($(#[$inner])* pub(crate) $field: $type),*
        }

        impl $crate::kernel::params::Field for $name {
            fn put(&self, _name: &'static str, to: &mut $crate::kernel::params::Encoder) {
                $($crate::kernel::params::params!(@put self.$field, to, $field $([$($member),*])?);)*
            }
        }

        impl $crate::kernel::params::Params for $name {
            fn encode(&self, to: &mut $crate::kernel::params::Encoder) {
                $crate::kernel::params::Field::put(self, "", to);
                to.end();
            }
        }
    };
    (@put $value:expr, $to:ident, $field:ident) => {
        $crate::kernel::params::Field::put(&$value, stringify!($field), $to)
    };
    (@put $value:expr, $to:ident, $field:ident [$($member:ident),*]) => {
        $to.put_each(&$value, [$(stringify!($member)),*])
    };
}

pub(crate) use params;

#[cfg(test)]
mod tests {
    use super::*;

    params! { struct End { alpha: f32 } }
    params! {
        struct Whole {
            size: usize,
            stride: [usize; 2],
            end: End,
            before: isize,
            step: [Wrapping<usize>; 2] as [down, across],
        }
    }

    #[test]
    fn members_follow_each_other_and_sizes_are_checked() {
        let step = [Wrapping(3), -Wrapping(2)];
        let whole = Whole { size: 7, stride: [1, 2], end: End { alpha: 0.5 }, before: -1, step };
        let mut to = Encoder::default();
        whole.encode(&mut to);
        let expected = [7u32, 1, 2, 0.5f32.to_bits(), u32::MAX, 3, u32::MAX - 1, 0];
        assert_eq!(to.bytes, bytemuck::cast_slice::<u32, u8>(&expected));
        let member = |name, offset, scalar, count| Member { name, offset, scalar, count };
        let expected = [
            member("size", 0, "u32", 1),
            member("stride", 4, "u32", 2),
            member("alpha", 12, "f32", 1),
            member("before", 16, "i32", 1),
            member("down", 20, "u32", 1),
            member("across", 24, "u32", 1),
        ];
        assert_eq!(to.members, expected);
        assert_eq!(to.unfit, None);
        let mut to = Encoder::default();
        Whole { stride: [1, 1 << 32], ..whole }.encode(&mut to);
        assert_eq!(to.unfit, Some(Unfit { name: "stride", value: 1 << 32 }));
    }
}
