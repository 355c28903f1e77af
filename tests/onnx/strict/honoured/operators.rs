//! Operators' attributes, optional inputs, and rules that differ by opset.

use super::{check, context, numbers, one, run, same};
use crate::model::{
    BOOL, FLOAT, INT8, INT32, Message, Model, float, floats, int, ints, list, longs, raw, string, tensor,
};
use crate::{graph, refusal};
use shadernet::Data;
use shadernet::import::onnx::Bindings;

/// An axis is cropped at one end and reflected at the other: the reflection shows remaining elements, if they suffice.
#[test]
fn a_reflection_beside_what_is_cut_off() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let reflect = [string("mode", "reflect")];
    check(18, "Pad", (&[6], &x), &[longs("", &[2], &[-3, 2])], &reflect, &[3.0, 4.0, 5.0, 4.0, 3.0]);
    check(18, "Pad", (&[6], &x), &[longs("", &[2], &[1, -4])], &reflect, &[1.0, 0.0, 1.0]);
    let model = |pads: &[i64]| {
        let model = Model::new(18).input("x", &[6]).initialiser(&longs("p", &[2], pads)).output("y");
        model.node("Pad", &["x", "p"], &["y"], &reflect)
    };
    let wanted = "pads: wanted less than the 3 elements that are left of axis 0, to reflect these, got 3";
    assert!(refusal(&model(&[-3, 3])).contains(wanted));
    assert!(refusal(&model(&[3, -3])).contains(wanted));
}

#[test]
fn clip_has_bounds_as_attributes_constants_and_inputs() {
    let x = [-3.0, -0.5, 0.25, 2.0, 9.0];
    let at = (&[5][..], &x[..]);
    let wanted = [-0.75, -0.5, 0.25, 1.5, 1.5];
    check(6, "Clip", at, &[], &[float("min", -0.75), float("max", 1.5)], &wanted);
    check(6, "Clip", at, &[], &[float("max", 1.5)], &[-3.0, -0.5, 0.25, 1.5, 1.5]);
    check(6, "Clip", at, &[], &[float("min", 0.5)], &[0.5, 0.5, 0.5, 2.0, 9.0]);
    check(13, "Clip", at, &[floats("", &[], &[-0.75]), floats("", &[], &[1.5])], &[], &wanted);
    check(13, "Clip", at, &[], &[], &x);
    let model = Model::new(13).input("x", &[5]).input("lo", &[]).input("hi", &[]).output("y");
    let both = model.clone().node("Clip", &["x", "lo", "hi"], &["y"], &[]);
    let data = |values: &[f32]| Data::from(values.to_vec());
    let inputs = [data(&x), data(&[-0.75]), data(&[1.5])];
    same(&run(&both, &Bindings::new(), &inputs), &wanted);
    let upper =
        Model::new(13).input("x", &[5]).input("hi", &[]).output("y").node("Clip", &["x", "", "hi"], &["y"], &[]);
    same(&run(&upper, &Bindings::new(), &[data(&x), data(&[1.5])]), &[-3.0, -0.5, 0.25, 1.5, 1.5]);
    // Opset 6 had attributes that opset 11 lacks.
    let old = Model::new(13).input("x", &[5]).output("y").node("Clip", &["x"], &["y"], &[float("min", 0.0)]);
    assert!(refusal(&old).contains("got \"min\""), "{}", refusal(&old));
}

