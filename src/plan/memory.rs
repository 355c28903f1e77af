//! Lifetimes to slots: which values share memory. Plain arithmetic.

/// What a value needs, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The memory.
    pub kind: SlotKind,
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

/// A piece of device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlotKind {
    /// A storage buffer of so many bytes.
    Buffer(u64),
    /// An `rgba32float` storage texture of that width and height.
    Texture(u32, u32),
}

impl SlotKind {
    /// Its bytes.
    pub fn bytes(self) -> u64 {
        match self {
            SlotKind::Buffer(bytes) => bytes,
            SlotKind::Texture(width, height) => 16 * u64::from(width) * u64::from(height),
        }
    }

    /// Whether a slot of this kind can hold such a need, if it may grow. A texture must have the very size, because what
    /// lies outside it must read as zero.
    fn suits(self, need: SlotKind) -> bool {
        match (self, need) {
            (SlotKind::Buffer(_), SlotKind::Buffer(_)) => true,
            (a, b) => a == b,
        }
    }
}

/// Gives each need a slot, so that two needs that are alive in the same step never share one: the largest first, each into
/// the first slot that is free for its whole life. A slot is as large as the largest need in it.
///
/// (Greedy by size, of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020. A step's inputs
/// and outputs are alive together, so that they never share a slot: WebGPU forbids to bind one buffer for reading and
/// writing in one dispatch.)
pub fn assign(needs: &[Need]) -> (Vec<usize>, Vec<SlotKind>) {
    let mut order: Vec<usize> = (0..needs.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(needs[i].kind.bytes()), needs[i].first));
    let mut slots: Vec<(SlotKind, Vec<usize>)> = Vec::new();
    let mut slot_of = vec![0; needs.len()];
    for i in order {
        let free = |tenants: &[usize]| {
            tenants.iter().all(|&t| needs[t].last < needs[i].first || needs[i].last < needs[t].first)
        };
        let found = slots.iter().position(|(kind, tenants)| kind.suits(needs[i].kind) && free(tenants));
        slot_of[i] = found.unwrap_or(slots.len());
        match found {
            Some(slot) => slots[slot].1.push(i),
            None => slots.push((needs[i].kind, vec![i])),
        }
    }
    (slot_of, slots.into_iter().map(|(kind, _)| kind).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_never_share_and_the_dead_do() {
        let need = |bytes, first, last| Need { kind: SlotKind::Buffer(bytes), first, last };
        let (slot, kinds) = assign(&[need(64, 0, 1), need(128, 1, 2), need(32, 2, 3), need(16, 3, 4)]);
        assert_ne!(slot[0], slot[1]);
        assert_ne!(slot[1], slot[2]);
        assert_eq!(slot[0], slot[2]);
        assert_eq!(kinds.iter().map(|kind| kind.bytes()).sum::<u64>(), 192);
    }

    #[test]
    fn a_texture_is_shared_only_by_its_own_size() {
        let need = |width, first| Need { kind: SlotKind::Texture(width, 4), first, last: first };
        let (slot, _) = assign(&[need(8, 0), need(4, 1), need(8, 2)]);
        assert_eq!(slot[0], slot[2]);
        assert_ne!(slot[0], slot[1]);
    }
}
