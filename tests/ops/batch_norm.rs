use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::BatchNorm2d;

#[test]
fn what_it_refuses() {
    let all = |channels: usize| Constant::new("c", [channels], vec![1.0; channels]).unwrap();
    let norm = |mean| BatchNorm2d::new(all(3), all(3), all(mean), all(3));
    assert!(refused(&[&[3]], norm(3)).contains("2 to 5 dimensions"));
    assert!(refused(&[&[2, 4, 5, 5]], norm(3)).contains("weight: wanted [4], got [3]"));
    assert!(refused(&[&[2, 3, 5, 5]], norm(1)).contains("running_mean: wanted [3], got [1]"));
}
