use crate::harness::{Tolerance, as_image, check, graph, random, refused, tiers};
use crate::reference::Tensor;
use shadernet::ops::{Pad, Pad1d, Pad2d, PaddingMode};
use shadernet::{Io, Model, Op};

/// `padding`: `[before, after]` of the last dimensions, the outermost first. Negative: cropped.
pub fn pad(x: &Tensor, padding: &[[isize; 2]], mode: PaddingMode, value: f64) -> Tensor {
    let missing = x.shape.len() - padding.len();
    let of = |d: usize| if d < missing { [0, 0] } else { padding[d - missing] };
    let sizes: Vec<usize> = (0..x.shape.len())
        .map(|d| usize::try_from(x.shape[d] as isize + of(d)[0] + of(d)[1]).expect("something is left"))
        .collect();
    let source = |d: usize, i: usize| {
        let ([before, after], size) = (of(d), x.shape[d] as isize);
        let mut i = i as isize - before;
        match mode {
            PaddingMode::Zeros => {}
            PaddingMode::Reflect => {
                while !(0..size).contains(&i) {
                    i = if i < 0 { -i } else { 2 * (size - 1) - i };
                }
            }
            PaddingMode::Replicate => i = i.clamp(0, size - 1),
            // What was cropped doesn't come round.
            PaddingMode::Circular => {
                let (from, to) = ((-before).max(0), size + after.min(0));
                i = from + (i - from).rem_euclid(to - from);
            }
        }
        usize::try_from(i).ok().filter(|&i| i < x.shape[d])
    };
    Tensor::build(sizes, |i| {
        let from: Option<Vec<usize>> = i.iter().enumerate().map(|(d, &i)| source(d, i)).collect();
        from.map_or(value, |from| x.at(&from))
    })
}

const MODES: [PaddingMode; 4] =
    [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Replicate, PaddingMode::Circular];

