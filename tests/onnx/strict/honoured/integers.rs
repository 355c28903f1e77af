//! Integers: exact results, and values that int32 holds.

use super::{one, run};
use crate::model::{
    FLOAT, INT8, INT32, INT64, Message, Model, UINT32, UINT64, floats, int, list, longs, port, raw, string,
};
use crate::{graph, refusal};
use shadernet::Data;
use shadernet::import::onnx::Bindings;

#[test]
fn integers_that_32_bits_do_not_hold_are_an_error() {
    let add = |constant: &Message, element: i64| {
        let model = Model::new(13).typed("x", element, &[1]).initialiser(constant).output("y");
        model.node("Add", &["x", "c"], &["y"], &[])
    };
    let last = i64::from(i32::MAX);
    let x = Data::from(vec![-1]);
    let model = add(&list("c", &[last]), INT64);
    assert_eq!(run(&model, &Bindings::new(), &[x]), [(i32::MAX - 1) as f32]);
    for value in [last + 1, i64::from(i32::MIN) - 1, i64::MAX, i64::MIN] {
        let error = refusal(&add(&list("c", &[value]), INT64));
        assert!(error.contains(&format!("wanted integers of 32 bits, got {value}")), "{error}");
    }
    let error = refusal(&Model::new(13).initialiser(&raw("w", UINT64, &[1], &[255; 8])).output("w"));
    assert!(error.contains("wanted integers of 32 bits, got 18446744073709551615"), "{error}");
    // Shapes, axes and bounds keep 64 bits: they are never on the device.
    graph(&one("Reshape", &[2, 3], &[list("", &[-1])])).expect("a shape is never on the device");
}

/// Integers on the device are exact beyond an f32's range; those of 8 bits wrap around at their own ends.
#[test]
fn integers_are_summed_and_sorted_exactly() {
    let of = |op: &str, element: i64, second: Option<Message>, attributes: &[Message], x: &[i32]| {
        let mut model = Model::new(18).typed("x", element, &[x.len() as i64]).output("f");
        let mut inputs = vec!["x"];
        if let Some(second) = &second {
            model = model.initialiser(second);
            inputs.push("c");
        }
        let model = model.node(op, &inputs, &["y"], attributes).node("Cast", &["y"], &["f"], &[int("to", FLOAT)]);
        run(&model, &Bindings::new(), &[x.to_vec().into()])
    };
    let large = 1 << 30;
    assert_eq!(of("ReduceSum", INT64, Some(list("c", &[0])), &[], &[large, 3, -large]), [3.0]);
    assert_eq!(of("ReduceMean", INT8, None, &[], &[100, 120, -7, 1, 2]), [43.0]);
    assert_eq!(of("ReduceMax", INT32, None, &[], &[-large - 1, -large - 64]), [-1_073_741_824.0]);
    assert_eq!(
        of("CumSum", INT32, Some(longs("c", &[], &[0])), &[], &[large, 3, -large]),
        [large as f32, large as f32, 3.0]
    );
    assert_eq!(of("CumSum", INT8, Some(longs("c", &[], &[0])), &[], &[100, 50, -7]), [100.0, -106.0, -113.0]);
    assert_eq!(of("TopK", INT64, Some(list("c", &[2])), &[], &[-5, large, 7, -large]), [large as f32, 7.0]);
    assert_eq!(of("ArgMin", INT64, None, &[], &[large + 1, large, large + 2]), [1.0]);
    assert_eq!(of("Pow", INT32, Some(floats("c", &[], &[3.0])), &[], &[-9, 1001]), [-729.0, 1_003_003_001.0]);
    assert_eq!(of("Pow", INT8, Some(list("c", &[2])), &[], &[3, 12]), [9.0, -112.0]);
    let model = Model::new(18).typed("x", INT32, &[1]).initialiser(&floats("c", &[], &[0.5])).output("y");
    let root = model.node("Pow", &["x", "c"], &["y"], &[]);
    assert!(refusal(&root).contains("exponent: wanted whole numbers, as the base's are, got 0.5"));
}