#[test]
fn activations_have_their_parameters() {
    let x = [-4.0, -1.0, -0.25, 0.0, 0.5, 3.0];
    let at = (&[6][..], &x[..]);
    let of = |f: &dyn Fn(f32) -> f32| x.map(f);
    let elu = |alpha: f32| move |x: f32| if x < 0.0 { alpha * x.exp_m1() } else { x };
    check(6, "Elu", at, &[], &[float("alpha", 0.3)], &of(&elu(0.3)));
    check(6, "Elu", at, &[], &[], &of(&elu(1.0)));
    let leaky = |alpha: f32| move |x: f32| if x < 0.0 { alpha * x } else { x };
    check(6, "LeakyRelu", at, &[], &[float("alpha", 0.3)], &of(&leaky(0.3)));
    check(6, "LeakyRelu", at, &[], &[], &of(&leaky(0.01)));
    let hard = |alpha: f32, beta: f32| move |x: f32| (alpha * x + beta).clamp(0.0, 1.0);
    check(6, "HardSigmoid", at, &[], &[], &of(&hard(0.2, 0.5)));
    check(6, "HardSigmoid", at, &[], &[float("alpha", 0.1), float("beta", 0.3)], &of(&hard(0.1, 0.3)));
    check(6, "HardSigmoid", at, &[], &[float("alpha", 1.0 / 6.0)], &of(&hard(1.0 / 6.0, 0.5)));
    let selu = |alpha: f32, gamma: f32| move |x: f32| gamma * if x < 0.0 { alpha * x.exp_m1() } else { x };
    check(6, "Selu", at, &[], &[], &of(&selu(1.673_263_2, 1.050_701)));
    check(6, "Selu", at, &[], &[float("alpha", 2.0), float("gamma", 0.5)], &of(&selu(2.0, 0.5)));
    check(10, "ThresholdedRelu", at, &[], &[float("alpha", 0.6)], &of(&|x| if x > 0.6 { x } else { 0.0 }));
}

/// Gemm computes `alpha a b + beta c` for all transpositions of the operands and all broadcasts of c.
#[test]
fn gemm_has_factors_transpositions_and_a_bias_of_any_shape() {
    let [m, k, n] = [3usize, 5, 4];
    let (a, w, c) = (numbers(m * k), numbers(k * n + 7)[7..].to_vec(), numbers(m * n));
    for (turned_a, turned_b, known) in
        [(0, 0, true), (0, 1, true), (1, 0, true), (1, 1, true), (1, 0, false), (0, 1, false)]
    {
        for (alpha, beta) in [(1.0, 1.0), (0.5, -2.0), (2.0, 0.0)] {
            for bias in [&[][..], &[1], &[4], &[1, 4], &[3, 1], &[3, 4]] {
                let of_c = |i: usize, j: usize| match *bias {
                    [3, 1] => c[i],
                    [3, 4] => c[i * n + j],
                    [4] | [1, 4] => c[j],
                    _ => c[0],
                };
                let mut wanted = Vec::new();
                for i in 0..m {
                    for j in 0..n {
                        let at_a = |p: usize| a[if turned_a == 1 { p * m + i } else { i * k + p }];
                        let at_b = |p: usize| w[if turned_b == 1 { j * k + p } else { p * n + j }];
                        let sum: f32 = (0..k).map(|p| at_a(p) * at_b(p)).sum();
                        wanted.push(alpha * sum + beta * of_c(i, j));
                    }
                }
                let attributes =
                    [float("alpha", alpha), float("beta", beta), int("transA", turned_a), int("transB", turned_b)];
                let of_a = if turned_a == 1 { [5, 3] } else { [3, 5] };
                let of_b = if turned_b == 1 { [4, 5] } else { [5, 4] };
                let count = bias.iter().product::<i64>() as usize;
                let model = Model::new(13).input("a", &of_a).initialiser(&floats("c", bias, &c[..count])).output("y");
                let model = model.node("Gemm", &["a", "b", "c"], &["y"], &attributes);
                let (model, mut inputs) = (model, vec![Data::from(a.clone())]);
                let model = match known {
                    true => model.initialiser(&floats("b", &of_b, &w)),
                    false => {
                        inputs.push(w.clone().into());
                        model.input("b", &of_b)
                    }
                };
                same(&run(&model, &Bindings::new(), &inputs), &wanted);
            }
        }
    }
}

#[test]
fn products_of_odd_sizes() {
    for [batch, m, k, n] in [[1, 1, 1, 1], [1, 7, 13, 5], [3, 5, 9, 17], [2, 1, 33, 3]] {
        let (a, w) = (numbers(batch * m * k), numbers(k * n));
        let mut wanted = Vec::new();
        for row in 0..batch * m {
            for j in 0..n {
                wanted.push((0..k).map(|p| a[row * k + p] * w[p * n + j]).sum());
            }
        }
        let dims = [batch, m, k].map(|size| size as i64);
        check(13, "MatMul", (&dims, &a), &[floats("", &[k as i64, n as i64], &w)], &[], &wanted);
    }
}

