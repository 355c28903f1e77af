//! The assignment of values to memory by their lifetimes: which values share a slot. Plain arithmetic.

use crate::hash::{GOLDEN, mix};
use crate::kernel::Scalar;
use std::cmp::Reverse;

/// The memory that a value needs, and the steps in which it needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The memory.
    pub kind: SlotKind,
    /// The step that writes it first.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// A piece of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotKind {
    /// A storage buffer of so many bytes.
    Buffer(u64),
    /// A storage texture of that width and height, and of four of these scalars a texel.
    Texture(u32, u32, Scalar),
}

impl SlotKind {
    /// Returns the size in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            SlotKind::Buffer(bytes) => bytes,
            SlotKind::Texture(width, height, scalar) => 4 * scalar.bytes() * u64::from(width) * u64::from(height),
        }
    }
}

/// The location of a value: a slot, and the first byte there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The slot.
    pub slot: usize,
    /// The first byte: 0 in a texture.
    pub offset: u64,
}

/// The locations of all needs, and the slots.
#[derive(Clone, Debug)]
pub struct Packing {
    /// The location of each need.
    pub locations: Vec<Location>,
    /// The slots.
    pub slots: Vec<SlotKind>,
}

/// The alignment of a buffer binding's offset, in bytes: the largest that WebGPU lets a device require.
const ALIGNMENT: u64 = 256;

/// The number of orders that are tried beside the two plain ones.
const SHUFFLES: u64 = 24;

/// The slots and neighbours that these orders may examine in total: thousands of nodes would take seconds otherwise.
const MOST_WORK: usize = 4 << 20;

/// Gives each need a location, so that two needs that are alive in the same step don't overlap. A pair in `apart` gets
/// different slots: one dispatch binds both and writes one of them, and WebGPU forbids that for one buffer. No buffer
/// becomes larger than `most` bytes unless a need is. A texture holds one value at a time, of its exact width, because
/// texels beside an image must read as zero. It may have extra rows, which nothing reads.
///
/// For each pair in `sums`, in the order of the steps, the second need may overwrite the first at the same location. It
/// does where that takes less memory, which isn't always so: the two needs then lie apart from all that either lies
/// apart from.
///
/// The needs are placed in several orders (the largest first, the earliest first, some between), each where the slots
/// grow least. The order that takes the least memory wins. (Greedy by size is from Pisarchyk and Lee, "Efficient Memory
/// Management for Deep Neural Net Inference", 2020; alone it leaves up to 30 % between the values of MobileNets.)
pub fn assign(needs: &[Need], apart: &[(usize, usize)], sums: &[(usize, usize)], most: u64) -> Packing {
    let own: Vec<usize> = (0..needs.len()).collect();
    let mut best = search(needs, apart, &own, most, u64::MAX).expect("no packing takes more than that");
    if sums.is_empty() {
        return best;
    }
    // A need that overwrites another becomes a part of it.
    let (mut whole, mut of) = (needs.to_vec(), own);
    for &(residual, output) in sums {
        of[output] = of[residual];
        whole[of[residual]].last = needs[output].last;
    }
    let apart = apart.iter().map(|&(a, b)| (of[a], of[b])).filter(|(a, b)| a != b);
    let apart: Vec<(usize, usize)> = apart.collect();
    let owners: Vec<usize> = (0..needs.len()).filter(|&i| of[i] == i).collect();
    if let Some(mut packing) = search(&whole, &apart, &owners, most, best.bytes().saturating_sub(1)) {
        packing.locations = of.iter().map(|&owner| packing.locations[owner]).collect();
        best = packing;
    }
    best
}

