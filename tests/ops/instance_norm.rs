use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::InstanceNorm2d;

#[test]
fn what_it_refuses() {
    let ones = |channels: usize| Some(Constant::new("c", [channels], vec![1.0; channels]).unwrap());
    assert!(refused(&[&[2, 3, 5]], InstanceNorm2d::new(None, None)).contains("4 dimensions"));
    let weighted = InstanceNorm2d::new(ones(4), None);
    assert!(refused(&[&[2, 3, 5, 5]], weighted).contains("weight: wanted [3], got [4]"));
    let biased = InstanceNorm2d::new(None, ones(4));
    assert!(refused(&[&[2, 3, 5, 5]], biased).contains("bias: wanted [3], got [4]"));
}