/// Since opset 13, softmax is along an axis; before, it is along all axes from that one on, as one.
#[test]
fn softmax_follows_the_rule_of_its_opset() {
    let x = numbers(2 * 3 * 4);
    let at = (&[2, 3, 4][..], &x[..]);
    let over = |groups: &[Vec<usize>]| {
        let mut y = vec![0.0; x.len()];
        for group in groups {
            let sum: f32 = group.iter().map(|&i| x[i].exp()).sum();
            group.iter().for_each(|&i| y[i] = x[i].exp() / sum);
        }
        y
    };
    let rows: Vec<Vec<usize>> = (0..6).map(|row| (row * 4..row * 4 + 4).collect()).collect();
    let middle: Vec<Vec<usize>> = (0..8).map(|i| (0..3).map(|j| i / 4 * 12 + j * 4 + i % 4).collect()).collect();
    let planes: Vec<Vec<usize>> = (0..2).map(|plane| (plane * 12..plane * 12 + 12).collect()).collect();
    check(13, "Softmax", at, &[], &[], &over(&rows));
    check(13, "Softmax", at, &[], &[int("axis", 1)], &over(&middle));
    check(13, "Softmax", at, &[], &[int("axis", -2)], &over(&middle));
    check(11, "Softmax", at, &[], &[], &over(&planes));
    check(11, "Softmax", at, &[], &[int("axis", 2)], &over(&rows));
    check(11, "Softmax", at, &[], &[int("axis", 0)], &over(&[(0..24).collect()]));
    let logs: Vec<f32> = over(&planes).iter().map(|y| y.ln()).collect();
    check(11, "LogSoftmax", at, &[], &[], &logs);
}

#[test]
fn batch_normalisation_has_an_epsilon() {
    let x = numbers(2 * 3);
    let [scale, bias, mean, var] = [[1.0, -2.0, 0.5], [0.1, 0.2, 0.3], [0.5, 0.0, -1.0], [0.01, 0.04, 0.0]];
    for (epsilon, attributes) in [(0.1f32, vec![float("epsilon", 0.1)]), (1e-5, vec![])] {
        let wanted: Vec<f32> =
            (0..6).map(|i| (x[i] - mean[i % 3]) / (var[i % 3] + epsilon).sqrt() * scale[i % 3] + bias[i % 3]).collect();
        let constants = [scale, bias, mean, var].map(|values| floats("", &[3], &values));
        check(9, "BatchNormalization", (&[2, 3, 1, 1], &x), &constants, &attributes, &wanted);
    }
}

#[test]
fn gather_and_slice_count_from_the_end() {
    let x = numbers(3 * 4);
    let at = (&[3, 4][..], &x[..]);
    let column = |j: usize| [x[j], x[4 + j], x[8 + j]];
    let pair = |a: [f32; 3], b: [f32; 3]| (0..3).flat_map(|i| [a[i], b[i]]).collect::<Vec<_>>();
    check(13, "Gather", at, &[list("", &[-1, 0])], &[int("axis", 1)], &pair(column(3), column(0)));
    check(13, "Gather", at, &[longs("", &[], &[-4])], &[int("axis", -1)], &column(0));
    let far = one("Gather", &[3, 4], &[list("", &[-4])]);
    assert!(refusal(&far).contains("indices: wanted places in 3, got -4"), "{}", refusal(&far));
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64], wanted: &[f32]| {
        check(13, "Slice", at, &[list("", starts), list("", ends), list("", axes), list("", steps)], &[], wanted);
    };
    slice(&[-1], &[i64::MIN], &[1], &[-1], &(0..12).map(|i| x[i / 4 * 4 + 3 - i % 4]).collect::<Vec<_>>());
    slice(&[i64::MAX], &[i64::MIN], &[0], &[-2], &[&x[8..], &x[..4]].concat());
    slice(&[1], &[i64::MAX], &[-1], &[2], &pair(column(1), column(3)));
    slice(&[-2, 1], &[i64::MAX, -1], &[0, 1], &[1, 1], &[x[5], x[6], x[9], x[10]]);
    slice(&[0], &[i64::MAX], &[1], &[i64::MAX], &column(0));
    slice(&[3], &[i64::MIN], &[1], &[i64::MIN], &column(3));
    check(
        9,
        "Slice",
        at,
        &[],
        &[ints("starts", &[-2]), ints("ends", &[i64::MAX]), ints("axes", &[1])],
        &pair(column(2), column(3)),
    );
}