/// Returns the smallest packing found for these needs, if it takes at most `bound` bytes.
fn search(needs: &[Need], apart: &[(usize, usize)], which: &[usize], most: u64, mut bound: u64) -> Option<Packing> {
    let mut strangers = vec![Vec::new(); needs.len()];
    for &(a, b) in apart {
        strangers[a].push(b);
        strangers[b].push(a);
    }
    let least = most_alive(needs, which);
    let (mut best, mut work) = (None, 0);
    for round in 0..SHUFFLES + 2 {
        if bound < least || round >= 2 && work > MOST_WORK {
            break;
        }
        let mut order = which.to_vec();
        order.sort_by_cached_key(|&i| {
            let Need { kind, first, last } = needs[i];
            match round {
                0 => (Reverse(kind.bytes()), first),
                1 => (Reverse(0), first),
                // By size, or in odd rounds by bytes times steps, each multiplied by a random factor of 1 to 4.
                _ => {
                    let time = if round % 2 == 0 { 1 } else { (last - first + 1) as u64 };
                    (
                        Reverse(kind.bytes().saturating_mul(time).saturating_mul(16 + chance(round, i as u64) % 48)),
                        first,
                    )
                }
            }
        });
        if let Some(packing) = pack(needs, &strangers, most, &order, bound, &mut work) {
            bound = packing.bytes().saturating_sub(1);
            best = Some(packing);
        }
    }
    best
}

/// Returns the most bytes that are alive at once: no packing takes less.
fn most_alive(needs: &[Need], which: &[usize]) -> u64 {
    let end = which.iter().map(|&i| needs[i].last + 1).max().unwrap_or(0);
    let (mut begin, mut over) = (vec![0u64; end + 1], vec![0u64; end + 1]);
    for Need { kind, first, last } in which.iter().map(|&i| needs[i]) {
        begin[first] = begin[first].saturating_add(kind.bytes());
        over[last + 1] = over[last + 1].saturating_add(kind.bytes());
    }
    let mut alive = 0u64;
    let each = begin.iter().zip(&over).map(|(begin, over)| {
        alive = alive.saturating_sub(*over).saturating_add(*begin);
        alive
    });
    each.max().unwrap_or(0)
}

/// Returns a number that looks random, always the same for the same arguments.
fn chance(round: u64, i: u64) -> u64 {
    mix((round << 32 | i).wrapping_add(1).wrapping_mul(GOLDEN))
}

/// The needs that have a location, by step.
struct Placed {
    /// The needs that are alive in each step.
    alive: Vec<Vec<usize>>,
    /// The needs that begin in each step.
    begun: Vec<Vec<usize>>,
}

impl Placed {
    fn new(needs: &[Need]) -> Placed {
        let steps = needs.iter().map(|need| need.last + 1).max().unwrap_or(0);
        Placed { alive: vec![Vec::new(); steps], begun: vec![Vec::new(); steps] }
    }

    fn add(&mut self, i: usize, need: Need) {
        self.alive[need.first..=need.last].iter_mut().for_each(|alive| alive.push(i));
        self.begun[need.first].push(i);
    }

    /// Returns the needs that share a step with this one, each once.
    fn meeting(&self, need: Need) -> impl Iterator<Item = usize> {
        self.alive[need.first].iter().chain(self.begun[need.first + 1..=need.last].iter().flatten()).copied()
    }

    /// Returns the needs whose first step is next to this need's first step.
    fn beside(&self, need: Need) -> impl Iterator<Item = usize> {
        let steps = [need.first.checked_sub(1), Some(need.first + 1)];
        steps.into_iter().flatten().filter_map(|step| self.begun.get(step)).flatten().copied()
    }
}

