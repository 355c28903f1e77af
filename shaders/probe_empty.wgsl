// An empty dispatch: `measure::Peaks` measures its cost.

@compute @workgroup_size(1)
fn main() {}
