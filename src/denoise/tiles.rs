//! The division of an image into tiles that overlap.

use super::unet::ALIGNMENT;

/// An image in tiles of one size, which one graph serves. No tile reaches beyond the image's aligned sides: convolutions
/// then see its border where they see it in the whole image.
///
/// Neighbours overlap, and the pixels that count lie so far within a tile that nothing beyond it reaches them. The
/// first idea is that of Open Image Denoise (`core/unet_filter.cpp`), which shortens its last tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    /// Width and height.
    image: [usize; 2],
    tile: [usize; 2],
    /// Columns and rows.
    counts: [usize; 2],
    /// The pixels along a tile's side that don't count, except at the image's border: a multiple of [`ALIGNMENT`].
    overlap: usize,
}

/// A tile of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// The position of its upper left pixel.
    pub(super) from: [usize; 2],
    /// Width and height. Pixels beyond the image are padding.
    pub(super) size: [usize; 2],
    /// The pixels that count, in the image: x, y, width, height.
    pub(super) core: [usize; 4],
}

impl Tile {
    /// Returns the part that lies within the image: x, y, width, height.
    pub(super) fn within(&self, image: [usize; 2]) -> [usize; 4] {
        let [w, h] = [0, 1].map(|axis| self.size[axis].min(image[axis] - self.from[axis]));
        [self.from[0], self.from[1], w, h]
    }

    /// Returns the pixels that count, in the tile: x, y, width, height.
    pub(super) fn core_within(&self) -> [usize; 4] {
        let [x, y, w, h] = self.core;
        [x - self.from[0], y - self.from[1], w, h]
    }
}

impl Tiles {
    /// Returns an image as its only tile, unaligned.
    pub(super) fn whole(image: [usize; 2], overlap: usize) -> Tiles {
        Tiles { image, tile: image, counts: [1; 2], overlap }
    }

    /// Returns tiles that are shorter along one axis: the longer one of a tile, if it can be divided. `None` if neither
    /// can: at four overlaps a side, half of it counts.
    pub(super) fn smaller(&self) -> Option<Tiles> {
        let axes = if self.tile[0] >= self.tile[1] { [0, 1] } else { [1, 0] };
        let divided = |axis: usize| {
            let padded = self.image[axis].next_multiple_of(ALIGNMENT);
            let count = self.counts[axis] + 1;
            // With one overlap at the first and at the last tile, and two at each other one.
            let counted = padded.checked_sub(2 * self.overlap)?.div_ceil(count);
            let side = (counted + 2 * self.overlap).next_multiple_of(ALIGNMENT);
            let mut smaller = self.clone();
            // Both sides are aligned as soon as one is divided.
            smaller.tile = self.tile.map(|side| side.next_multiple_of(ALIGNMENT));
            (smaller.tile[axis], smaller.counts[axis]) = (side, count);
            (side >= 4 * self.overlap && side < self.tile[axis]).then_some(smaller)
        };
        axes.into_iter().find_map(divided)
    }

    /// Returns the size of a tile.
    pub(super) fn size(&self) -> [usize; 2] {
        self.tile
    }

    /// Returns the size of the image.
    pub(super) fn image(&self) -> [usize; 2] {
        self.image
    }

    /// Returns the whole image as a tile.
    pub(super) fn whole_image(&self) -> Tile {
        let [w, h] = self.image;
        Tile { from: [0; 2], size: self.image, core: [0, 0, w, h] }
    }

    /// Returns the number of tiles.
    pub(super) fn count(&self) -> usize {
        self.counts[0] * self.counts[1]
    }

    /// Returns the tiles, row by row.
    pub(super) fn iter(&self) -> impl Iterator<Item = Tile> + '_ {
        (0..self.count()).map(|i| self.tile(i))
    }

    fn tile(&self, i: usize) -> Tile {
        let at = [i % self.counts[0], i / self.counts[0]];
        let from = [0, 1].map(|axis| self.from(axis, at[axis]));
        // A tile counts up to where the next one does.
        let edge = |axis: usize, at: usize| match at {
            0 => 0,
            at if at == self.counts[axis] => self.image[axis],
            at => self.from(axis, at) + self.overlap,
        };
        let [x, y] = [0, 1].map(|axis| edge(axis, at[axis]));
        let [right, lower] = [0, 1].map(|axis| edge(axis, at[axis] + 1));
        Tile { from, size: self.tile, core: [x, y, right - x, lower - y] }
    }

    /// Returns the position of a tile along an axis. They are evenly spaced, and the last one ends at the aligned side.
    fn from(&self, axis: usize, at: usize) -> usize {
        let span = self.image[axis].next_multiple_of(ALIGNMENT) - self.tile[axis].next_multiple_of(ALIGNMENT);
        at * span / (self.counts[axis] - 1).max(1) / ALIGNMENT * ALIGNMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel counts in one tile, where it is an overlap from each side of the tile that is no border of the image.
    #[test]
    fn pixels_count_once_and_see_enough() {
        for (image, overlap) in [([1000, 700], 80), ([3840, 2160], 96), ([337, 5000], 80), ([641, 336], 80)] {
            let mut tiles = Tiles::whole(image, overlap);
            while let Some(smaller) = tiles.smaller() {
                tiles = smaller;
                let mut counted = vec![0u8; image[0] * image[1]];
                for tile in tiles.iter() {
                    let [x, y, w, h] = tile.core;
                    for axis in [0, 1] {
                        let (from, length) = (tile.core[axis], tile.core[axis + 2]);
                        let end = tile.from[axis] + tile.size[axis];
                        assert_eq!((tile.from[axis] % ALIGNMENT, tile.size[axis] % ALIGNMENT), (0, 0));
                        assert!(end <= image[axis].next_multiple_of(ALIGNMENT), "{tiles:?} {tile:?}");
                        assert!(from == 0 || from >= tile.from[axis] + overlap, "{tiles:?} {tile:?}");
                        assert!(from + length == image[axis] || from + length + overlap <= end, "{tiles:?} {tile:?}");
                    }
                    (y..y + h).for_each(|row| {
                        let row = row * image[0];
                        counted[row + x..row + x + w].iter_mut().for_each(|count| *count += 1);
                    });
                }
                assert!(counted.iter().all(|&count| count == 1), "{tiles:?}");
            }
            assert!(tiles.count() > 1 && tiles.size().into_iter().all(|side| side < 6 * overlap), "{tiles:?}");
        }
        assert_eq!(Tiles::whole([300, 300], 80).smaller(), None);
    }
}
