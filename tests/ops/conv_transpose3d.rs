use crate::harness::refused;
use shadernet::Constant;
use shadernet::ops::ConvTranspose3d;

#[test]
fn what_it_refuses() {
    let conv = || ConvTranspose3d::new(Constant::new("weight", [4, 2, 2, 2, 2], vec![0.0; 64]), None);
    let volume: &[usize] = &[1, 4, 3, 3, 3];
    assert!(refused(&[&[1, 4, 3, 3]], conv()).contains("5 dimensions"));
    assert!(refused(&[&[1, 3, 3, 3, 3]], conv()).contains("input: wanted [N, 4, D, H, W]"));
    assert!(refused(&[volume], conv().groups(3)).contains("groups"));
    assert!(refused(&[volume], conv().stride(0)).contains("stride: wanted 1 or more"));
    assert!(refused(&[volume], conv().output_paddings([0, 1, 0])).contains("output_padding: wanted less than"));
    assert!(refused(&[volume], conv().padding(2)).contains("padding: wanted less than half of the 4 pixels"));
    let error = refused(&[volume], conv().pads([[0, 0], [3, 1], [0, 0]]));
    assert!(error.contains("padding: wanted less than the 4 pixels that it cuts, got 4"), "{error}");
    let biased = ConvTranspose3d::new(
        Constant::new("weight", [4, 2, 1, 1, 1], vec![0.0; 8]),
        Some(Constant::new("bias", [3], vec![0.0; 3])),
    );
    assert!(refused(&[volume], biased).contains("bias: wanted [2], got [3]"));
}