/// Before opset 7, the second operand was broadcast only if the node said so, from an axis on.
#[test]
fn old_broadcasting_has_an_axis() {
    let (x, y) = (numbers(2 * 3 * 4), [10.0, 20.0, 30.0]);
    let wanted: Vec<f32> = (0..24).map(|i| x[i] + y[i / 4 % 3]).collect();
    let at = (&[2, 3, 4][..], &x[..]);
    check(6, "Add", at, &[floats("", &[3], &y)], &[int("broadcast", 1), int("axis", 1)], &wanted);
    let last: Vec<f32> = (0..24).map(|i| x[i] * [1.0, 2.0, 3.0, 4.0][i % 4]).collect();
    check(6, "Mul", at, &[floats("", &[4], &[1.0, 2.0, 3.0, 4.0])], &[int("broadcast", 1)], &last);
    let model = |attributes: &[Message]| {
        let model = Model::new(6).input("x", &[2, 3, 4]).input("z", &[3]).output("y");
        refusal(&model.node("Add", &["x", "z"], &["y"], attributes))
    };
    assert!(model(&[]).contains("without broadcast=1 before opset 7"), "{}", model(&[]));
    assert!(model(&[int("broadcast", 1), int("axis", 3)]).contains("attribute axis"));
    let new = Model::new(7).input("x", &[2, 3, 4]).input("z", &[4]).output("y");
    let new = refusal(&new.node("Add", &["x", "z"], &["y"], &[int("broadcast", 1)]));
    assert!(new.contains("got \"broadcast\""), "{new}");
}

#[test]
fn constants_of_each_type_are_read() {
    let of = |attribute: Message| {
        let model = Model::new(13).input("x", &[2]).output("y").node("Constant", &[], &["c"], &[attribute]);
        let model = model.node("Cast", &["c"], &["f"], &[int("to", FLOAT)]).node("Add", &["x", "f"], &["y"], &[]);
        run(&model, &Bindings::new(), &[vec![0.0, 1.0].into()])
    };
    assert_eq!(of(int("value_int", -3)), [-3.0, -2.0]);
    assert_eq!(of(float("value_float", 2.5)), [2.5, 3.5]);
    assert_eq!(of(ints("value_ints", &[4, 5])), [4.0, 6.0]);
    assert_eq!(of(crate::model::float_list("value_floats", &[0.5, 0.25])), [0.5, 1.25]);
    assert_eq!(of(tensor("value", &raw("", INT8, &[2], &[255, 1]))), [-1.0, 2.0]);
    assert_eq!(of(tensor("value", &raw("", BOOL, &[2], &[0, 1]))), [0.0, 2.0]);
    assert_eq!(of(tensor("value", &raw("", INT32, &[], &[1, 0, 0, 128]))), [-2_147_483_647.0, -2_147_483_646.0]);
}

/// The loss of a row with an infinite score is NaN, as its log softmax is.
#[test]
fn cross_entropy_of_an_infinity() {
    let model = Model::new(17)
        .input("x", &[2, 3])
        .output("loss")
        .output("logs")
        .initialiser(&longs("target", &[2], &[1, 0]))
        .node("SoftmaxCrossEntropyLoss", &["x", "target"], &["loss", "logs"], &[string("reduction", "none")]);
    let x = vec![0.5, -1.0, 2.0, 0.0, f32::INFINITY, 1.0];
    let graph = graph(&model).expect("it is whole");
    let session = shadernet::Model::new(context(), &graph).and_then(|model| model.session(1)).expect("it fits");
    let outputs = session.run_blocking(&[Data::F32(x.clone())]).expect("it runs");
    let (loss, logs) = (outputs[0].to_f32(), outputs[1].to_f32());
    let sum = x[..3].iter().map(|x| x.exp()).sum::<f32>().ln();
    same(&loss[..1], &[sum - x[1]]);
    same(&logs[..3], &[x[0] - sum, x[1] - sum, x[2] - sum]);
    assert!(loss[1].is_nan() && logs[3..].iter().all(|log| log.is_nan()), "{loss:?} {logs:?}");
}