/// The device holds uint32 and uint64 values within int32's range: only operations that keep them there are computed.
#[test]
fn integers_without_a_sign_stay_where_int32_holds_them() {
    let of = |op: &str, element: i64, attributes: &[Message]| {
        let model = Model::new(20).typed("a", element, &[3]).typed("b", element, &[3]).output("f");
        model.node(op, &["a", "b"], &["y"], attributes).node("Cast", &["y"], &["f"], &[int("to", FLOAT)])
    };
    let (a, b) = (vec![i32::MAX, 7, 12], vec![65_536, 9, 5]);
    let run = |op: &str, element: i64, attributes: &[Message]| {
        run(&of(op, element, attributes), &Bindings::new(), &[a.clone().into(), b.clone().into()])
    };
    for element in [UINT32, UINT64] {
        assert_eq!(run("Div", element, &[]), [32_767.0, 0.0, 2.0]);
        assert_eq!(run("Mod", element, &[]), [65_535.0, 7.0, 2.0]);
        assert_eq!(run("Max", element, &[]), [i32::MAX as f32, 9.0, 12.0]);
        assert_eq!(run("BitwiseXor", element, &[]), [(i32::MAX - 65_536) as f32, 14.0, 9.0]);
        assert_eq!(run("BitShift", element, &[string("direction", "RIGHT")]), [0.0, 0.0, 0.0]);
        assert_eq!(run("Greater", element, &[]), [1.0, 0.0, 1.0]);
        for op in ["Add", "Sub", "Mul"] {
            assert!(refusal(&of(op, element, &[])).contains("integers that int32 holds"), "{op}");
        }
        assert!(refusal(&of("BitShift", element, &[string("direction", "LEFT")])).contains("int32 holds"));
        // -1 would be the largest uint.
        let cast = Model::new(20).typed("a", INT32, &[3]).output("y");
        assert!(refusal(&cast.node("Cast", &["a"], &["y"], &[int("to", element)])).contains("int32 holds"));
    }
}

#[test]
fn integers_that_are_known_are_exact() {
    let large = 1 << 62;
    for (op, element, [a, b], wanted) in [
        ("Mul", INT32, [1_234_567_891, 987_654_321], 316_124_131),
        ("Mul", INT64, [large + 1, large + 3], 3),
        ("Add", INT64, [i64::MAX, 1], i64::MIN),
        ("Sub", INT64, [large + 5, large], 5),
        ("Div", INT64, [-large - 12, 4], -(1 << 60) - 3),
        ("Mod", INT64, [large + 1, 7], 5),
        ("Max", INT64, [large + 1, large], large + 1),
        ("Pow", INT64, [3, 39], 4_052_555_153_018_976_267),
        ("Equal", INT64, [(1 << 53) + 1, 1 << 53], 0),
        ("Greater", UINT64, [i64::MIN + 5, 7], 1),
    ] {
        let constant = |name: &str, value: i64| match element {
            INT32 => raw(name, INT32, &[1], &(value as i32).to_le_bytes()),
            _ => raw(name, element, &[1], &value.to_le_bytes()),
        };
        let model = Model::new(13).initialiser(&constant("a", a)).initialiser(&constant("b", b));
        let model = model.node(op, &["a", "b"], &["c"], &[]).node("Cast", &["c"], &["d"], &[int("to", INT64)]);
        let model = model.initialiser(&longs("w", &[1], &[wanted])).node("Sub", &["d", "w"], &["y"], &[]);
        assert_eq!(run(&model.with(12, &port("y", INT64, &[])), &Bindings::new(), &[]), [0.0], "{op} {a} {b}");
    }
    let sum = Model::new(13).initialiser(&longs("a", &[3], &[large + 1, large + 2, 1 - large - large]));
    let sum = sum.node("ReduceSum", &["a"], &["y"], &[int("keepdims", 0)]).with(12, &port("y", INT64, &[]));
    assert_eq!(run(&sum, &Bindings::new(), &[]), [4.0]);
}
