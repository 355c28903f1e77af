use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::RmsNorm;

#[test]
fn what_it_refuses() {
    let plain = |over: &[usize]| RmsNorm::new(over, None);
    assert!(
        refused(&[&[2, 3]], plain(&[2])).contains("normalized_shape: wanted the last dimensions of [2, 3], got [2]")
    );
    assert!(refused(&[&[2, 3]], plain(&[])).contains("normalized_shape: wanted 1 dimension or more"));
    let weighted = RmsNorm::new([3], Some(Constant::new("c", [2], vec![1.0; 2]).unwrap()));
    assert!(refused(&[&[2, 3]], weighted).contains("weight: wanted [3], got [2]"));
}
