use crate::harness::refused;
use shadernet::kernel::Caps;
use shadernet::ops::{LayerNorm, LogSoftmax, Softmax};
use shadernet::{Constant, DType, Io, Op};

#[test]
fn counts_its_parameters() {
    let shape = [2, 3, 5].into();
    let io = Io { inputs: std::slice::from_ref(&shape), outputs: std::slice::from_ref(&shape), dtypes: &[DType::F32] };
    let ones = || Some(Constant::new("c", [3, 5], vec![1.0; 15]).unwrap());
    let parameters = |weight, bias| LayerNorm::new([3, 5], weight, bias).metrics(&io).cost.parameters;
    assert_eq!([parameters(ones(), ones()), parameters(ones(), None), parameters(None, None)], [30, 15, 0]);
}

#[test]
fn one_dispatch_keeps_lines_of_4096() {
    for length in [1, 256, 257, 1023, 1024, 1025, 4095, 4096] {
        let shape = [3, length].into();
        let io =
            Io { inputs: std::slice::from_ref(&shape), outputs: std::slice::from_ref(&shape), dtypes: &[DType::F32] };
        for op in [&LayerNorm::new([length], None, None) as &dyn Op, &Softmax::new(1), &LogSoftmax::new(1)] {
            let kernels = op.kernels(&io, &Caps::portable()).unwrap_or_else(|error| panic!("{error}"));
            let [dispatch] = kernels[0].dispatches.as_slice() else { panic!("{} takes one dispatch", op.name()) };
            let name = dispatch.shader.to_string();
            let value = |of: &str| name.split(' ').find_map(|word| word.strip_prefix(of)?.parse::<usize>().ok());
            let kept = value("KEEP=").zip(value("LANES=")).map(|(keep, lanes)| 4 * keep * lanes);
            assert!(kept.is_some_and(|kept| kept >= length), "{name} reads a line of {length} again");
        }
    }
}

#[test]
fn what_it_refuses() {
    let ones = |shape: &[usize]| Some(Constant::new("c", shape, vec![1.0; shape.iter().product()]).unwrap());
    let plain = |over: &[usize]| LayerNorm::new(over, None, None);
    assert!(
        refused(&[&[2, 3]], plain(&[2])).contains("normalized_shape: wanted the last dimensions of [2, 3], got [2]")
    );
    assert!(refused(&[&[3]], plain(&[2, 3])).contains("normalized_shape"));
    assert!(refused(&[&[2, 3]], plain(&[])).contains("normalized_shape: wanted 1 dimension or more"));
    let weighted = LayerNorm::new([2, 3], ones(&[3]), None);
    assert!(refused(&[&[2, 3]], weighted).contains("weight: wanted [2, 3], got [3]"));
    let biased = LayerNorm::new([3], ones(&[3]), ones(&[1]));
    assert!(refused(&[&[2, 3]], biased).contains("bias: wanted [3], got [1]"));
    assert!(refused(&[], plain(&[3])).contains("inputs"));
}
