use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::Conv2d;

#[test]
fn what_it_refuses() {
    let weight = |shape: [usize; 4]| Constant::new("w", shape, vec![0.0; shape.iter().product()]);
    let conv = |shape| Conv2d::new(weight(shape), None);
    let image: &[usize] = &[1, 4, 5, 5];
    assert!(refused(&[&[4, 5, 5]], conv([2, 4, 3, 3])).contains("4 dimensions"));
    assert!(refused(&[image, image], conv([2, 4, 3, 3])).contains("inputs"));
    assert!(refused(&[image], conv([2, 3, 3, 3])).contains("[N, 3, H, W]"));
    assert!(refused(&[image], conv([3, 2, 3, 3]).groups(2)).contains("divisor"));
    assert!(refused(&[image], conv([2, 4, 3, 3]).groups(0)).contains("groups"));
    assert!(refused(&[image], conv([2, 4, 6, 3])).contains("at least 6 pixels"));
    assert!(refused(&[image], conv([2, 4, 3, 3]).stride(0)).contains("stride"));
    assert!(refused(&[image], conv([2, 4, 3, 3]).dilation(0)).contains("dilation"));
    assert!(refused(&[image], conv([2, 4, 0, 3])).contains("kernel_size"));
    for huge in [1 << 40, usize::MAX] {
        assert!(refused(&[image], conv([2, 4, 3, 3]).stride(huge)).contains("stride"));
        assert!(refused(&[image], conv([2, 4, 3, 3]).dilation(huge)).contains("dilation"));
        assert!(refused(&[image], conv([2, 4, 3, 3]).padding(huge)).contains("padding"));
        assert!(refused(&[image], conv([2, 4, 3, 3]).groups(huge)).contains("groups"));
    }
    assert!(refused(&[image], conv([2, 4, 3, 3]).padding(1 << 24)).contains("output: wanted fewer than 2^31"));
    let bias = Constant::new("b", [3], vec![0.0; 3]);
    assert!(refused(&[image], Conv2d::new(weight([2, 4, 3, 3]), Some(bias))).contains("bias: wanted [2], got [3]"));
}
