use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::DeformConv2d;

#[test]
fn what_it_refuses() {
    let conv = || DeformConv2d::new(Constant::new("weight", [4, 3, 2, 2], vec![0.0; 48]).unwrap(), None);
    let (x, offset): (&[usize], &[usize]) = (&[1, 3, 4, 4], &[1, 8, 3, 3]);
    assert!(refused(&[&[1, 3, 4], offset], conv()).contains("4 dimensions"));
    assert!(refused(&[&[1, 4, 4, 4], offset], conv()).contains("input: wanted [N, 3, H, W]"));
    assert!(refused(&[x, offset], conv().stride(0)).contains("stride: wanted 1 or more"));
    assert!(refused(&[x, offset], conv().groups(3)).contains("input: wanted [N, 9, H, W]"));
    let error = refused(&[x, &[1, 8, 4, 4]], conv());
    assert!(
        error.contains("offset: wanted [1, 8 G, 3, 3] with G a divisor of 3 channels, got [1, 8, 4, 4]"),
        "{error}"
    );
    assert!(refused(&[x, &[1, 16, 3, 3]], conv()).contains("offset"));
    assert!(refused(&[x, &[1, 9, 3, 3]], conv()).contains("offset"));
    assert!(refused(&[x, &[1, 7, 3, 3]], conv()).contains("offset"));
    assert!(refused(&[x, &[8, 3, 3]], conv()).contains("offset"));
    assert!(refused(&[x, &[1, 24, 3, 3], &[1, 4, 3, 3]], conv()).contains("mask: wanted [1, 12, 3, 3]"));
    assert!(refused(&[x], conv()).contains("inputs: wanted 2 or 3, got 1"));
}
