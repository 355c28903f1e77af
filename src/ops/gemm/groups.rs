//! Groups of channels: a group's output channels read its input channels only.

/// The groups of a product. Group g has the input channels `first + g step ..` up to `inputs` of them, which may overlap
/// with those of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Groups {
    /// The output channels of a group.
    pub(crate) outputs: usize,
    /// The first input channel of group 0.
    pub(crate) first: usize,
    /// The distance between the first input channels of two groups.
    pub(crate) step: usize,
    /// The input channels of a group.
    pub(crate) inputs: usize,
}

impl Groups {
    /// Divides channels into equal groups.
    pub(crate) fn new(groups: usize, inputs: usize, outputs: usize) -> Groups {
        Groups { outputs: outputs / groups, first: 0, step: inputs / groups, inputs: inputs / groups }
    }

    /// Returns the first input channel that an output channel reads.
    pub(crate) fn start(&self, o: usize) -> usize {
        self.first + o / self.outputs * self.step
    }

    /// Returns the most texels of input channels that a block of `block` output channels, of `outputs` in all, reads.
    pub(crate) fn span4(&self, outputs: usize, block: usize) -> usize {
        (0..outputs.div_ceil(block))
            .map(|b| {
                let last = ((b + 1) * block).min(outputs) - 1;
                (self.start(last) + self.inputs).div_ceil(4) - self.start(b * block) / 4
            })
            .max()
            .unwrap_or(0)
    }

    /// Returns true if a block of `block` output channels multiplies some input channels by zeros: those of other
    /// groups.
    pub(crate) fn mixed(&self, outputs: usize, block: usize) -> bool {
        let one = self.outputs == outputs;
        let apart = one || self.outputs.is_multiple_of(block);
        let whole = [self.first, if one { 0 } else { self.step }, self.inputs].iter().all(|c| c.is_multiple_of(4));
        !(apart && whole)
    }

    /// Returns the numbers for shaders: `groups` of `shaders/lib/groups.wgsl`.
    pub(crate) fn params(&self) -> [usize; 4] {
        [self.outputs, self.first, self.step, self.inputs]
    }
}