/// Places the needs in this order, each where the slots grow least. Returns `None` if they take more than `bound`
/// bytes. Adds the number of slots and neighbours that it examines to `work`.
fn pack(
    needs: &[Need],
    strangers: &[Vec<usize>],
    most: u64,
    order: &[usize],
    bound: u64,
    work: &mut usize,
) -> Option<Packing> {
    let mut total = 0;
    let mut slots: Vec<SlotKind> = Vec::new();
    let mut locations: Vec<Option<Location>> = vec![None; needs.len()];
    let mut placed = Placed::new(needs);
    for &i in order {
        let need = needs[i];
        let slot_of = |t: usize| locations[t].map(|location| location.slot);
        let (mut forbidden, mut waits) = (vec![false; slots.len()], vec![false; slots.len()]);
        strangers[i].iter().filter_map(|&t| slot_of(t)).for_each(|slot| forbidden[slot] = true);
        // Dispatches that write one buffer wait for each other: neighbouring steps should have different slots.
        placed.beside(need).filter_map(slot_of).for_each(|slot| waits[slot] = true);
        // The ranges that are occupied while the need is alive, slot by slot.
        let range = |t: usize| locations[t].map(|at| (at.slot, at.offset, at.offset + needs[t].kind.bytes()));
        let mut taken: Vec<(usize, u64, u64)> = placed.meeting(need).filter_map(range).collect();
        taken.sort_unstable();
        *work += taken.len() + slots.len();
        let place = |(slot, &kind): (usize, &SlotKind)| {
            if forbidden[slot] {
                return None;
            }
            let begin = taken.partition_point(|range| range.0 < slot);
            let taken = &taken[begin..begin + taken[begin..].partition_point(|range| range.0 == slot)];
            let offset = match (kind, need.kind) {
                (SlotKind::Buffer(_), SlotKind::Buffer(bytes)) => gap(taken, bytes),
                (SlotKind::Texture(there, _, held), SlotKind::Texture(width, _, scalar))
                    if (there, held) == (width, scalar) && taken.is_empty() =>
                {
                    0
                }
                _ => return None,
            };
            let end = offset + need.kind.bytes();
            (end <= most.max(kind.bytes())).then(|| (end.saturating_sub(kind.bytes()), waits[slot], slot, offset))
        };
        let found = slots.iter().enumerate().filter_map(place).min();
        let (growth, slot, offset) = match found {
            // If the slot grows by as much, a slot of its own takes no more memory.
            Some((growth, _, slot, offset)) if growth < need.kind.bytes() => (growth, slot, offset),
            _ => {
                slots.push(need.kind);
                (need.kind.bytes(), slots.len() - 1, 0)
            }
        };
        total = growth.saturating_add(total);
        if total > bound {
            return None;
        }
        match (&mut slots[slot], need.kind) {
            (SlotKind::Buffer(bytes), SlotKind::Buffer(wanted)) => *bytes = (*bytes).max(offset + wanted),
            (SlotKind::Texture(_, rows, _), SlotKind::Texture(_, wanted, _)) => *rows = (*rows).max(wanted),
            _ => unreachable!("a value lies in a slot of its kind"),
        }
        placed.add(i, need);
        locations[i] = Some(Location { slot, offset });
    }
    // A need outside of the order has no location of its own: the caller knows whose location it shares.
    let locations = locations.into_iter().map(Option::unwrap_or_default).collect();
    Some(Packing { locations, slots })
}

/// Returns the first offset with room for so many bytes between the occupied, sorted ranges of a slot.
fn gap(taken: &[(usize, u64, u64)], bytes: u64) -> u64 {
    let mut free = 0;
    for &(_, start, end) in taken {
        if free + bytes <= start {
            break;
        }
        free = free.max(end.next_multiple_of(ALIGNMENT));
    }
    free
}

