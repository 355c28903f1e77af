//! Some channels of an image, in whole texels: what a concatenation and a slice take of each input.

use crate::kernel::layout::Image;
use crate::kernel::params::params;
use crate::kernel::shader::shader;
use crate::kernel::{Binding, Dispatch, Storage};

params! {
    struct Params {
        rows: usize,
        width: usize,
        count4: usize,
        x_row4: usize,
        x_pixel4: usize,
        x_first4: usize,
        y_row4: usize,
        y_pixel4: usize,
        y_first4: usize,
        halve: u32,
    }
}

/// Channels of one image that are those of another, in texels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The channels of the image that is read, and of the one that is written.
    pub(crate) pixel4: [usize; 2],
    /// The first channel in either.
    pub(crate) first4: [usize; 2],
    /// The number of channels.
    pub(crate) count4: usize,
    /// True if the image that is read is half as high and wide, and each of its pixels stands for four.
    pub(crate) doubled: bool,
}

impl Part {
    /// Returns the part with `count` channels of x, from channel `from` on, which become the channels of y from `to` on;
    /// `None` unless they begin and end with a texel, or end with both images. Other channels of x in the last texel
    /// could hold infinities, which the padding of a texel must not.
    pub(crate) fn new([x, from]: [usize; 2], [y, to]: [usize; 2], count: usize) -> Option<Part> {
        let ends = count.is_multiple_of(4) || (from + count == x && to + count == y);
        let part = Part {
            pixel4: [x, y].map(|channels| channels.div_ceil(4)),
            first4: [from / 4, to / 4],
            count4: count.div_ceil(4),
            doubled: false,
        };
        (from.is_multiple_of(4) && to.is_multiple_of(4) && ends).then_some(part)
    }

    /// Copies the part from an input to an output with images of this size.
    pub(crate) fn copy(&self, [input, output]: [usize; 2], image: Image, storage: Storage) -> Dispatch {
        let texture = storage == Storage::Texture;
        let shader = shader!("channels", "index").texture("x", texture).texture("y", texture);
        let params = Params {
            rows: image.n * image.h,
            width: image.w * self.count4,
            count4: self.count4,
            x_row4: (image.w >> u32::from(self.doubled)) * self.pixel4[0],
            x_pixel4: self.pixel4[0],
            x_first4: self.first4[0],
            y_row4: image.w * self.pixel4[1],
            y_pixel4: self.pixel4[1],
            y_first4: self.first4[1],
            halve: u32::from(self.doubled),
        };
        let bindings = vec![Binding::Input(input), Binding::Output(output)];
        Dispatch::for_each(shader, &params, bindings, params.rows * params.width)
    }
}
