use crate::harness::{refused, tiers};
use shadernet::ops::{Pad, Pad1d, Pad2d, PaddingMode};
use shadernet::selftest::cases::{graph, random};
use shadernet::selftest::ops::pad::MODES;
use shadernet::{DType, Io, Model, Op};

#[test]
fn an_infinite_constant() {
    let x = random(1, [1, 5, 2]);
    for tier in tiers() {
        let graph = graph(&[&x], |graph, x| graph.push(Pad1d::constant([1, 0], f32::NEG_INFINITY), x));
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).expect("it can be padded");
        let got = session.run_blocking(&[&x.data]).expect("it runs");
        for (line, own) in got[0].to_f32().chunks_exact(3).zip(x.data.chunks_exact(2)) {
            assert_eq!(line, [&[f32::NEG_INFINITY], own].concat(), "{}", tier.name);
        }
    }
}

#[test]
fn images_stay_where_they_are() {
    // Padding of pixels alone has a kernel for images; padding of channels has none.
    let shapes = [[2, 5, 6, 7].into(), [2, 5, 8, 7].into()];
    let io = Io { inputs: &shapes[..1], outputs: &shapes[1..], dtypes: &[DType::F32] };
    let caps = shadernet::kernel::Caps::portable();
    assert_eq!(Pad::new([[1, 1], [0, 0]], 0.0).kernels(&io, &caps).expect("it has some").len(), 2);
    let shapes = [[2, 5, 6, 7].into(), [2, 6, 6, 7].into()];
    let io = Io { inputs: &shapes[..1], outputs: &shapes[1..], dtypes: &[DType::F32] };
    assert_eq!(Pad::new([[1, 0], [0, 0], [0, 0]], 0.0).kernels(&io, &caps).expect("it has one").len(), 1);
}

#[test]
fn what_it_refuses() {
    let pad = |mode| Pad2d::new([3, 0, 0, 0], mode);
    assert!(refused(&[&[1, 1, 3, 5]], pad(PaddingMode::Reflect)).contains("less than the image's size, 3, got 3"));
    assert!(refused(&[&[1, 1, 2, 5]], pad(PaddingMode::Circular)).contains("at most the image's size, 2, got 3"));
    assert!(refused(&[&[1, 3, 5]], pad(PaddingMode::Zeros)).contains("4 dimensions"));
    assert!(refused(&[&[1, 1, 3, 5]], Pad1d::new([1, 1], PaddingMode::Zeros)).contains("3 dimensions"));
    let signal: &[usize] = &[1, 1, 5];
    let cropped = |padding, mode| refused(&[signal], Pad1d::new(padding, mode));
    assert!(cropped([-2, 4], PaddingMode::Circular).contains("at most the image's size, 3, got 4"));
    for mode in MODES {
        assert!(cropped([-6, 3], mode).contains("padding: wanted to crop at most the 5 that there are, got -6"));
        assert!(cropped([-3, -3], mode).contains("got -6"), "{mode:?}");
        assert!(cropped([-3, -2], mode).contains("1 to 2147483647 elements"), "{mode:?}");
    }
    assert!(cropped([isize::MAX, isize::MAX], PaddingMode::Replicate).contains("1 to 2147483647 elements"));
    assert!(cropped([isize::MIN, isize::MIN], PaddingMode::Replicate).contains("to crop at most"));
    assert!(
        refused(&[&[3]], Pad::new([[0, 0]; 2], 0.0)).contains("a pair for each of at most 1 dimensions, got 2 pairs")
    );
    assert!(refused(&[&[1; 9]], Pad::new([[0, 1]], 0.0)).contains("9 dimensions"));
    assert!(refused(&[], Pad::new([[0, 1]], 0.0)).contains("inputs"));
}
