use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::GroupNorm;

#[test]
fn what_it_refuses() {
    let ones = |channels: usize| Some(Constant::new("c", [channels], vec![1.0; channels]).unwrap());
    let plain = |groups| GroupNorm::new(groups, None, None);
    assert!(refused(&[&[6]], plain(2)).contains("input: wanted 2 dimensions or more"));
    assert!(refused(&[&[1, 6, 2, 2]], plain(4)).contains("num_groups: wanted a divisor of 6, got 4"));
    assert!(refused(&[&[1, 6, 2, 2]], plain(0)).contains("num_groups: wanted a divisor of 6, got 0"));
    assert!(refused(&[&[1, 6, 2, 2]], GroupNorm::new(2, ones(2), None)).contains("weight: wanted [6], got [2]"));
    assert!(refused(&[&[1, 6, 2, 2]], GroupNorm::new(2, ones(6), ones(1))).contains("bias: wanted [6], got [1]"));
}
