// Nothing: what a dispatch costs in itself, for `measure::Peaks`.

@compute @workgroup_size(1)
fn main() {}
