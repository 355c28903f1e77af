//! Networks that together contain most of the exporters' features.

use super::files;
use crate::model::{
    self, BOOL, FLOAT, INT8, INT32, INT64, Model, Size, UINT8, float, floats, int, ints, list, longs, raw, tensor,
};
use std::path::Path;

/// Returns networks that together contain most of the exporters' features.
pub fn models() -> Vec<(String, Vec<u8>)> {
    let value = |i: usize| (i % 7) as f32 * 0.1 - 0.3;
    let weight = |name: &str, dims: &[i64]| {
        floats(name, dims, &(0..dims.iter().product::<i64>() as usize).map(value).collect::<Vec<_>>())
    };
    let convolutional = Model::new(13)
        .input("x", &[1, 4, 8, 8])
        .initialiser(&weight("w", &[8, 2, 3, 3]))
        .initialiser(&weight("b", &[8]))
        .node(
            "Conv",
            &["x", "w", "b"],
            &["a"],
            &[int("group", 2), ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])],
        )
        .node("BatchNormalization", &["a", "b", "b", "b", "b"], &["c"], &[float("epsilon", 1e-3)])
        .node("Relu", &["c"], &["d"], &[])
        .node(
            "MaxPool",
            &["d"],
            &["e"],
            &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2]), int("ceil_mode", 1)],
        )
        .node("AveragePool", &["d"], &["f"], &[ints("kernel_shape", &[2, 2]), model::string("auto_pad", "SAME_UPPER")])
        .node("GlobalAveragePool", &["e"], &["g"], &[])
        .node("Flatten", &["g"], &["h"], &[int("axis", 1)])
        .initialiser(&weight("v", &[5, 8]))
        .node("Gemm", &["h", "v"], &["y"], &[int("transB", 1), float("alpha", 0.5)])
        .initialiser(&weight("t", &[8, 2, 2, 2]))
        .node("ConvTranspose", &["f", "t"], &["z"], &[ints("strides", &[2, 2]), ints("output_padding", &[1, 1])])
        .output("y")
        .output("z");
    let attention = Model::new(17)
        .input("x", &[2, 6, 8])
        .initialiser(&weight("w", &[8, 8]))
        .initialiser(&weight("s", &[8]))
        .node("LayerNormalization", &["x", "s", "s"], &["n"], &[int("axis", -1)])
        .node("MatMul", &["n", "w"], &["q"], &[])
        .initialiser(&list("heads", &[0, 0, 2, 4]))
        .node("Reshape", &["q", "heads"], &["r"], &[])
        .node("Transpose", &["r"], &["qh"], &[ints("perm", &[0, 2, 1, 3])])
        .node("Transpose", &["r"], &["kt"], &[ints("perm", &[0, 2, 3, 1])])
        .node("MatMul", &["qh", "kt"], &["scores"], &[])
        .initialiser(&floats("root", &[], &[2.0]))
        .node("Div", &["scores", "root"], &["scaled"], &[])
        .node("Softmax", &["scaled"], &["p"], &[int("axis", -1)])
        .node("MatMul", &["p", "qh"], &["o"], &[])
        .node("Transpose", &["o"], &["ot"], &[ints("perm", &[0, 2, 1, 3])])
        .node("Shape", &["x"], &["shape"], &[])
        .node("Reshape", &["ot", "shape"], &["y"], &[])
        .node("Einsum", &["x", "w"], &["e"], &[model::string("equation", "bij,jk->bik")])
        .output("y")
        .output("e");
    let shapes = Model::new(13)
        .port("x", FLOAT, &[Size::Named("n"), Size::Of(3), Size::Of(4)])
        .node("Shape", &["x"], &["s"], &[])
        .initialiser(&list("one", &[1]))
        .initialiser(&list("two", &[2]))
        .node("Gather", &["s", "one"], &["g"], &[int("axis", 0)])
        .node("Mul", &["g", "two"], &["d"], &[])
        .node("Concat", &["d", "two"], &["c"], &[int("axis", 0)])
        .node("Reshape", &["x", "c"], &["r"], &[])
        .node("ConstantOfShape", &["c"], &["k"], &[tensor("value", &floats("", &[1], &[3.0]))])
        .node("Add", &["r", "k"], &["a"], &[])
        .node("Unsqueeze", &["a", "one"], &["u"], &[])
        .node("Squeeze", &["u", "one"], &["q"], &[])
        .node("Slice", &["q", "one", "two", "one"], &["l"], &[])
        .initialiser(&list("pads", &[1, 0, 1, 2]))
        .node("Pad", &["q", "pads"], &["p"], &[model::string("mode", "reflect")])
        .node("Tile", &["q", "c"], &["t"], &[])
        .node("Expand", &["q", "s"], &["never"], &[])
        .initialiser(&longs("zero", &[], &[0]))
        .initialiser(&longs("unit", &[], &[1]))
        .initialiser(&longs("ten", &[], &[10]))
        .node("Range", &["zero", "ten", "unit"], &["range"], &[])
        .node("Cast", &["range"], &["numbers"], &[int("to", FLOAT)])
        .node("Split", &["numbers"], &["first", "second"], &[int("axis", 0)])
        .node("ReduceSum", &["first", "one_axis"], &["sum"], &[int("keepdims", 0)])
        .initialiser(&list("one_axis", &[0]));
    let shapes = ["l", "p", "t", "second", "sum"].into_iter().fold(shapes, Model::output);
    let pictures = Model::new(13)
        .input("x", &[1, 4, 4, 4])
        .node("DepthToSpace", &["x"], &["d"], &[int("blocksize", 2), model::string("mode", "CRD")])
        .node("SpaceToDepth", &["d"], &["s"], &[int("blocksize", 4)])
        .initialiser(&floats("scales", &[4], &[1.0, 1.0, 1.5, 2.0]))
        .node("Resize", &["x", "", "scales"], &["r"], &[model::string("mode", "linear")])
        .initialiser(&list("sizes", &[1, 4, 7, 3]))
        .node(
            "Resize",
            &["x", "", "", "sizes"],
            &["c"],
            &[model::string("mode", "cubic"), float("cubic_coeff_a", -0.5)],
        )
        .node("LRN", &["r"], &["l"], &[int("size", 3)])
        .node("InstanceNormalization", &["l", "w", "w"], &["i"], &[])
        .initialiser(&weight("w", &[4]))
        .node("PRelu", &["i", "slope"], &["p"], &[])
        .initialiser(&weight("slope", &[4, 1, 1]))
        .initialiser(&list("k", &[3]))
        .node("TopK", &["p", "k"], &["values", "places"], &[int("axis", 2)])
        .node("ArgMax", &["p"], &["most"], &[int("axis", 1)]);
    let pictures = ["s", "c", "values", "places", "most"].into_iter().fold(pictures, Model::output);
    let recurrent = Model::new(14)
        .input("x", &[3, 2, 4])
        .initialiser(&weight("w", &[2, 12, 4]))
        .initialiser(&weight("r", &[2, 12, 3]))
        .initialiser(&weight("b", &[2, 24]))
        .node(
            "LSTM",
            &["x", "w", "r", "b"],
            &["y", "h"],
            &[int("hidden_size", 3), model::string("direction", "bidirectional")],
        )
        .initialiser(&weight("gw", &[1, 9, 4]))
        .initialiser(&weight("gr", &[1, 9, 3]))
        .node("GRU", &["x", "gw", "gr"], &["z"], &[int("hidden_size", 3), int("linear_before_reset", 1)])
        .output("y")
        .output("h")
        .output("z");
    let quantised = Model::new(21)
        .input("x", &[2, 8])
        .initialiser(&floats("s", &[], &[0.1]))
        .initialiser(&raw("z", UINT8, &[], &[3]))
        .node("QuantizeLinear", &["x", "s", "z"], &["q"], &[])
        .node("DequantizeLinear", &["q", "s", "z"], &["d"], &[])
        .initialiser(&raw("w", INT8, &[8, 4], &[7; 32]))
        .initialiser(&floats("ws", &[4], &[0.1, 0.2, 0.3, 0.4]))
        .node("DequantizeLinear", &["w", "ws"], &["dw"], &[int("axis", 1)])
        .node("MatMul", &["d", "dw"], &["y"], &[])
        .node("MatMulInteger", &["q", "w", "z"], &["m"], &[])
        .initialiser(&floats("bs", &[2, 4], &[0.1; 8]))
        .node("DequantizeLinear", &["w", "bs"], &["bw"], &[int("axis", 0), int("block_size", 4)])
        .node("MatMul", &["d", "bw"], &["v"], &[])
        .output("y")
        .output("m")
        .output("v");
    let selected = Model::new(18)
        .input("x", &[3, 5])
        .typed("i", INT64, &[3, 1])
        .node("GatherElements", &["x", "i"], &["g"], &[int("axis", 1)])
        .node("ScatterElements", &["x", "i", "g"], &["s"], &[int("axis", 1), model::string("reduction", "add")])
        .node("Trilu", &["s"], &["t"], &[int("upper", 0)])
        .node("CumSum", &["t", "axis"], &["c"], &[int("reverse", 1)])
        .initialiser(&longs("axis", &[], &[1]))
        .node("Clip", &["c", "lo"], &["l"], &[])
        .initialiser(&floats("lo", &[], &[-0.5]))
        .node("Greater", &["l", "lo"], &["more"], &[])
        .node("Where", &["more", "l", "lo"], &["y"], &[])
        .node("OneHot", &["i", "depth", "onoff"], &["h"], &[int("axis", 1)])
        .initialiser(&longs("depth", &[], &[4]))
        .initialiser(&floats("onoff", &[2], &[0.0, 1.0]))
        .output("y")
        .output("h");
    let old = Model::new(6)
        .input("x", &[1, 3, 4, 4])
        .initialiser(&weight("b", &[3]))
        .node("Add", &["x", "b"], &["a"], &[int("broadcast", 1), int("axis", 1)])
        .node("Clip", &["a"], &["c"], &[float("min", 0.0), float("max", 6.0)])
        .node("Pad", &["c"], &["p"], &[ints("pads", &[0, 0, 1, 1, 0, 0, 2, 2]), model::string("mode", "edge")])
        .node("Reshape", &["p", "s"], &["r"], &[])
        .initialiser(&list("s", &[1, -1]))
        .node("Softmax", &["r"], &["y"], &[int("axis", 1)])
        .output("y");
    let signal = Model::new(17)
        .input("x", &[1, 32, 1])
        .initialiser(&longs("step", &[], &[8]))
        .initialiser(&longs("length", &[], &[16]))
        .node("HannWindow", &["length"], &["w"], &[])
        .node("STFT", &["x", "step", "w", "length"], &["y"], &[int("onesided", 1)])
        .node("DFT", &["x"], &["z"], &[int("axis", 1)])
        .output("y")
        .output("z");
    let add = [model::node_of("local", "Scaled", &["s"], &["t"], &[float("by", 0.5)])];
    let add = model::subgraph("body", &model::body_of([&["i", "c", "s"], &["c", "t", "t"]], &add));
    let scaled = [
        model::node_of("", "LeakyRelu", &["a"], &["b"], &[model::reference("alpha", 1, "by")]),
        model::node_of("", "Add", &["b", "b"], &["d"], &[]),
    ];
    let double = model::node_of("", "Add", &["a", "a"], &["b"], &[]);
    let double = model::subgraph("body", &model::body_of([&["a"], &["b"]], std::slice::from_ref(&double)));
    let scan = model::node_of("", "Add", &["a", "b"], &["d"], &[]);
    let scan = model::subgraph("body", &model::body_of([&["a", "b"], &["d", "d"]], std::slice::from_ref(&scan)));
    let branch = |name: &str, of: &str| model::subgraph(name, &model::body_of([&[], &[of]], &[]));
    let bodies = Model::new(17)
        .opset("local", 1)
        .function(&model::function_of("Scaled", [&["a"], &["d"]], &["by"], &[], &scaled))
        .input("x", &[2, 4])
        .initialiser(&longs("three", &[], &[3]))
        .initialiser(&longs("zero", &[], &[0]))
        .initialiser(&raw("no", BOOL, &[], &[0]))
        .node("Loop", &["three", "", "x"], &["l", "all"], &[add])
        .node("If", &["no"], &["i"], &[branch("then_branch", "x"), branch("else_branch", "l")])
        .node("SplitToSequence", &["i"], &["q"], &[int("axis", 1)])
        .node("SequenceInsert", &["q", "i", "zero"], &["r"], &[])
        .node("SequenceErase", &["r", "zero"], &["e"], &[])
        .node("SequenceMap", &["e"], &["m"], &[double])
        .node("SequenceAt", &["m", "zero"], &["at"], &[])
        .node("ConcatFromSequence", &["m"], &["y"], &[int("axis", 1)])
        .node("Scan", &["at", "y"], &["s", "z"], &[scan, int("num_scan_inputs", 1), ints("scan_input_axes", &[1])])
        .output("all")
        .output("y");
    let microsoft = |op: &str, inputs: &[&str], output: &str, attributes: &[model::Message]| {
        model::node_of("com.microsoft", op, inputs, &[output], attributes)
    };
    let fused = [
        microsoft(
            "FusedConv",
            &["x", "w", "b", "x"],
            "c",
            &[
                model::string("activation", "Clip"),
                model::float_list("activation_params", &[0.0, 6.0]),
                ints("pads", &[1; 4]),
            ],
        ),
        microsoft("FusedMatMul", &["c", "x"], "m", &[float("alpha", 0.5), int("transB", 1)]),
        model::node_of("", "Reshape", &["m", "tokens"], &["t"], &[]),
        microsoft("SkipLayerNormalization", &["t", "t", "gamma", "gamma", "gamma"], "n", &[]),
        microsoft("Attention", &["n", "qkv", "", "lengths"], "a", &[int("num_heads", 2), int("unidirectional", 1)]),
        microsoft("BiasGelu", &["a", "gamma"], "g", &[]),
        microsoft("MultiHeadAttention", &["g", "n", "a", "", "", "", "past", "past"], "h", &[int("num_heads", 2)]),
        microsoft(
            "GroupQueryAttention",
            &["h", "half", "half", "past", "past", "lengths", "total", "cos", "cos"],
            "y",
            &[int("num_heads", 2), int("kv_num_heads", 2), int("do_rotary", 1), int("local_window_size", 3)],
        ),
        model::node_of("", "QuantizeLinear", &["y", "s", "z"], &["q"], &[]),
        microsoft("QLinearAdd", &["q", "s", "z", "q", "s", "z", "s", "z"], "r", &[]),
        microsoft("QLinearConcat", &["s", "z", "q", "s", "z", "r", "s", "z"], "k", &[int("axis", -1)]),
        microsoft("QLinearSoftmax", &["k", "s", "z", "s", "z"], "l", &[int("opset", 13)]),
    ];
    let fused = fused.iter().fold(Model::new(13), |model, node| model.with(1, node)).opset("com.microsoft", 1);
    let fused = fused
        .input("x", &[1, 3, 4, 4])
        .typed("lengths", INT32, &[1])
        .initialiser(&weight("w", &[3, 3, 3, 3]))
        .initialiser(&weight("b", &[3]))
        .initialiser(&list("tokens", &[1, 6, 8]))
        .initialiser(&weight("gamma", &[8]))
        .initialiser(&weight("qkv", &[8, 24]))
        .initialiser(&weight("past", &[1, 2, 5, 4]))
        .initialiser(&weight("half", &[1, 6, 8]))
        .initialiser(&weight("cos", &[16, 2]))
        .initialiser(&raw("total", INT32, &[], &[11, 0, 0, 0]))
        .initialiser(&floats("s", &[], &[0.1]))
        .initialiser(&raw("z", UINT8, &[], &[3]))
        .output("l");
    let classical = |op: &str, inputs: &[&str], outputs: &[&str], attributes: &[model::Message]| {
        model::node_of("ai.onnx.ml", op, inputs, outputs, attributes)
    };
    let sums = [model::float_list("coefficients", &[0.5; 12]), model::float_list("intercepts", &[0.1; 3])];
    let labels =
        [&sums[..], &[ints("classlabels_ints", &[4, 5, 6]), model::string("post_transform", "SOFTMAX")]].concat();
    let selected_by = model::body_of([&[], &["t"]], &[model::node_of("", "Neg", &["d"], &["t"], &[])]);
    let nodes = [
        classical(
            "Scaler",
            &["x"],
            &["d"],
            &[model::float_list("offset", &[0.5; 4]), model::float_list("scale", &[2.0])],
        ),
        model::node_of("", "ReduceMax", &["d"], &["most"], &[int("keepdims", 0)]),
        model::node_of("", "Greater", &["most", "one"], &["more"], &[]),
        model::node_of(
            "",
            "If",
            &["more"],
            &["i"],
            &[
                model::subgraph("then_branch", &selected_by),
                model::subgraph("else_branch", &model::body_of([&[], &["d"]], &[])),
            ],
        ),
        classical("Normalizer", &["i"], &["n"], &[model::string("norm", "L2")]),
        classical("LinearClassifier", &["n"], &["label", "scores"], &labels),
    ];
    let classical = nodes.iter().fold(Model::new(17).opset("ai.onnx.ml", 3), |model, node| model.with(1, node));
    let classical =
        classical.input("x", &[3, 4]).initialiser(&floats("one", &[], &[1.0])).output("label").output("scores");
    let named = [
        ("fused", fused),
        ("classical", classical),
        ("bodies", bodies),
        ("convolutional", convolutional),
        ("attention", attention),
        ("shapes", shapes),
        ("pictures", pictures),
        ("recurrent", recurrent),
        ("quantised", quantised),
        ("selected", selected),
        ("old", old),
        ("signal", signal),
    ];
    let mut all: Vec<_> = named.into_iter().map(|(name, model)| (name.to_owned(), model.bytes())).collect();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx"), &mut all);
    all
}