/// A softmax of nothing but -inf is NaN, even if the nodes around it become one attention.
#[test]
fn attention_spelled_out_where_nothing_is_seen() {
    let hidden = f32::NEG_INFINITY;
    let model = Model::new(17)
        .input("x", &[1, 1, 2, 4])
        .output("y")
        .initialiser(&floats("mask", &[2, 2], &[0.0, hidden, hidden, hidden]))
        .node("Transpose", &["x"], &["k"], &[ints("perm", &[0, 1, 3, 2])])
        .node("MatMul", &["x", "k"], &["scores"], &[])
        .node("Add", &["scores", "mask"], &["masked"], &[])
        .node("Softmax", &["masked"], &["p"], &[int("axis", -1)])
        .node("MatMul", &["p", "x"], &["y"], &[]);
    let ops = graph(&model).expect("it is whole").nodes().iter().map(|node| node.op.name()).collect::<Vec<_>>();
    assert!(ops.contains(&"scaled_dot_product_attention"), "{ops:?}");
    let x = numbers(8);
    let y = run(&model, &Bindings::new(), &[x.clone().into()]);
    same(&y[..4], &x[..4]);
    assert!(y[4..].iter().all(|y| y.is_nan()), "{y:?}");
}

/// Scores that a finite number replaces are equal, however large they were: a query that sees no key takes the mean.
#[test]
fn a_query_without_keys_takes_the_mean() {
    let model = |hidden: f32| {
        let model = Model::new(17).input("q", &[1, 2, 2]).typed("m", BOOL, &[1, 2, 3]);
        let model = model.initialiser(&floats("k", &[1, 2, 3], &[1.0, -1.0, 0.5, 0.25, 1.0, -1.0]));
        let model = model.initialiser(&floats("v", &[1, 3, 2], &[1.0, 10.0, 2.0, 20.0, 6.0, 60.0]));
        let model = model.initialiser(&floats("hidden", &[], &[hidden])).node("MatMul", &["q", "k"], &["s"], &[]);
        let model = model.node("Where", &["m", "hidden", "s"], &["w"], &[]);
        let model = model.node("Softmax", &["w"], &["p"], &[int("axis", -1)]);
        model.node("MatMul", &["p", "v"], &["y"], &[]).output("y")
    };
    let (q, m) = (vec![200.0, 0.0, 0.0, 200.0], vec![true, true, true, true, false, true]);
    for hidden in [-1e9, f32::MIN] {
        let model = model(hidden);
        let built = graph(&model).expect("it is whole");
        assert!(built.nodes().iter().any(|node| node.op.name() == "scaled_dot_product_attention"));
        let got = run(&model, &Bindings::new(), &[q.clone().into(), Data::Bool(m.clone())]);
        same(&got, &[3.0, 30.0, 2.0, 20.0]);
    }
}

/// Checks 25,200 boxes of 80 classes, a thousand of each above the threshold: pairs that overlap, of which the second is better.
#[test]
fn a_detector_may_have_many_boxes() {
    let (classes, count, above, most) = (80, 25_200, 1_000, 300);
    let corners: Vec<f32> = (0..count).flat_map(|i| [0.0, (i / 2) as f32, 1.0, (i / 2) as f32 + 0.9]).collect();
    let score = |i: usize| if i % count < above { 0.5 + (i % count) as f32 * 1e-4 } else { 0.2 };
    let scores: Vec<f32> = (0..classes * count).map(score).collect();
    let model = Model::new(13)
        .initialiser(&floats("boxes", &[1, count as i64, 4], &corners))
        .initialiser(&floats("scores", &[1, classes as i64, count as i64], &scores))
        .initialiser(&list("most", &[most]))
        .initialiser(&floats("overlap", &[1], &[0.45]))
        .initialiser(&floats("least", &[1], &[0.25]))
        .node("NonMaxSuppression", &["boxes", "scores", "most", "overlap", "least"], &["y"], &[])
        .output("y");
    let wanted = |class: usize, i: usize| [0.0, class as f32, (above - 1 - 2 * i) as f32];
    let wanted: Vec<f32> =
        (0..classes).flat_map(|class| (0..most as usize).flat_map(move |i| wanted(class, i))).collect();
    assert_eq!(run(&model, &Bindings::new(), &[]), wanted);
}
