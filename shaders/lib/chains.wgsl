// Chains of the updates that may have the same place. `head` has a chain's last update, `next` the one before an update.

const NONE: u32 = 0xffffffffu;

// Returns the number of a place's chain, one of 2^15.
fn chain(place: u32) -> u32 { return (place * 2654435769u) >> 17u; }