impl Packing {
    fn bytes(&self) -> u64 {
        self.slots.iter().map(|slot| slot.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: u64 = 1 << 40;

    fn need(bytes: u64, first: usize, last: usize) -> Need {
        Need { kind: SlotKind::Buffer(bytes), first, last }
    }

    /// A chain: each step reads its predecessor's output.
    fn chain(sizes: &[u64]) -> (Vec<Need>, Vec<(usize, usize)>) {
        let needs = sizes.iter().enumerate().map(|(i, &bytes)| need(bytes, i, i + 1)).collect();
        (needs, (1..sizes.len()).map(|i| (i - 1, i)).collect())
    }

    fn check(needs: &[Need], apart: &[(usize, usize)], packing: &Packing) {
        for (i, a) in needs.iter().enumerate() {
            let place = packing.locations[i];
            let range = |i: usize| packing.locations[i].offset..packing.locations[i].offset + needs[i].kind.bytes();
            assert!(range(i).end <= packing.slots[place.slot].bytes(), "{i}");
            assert_eq!(place.offset % ALIGNMENT, 0);
            for (j, b) in needs[..i].iter().enumerate() {
                let together = a.first <= b.last && b.first <= a.last && place.slot == packing.locations[j].slot;
                assert!(!together || range(i).start >= range(j).end || range(j).start >= range(i).end, "{i} and {j}");
            }
        }
        for &(a, b) in apart {
            assert_ne!(packing.locations[a].slot, packing.locations[b].slot, "{a} and {b}");
        }
    }

    #[test]
    fn the_living_never_overlap_and_the_dead_make_room() {
        let (needs, apart) = chain(&[64, 128, 32, 16]);
        let packing = assign(&needs, &apart, &[], ANY);
        check(&needs, &apart, &packing);
        assert_eq!(packing.bytes(), 192);
        assert_eq!(most_alive(&needs, &[0, 1, 2, 3]), 192);
    }

    /// VGG's beginning: by size alone the pooled image finds both slots taken.
    #[test]
    fn a_chain_needs_two_slots() {
        let (needs, apart) = chain(&[1 << 20, 1 << 20, 1 << 18, 1 << 19, 1 << 19, 1 << 17]);
        let packing = assign(&needs, &apart, &[], ANY);
        check(&needs, &apart, &packing);
        assert_eq!((packing.slots.len(), packing.bytes()), (2, 2 << 20));
    }

    /// A value that waits for a later step lies beside values that are computed meanwhile.
    #[test]
    fn a_slot_holds_several_values_at_once() {
        let needs = [need(1000, 0, 4), need(4096, 1, 2), need(2000, 2, 3), need(3000, 3, 4), need(512, 5, 6)];
        let apart = [(0, 1), (1, 2), (2, 3), (0, 3)];
        let packing = assign(&needs, &apart, &[], ANY);
        check(&needs, &apart, &packing);
        assert!(packing.slots.len() < 4 && packing.bytes() <= 7424, "{packing:?}");
    }

    /// A residual block: a sum waits for a value computed from it, and is added to that value.
    fn block(inner: u64) -> (Vec<Need>, Vec<(usize, usize)>) {
        let needs = vec![need(1024, 0, 2), need(inner, 1, 2), need(1024, 2, 4), need(inner, 3, 4), need(1024, 4, 5)];
        (needs, vec![(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4)])
    }

    #[test]
    fn a_sum_overwrites_what_it_adds_to_where_that_saves_memory() {
        let ((needs, apart), sums) = (block(2048), [(0, 2), (2, 4)]);
        let plain = assign(&needs, &apart, &[], ANY);
        check(&needs, &apart, &plain);
        let packing = assign(&needs, &apart, &sums, ANY);
        assert_eq!((plain.bytes(), packing.bytes()), (4096, 3072));
        let [a, b, c, d, e] = packing.locations[..] else { panic!("five needs") };
        assert!(a == c && c == e && a.slot != b.slot && a.slot != d.slot, "{packing:?}");
        // The last three buffers are so large that overwriting saves nothing.
        let needs = [&needs[..], &[need(8192, 6, 7); 3]].concat();
        let apart = [&apart[..], &[(5, 6), (6, 7), (5, 7)]].concat();
        let packing = assign(&needs, &apart, &sums, ANY);
        check(&needs, &apart, &packing);
        assert_eq!(packing.bytes(), 3 * 8192);
    }

    #[test]
    fn no_slot_outgrows_a_buffer() {
        let needs = [need(1000, 0, 1), need(1000, 0, 1), need(1000, 0, 1)];
        let packing = assign(&needs, &[], &[], 2100);
        check(&needs, &[], &packing);
        assert!(packing.slots.iter().all(|slot| slot.bytes() <= 2100), "{packing:?}");
        assert_eq!(assign(&[], &[], &[], ANY).slots, []);
    }

    #[test]
    fn a_texture_is_shared_by_images_of_its_width() {
        let texture = |width, rows| SlotKind::Texture(width, rows, Scalar::F32);
        let need = |width, rows, first| Need { kind: texture(width, rows), first, last: first };
        let Packing { locations, slots } =
            assign(&[need(8, 2, 0), need(4, 4, 1), need(8, 4, 2), need(8, 4, 2)], &[], &[], ANY);
        assert_ne!(locations[2], locations[3]);
        let mut sizes = slots;
        sizes.sort_unstable();
        assert_eq!(sizes, [texture(4, 4), texture(8, 4), texture(8, 4)]);
    }
}