/// Checks all modes that allow it.
fn check_2d(case: &str, shape: [usize; 4], padding: [isize; 4], modes: &[PaddingMode]) {
    let x = random(1, shape);
    let [top, bottom, left, right] = padding;
    for &mode in modes {
        let graph = graph(&[&x], |graph, x| graph.pad2d(x[0], padding, mode));
        let expected = pad(&x, &[[top, bottom], [left, right]], mode, 0.0);
        check(&format!("{case}: {mode:?} {padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
    }
}

#[test]
fn every_mode() {
    for (shape, padding) in [
        ([1, 1, 2, 2], [1, 1, 1, 1]),
        ([2, 5, 6, 7], [1, 2, 3, 4]),
        ([2, 4, 5, 3], [4, 0, 0, 2]),
        ([1, 9, 4, 13], [0, 3, 12, 0]),
        ([1, 3, 4, 4], [0; 4]),
    ] {
        check_2d("padded", shape, padding, &MODES);
    }
}

#[test]
fn as_much_as_a_mode_can() {
    // Once around; for zeros and the edge pixel any number.
    let shape = [1, 5, 3, 4];
    check_2d("most", shape, [3, 3, 4, 4], &[PaddingMode::Circular]);
    check_2d("most", shape, [7, 0, 0, 9], &[PaddingMode::Replicate, PaddingMode::Zeros]);
    check_2d("most", shape, [2, 2, 3, 3], &[PaddingMode::Reflect]);
}

#[test]
fn cropped() {
    for padding in [[-1, 0, 0, -2], [-1, -1, -2, -2], [-2, 2, 1, -1], [1, -3, -3, 2], [0, -4, 0, -5]] {
        check_2d("cropped", [2, 5, 5, 6], padding, &MODES);
    }
    // A reflection shows what was cropped on the other side; what comes round is what is left.
    check_2d("most", [1, 5, 5, 6], [-3, 4, 5, -4], &[PaddingMode::Reflect]);
    check_2d("most", [1, 5, 5, 6], [-2, 3, 2, -4], &[PaddingMode::Circular]);
    check_2d("nothing is left but padding", [1, 5, 5, 6], [-5, 3, 2, -6], &[PaddingMode::Zeros]);
}

#[test]
fn signals() {
    for mode in MODES {
        for (shape, padding) in [([1, 1, 2], [1, 1]), ([2, 5, 7], [3, 6]), ([3, 4, 5], [-2, 3]), ([1, 9, 70], [0, -1])]
        {
            let x = random(1, shape);
            let graph = graph(&[&x], |graph, x| graph.pad1d(x[0], padding, mode));
            let expected = pad(&x, &[padding], mode, 0.0);
            check(&format!("{mode:?} {padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
        }
    }
}

#[test]
fn constants() {
    let x = random(1, [2, 5, 6, 7]);
    let image = graph(&[&x], |graph, x| graph.push(Pad2d::constant([1, -2, 3, 4], -2.5), x));
    check("image", &image, &[&x], &pad(&x, &[[1, -2], [3, 4]], PaddingMode::Zeros, -2.5), Tolerance::Exact);
    let x = random(1, [2, 5, 7]);
    let signal = graph(&[&x], |graph, x| graph.push(Pad1d::constant([3, -1], 7.0), x));
    check("signal", &signal, &[&x], &pad(&x, &[[3, -1]], PaddingMode::Zeros, 7.0), Tolerance::Exact);
}

#[test]
fn any_rank() {
    let cases: [(&[usize], &[[isize; 2]]); 13] = [
        (&[], &[]),
        (&[1], &[[0, 1]]),
        (&[7], &[[2, -3]]),
        (&[3, 5], &[[1, 0], [0, 2]]),
        (&[3, 63], &[[0, 1]]),
        (&[3, 64], &[[1, -1], [0, 0]]),
        (&[2, 3, 5], &[[1, 1], [0, 0], [-1, 2]]),
        (&[2, 3, 5], &[[2, 1]]),
        (&[2, 6, 5, 4], &[[1, -2], [3, 1]]),
        (&[2, 3, 5, 4], &[[1, 0], [0, 2], [0, 0], [0, 0]]),
        (&[2, 3, 2, 3, 2], &[[0, 1], [0, 0], [1, -1], [0, 0], [2, 0]]),
        (&[2, 1, 3, 1, 2, 1, 2, 3], &[[1, 0], [0, 1], [-1, 0], [1, 0], [0, 1], [1, 0], [0, -1], [1, 1]]),
        (&[3, 5], &[[-3, 2], [0, 0]]),
    ];
    for (shape, padding) in cases {
        let x = random(1, shape);
        let graph = graph(&[&x], |graph, x| graph.pad(x[0], padding, 0.25));
        let expected = pad(&x, padding, PaddingMode::Zeros, 0.25);
        check(&format!("{padding:?} about {shape:?}"), &graph, &[&x], &expected, Tolerance::Exact);
    }
}

#[test]
fn between_operations() {
    let x = random(1, [2, 6, 5, 4]);
    let graph = graph(&[&x], |graph, x| {
        let x = as_image(graph, x[0])?;
        let y = graph.pad(x, [[1, 1], [2, -1]], 1.0)?;
        as_image(graph, y)
    });
    let expected = pad(&x, &[[1, 1], [2, -1]], PaddingMode::Zeros, 1.0);
    check("between images", &graph, &[&x], &expected, Tolerance::Exact);
}

#[test]
fn an_infinite_constant() {
    let x = random(1, [1, 5, 2]);
    for tier in tiers() {
        let graph = graph(&[&x], |graph, x| graph.push(Pad1d::constant([1, 0], f32::NEG_INFINITY), x));
        let session = Model::new(&tier.context, &graph).and_then(|model| model.session(1)).expect("it can be padded");
        let got = session.run_blocking(&[&x.data]).expect("it runs");
        for (line, own) in got[0].chunks_exact(3).zip(x.data.chunks_exact(2)) {
            assert_eq!(line, [&[f32::NEG_INFINITY], own].concat(), "{}", tier.name);
        }
    }
}

#[test]
fn images_stay_where_they_are() {
    // Padding of pixels alone has a kernel for images, padding of channels has none.
    let shapes = [[2, 5, 6, 7].into(), [2, 5, 8, 7].into()];
    let io = Io { inputs: &shapes[..1], outputs: &shapes[1..] };
    let caps = shadernet::kernel::Caps::portable();
    assert_eq!(Pad::new([[1, 1], [0, 0]], 0.0).kernels(&io, &caps).expect("it has some").len(), 2);
    let shapes = [[2, 5, 6, 7].into(), [2, 6, 6, 7].into()];
    let io = Io { inputs: &shapes[..1], outputs: &shapes[1..] };
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
