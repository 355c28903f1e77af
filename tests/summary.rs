//! The costs of networks, without a GPU: the lecture's figures, torchvision's parameters, formulas for the rest.

use shadernet::measure::{Layer, Summary};
use shadernet::models::{Decoder, all, find, m5, m5_small};
use shadernet::ops::Activation;
use shadernet::{BATCH, Constant, DType, Graph, Precision, Weights};

fn summary(name: &str) -> Summary {
    let network = find(name).unwrap_or_else(|error| panic!("{error}"));
    of(&network.graph(&Weights::seeded(0), None).expect("seeded weights fit"))
}

fn of(graph: &Graph) -> Summary {
    Summary::new(graph, 1).unwrap_or_else(|error| panic!("{error}"))
}

fn near(got: f64, want: f64) {
    assert!((got / want - 1.0).abs() < 1e-12, "{got} instead of {want}");
}

/// The figures of MIT 6.5940, lecture 2, layer by layer.
#[test]
fn the_first_alexnet() {
    let summary = summary("alexnet_original");
    let weighted: Vec<&Layer> = summary.layers.iter().filter(|layer| layer.cost.weights > 0).collect();
    let weights: Vec<u64> = weighted.iter().map(|layer| layer.cost.weights).collect();
    assert_eq!(weights, [34_848, 307_200, 884_736, 663_552, 442_368, 37_748_736, 16_777_216, 4_096_000]);
    let macs: Vec<u64> = weighted.iter().map(|layer| layer.cost.macs).collect();
    let convolutions = [105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192];
    assert_eq!(macs, [&convolutions[..], &weights[5..]].concat());
    assert_eq!((summary.weights, summary.macs), (60_954_656, 724_406_816));
    assert_eq!((summary.activations_total, summary.activations_peak), (932_264, 440_928));
    // The peak is the first layer's: the picture, and 96 channels of 55x55.
    let peak = summary.layers.iter().position(|layer| layer.activations_read_and_written == summary.activations_peak);
    assert_eq!((peak, 3 * 224 * 224 + 96 * 55 * 55), (Some(0), 440_928));

    // Beside the MACs, each output takes a bias and a ReLU (the last layer's a bias alone). There are two norms over 5
    // channels, and three poolings over 3x3 pixels.
    let outputs = [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000u64];
    let pooled = [96 * 27 * 27, 256 * 13 * 13, 256 * 6 * 6u64];
    let other = 2 * outputs.iter().sum::<u64>() - 1000 + 9 * (outputs[0] + outputs[1]) + 8 * pooled.iter().sum::<u64>();
    assert_eq!((summary.other, summary.flops), (other, 2 * summary.macs + other));
    let first = &summary.layers[0];
    assert_eq!(first.flops(), 2 * 105_415_200 + 290_400);
    assert_eq!(first.bytes, 4 * (150_528 + 34_848 + 96 + 290_400));
    near(first.intensity().expect("it moves bytes"), first.flops() as f64 / first.bytes as f64);
    assert_eq!(first.input_shapes[0][..], [1, 3, 224, 224]);
    assert_eq!(summary.bytes, summary.layers.iter().map(|layer| layer.bytes).sum::<u64>());
    let flatten = summary.layers.iter().find(|layer| layer.op == "flatten").expect("there is one");
    assert_eq!((flatten.bytes, flatten.intensity()), (0, None));
}

/// Returns the number of weights of a convolution.
fn conv(out: u64, inputs: u64, kernel: u64) -> u64 {
    out * inputs * kernel * kernel
}

#[test]
fn parameters_of_all_networks() {
    // `sum(p.numel() for p in model.parameters())` of torchvision's networks of these names.
    let torchvision = [
        ("alexnet", 61_100_840),
        ("vgg11", 132_863_336),
        ("vgg11_bn", 132_868_840),
        ("vgg13", 133_047_848),
        ("vgg13_bn", 133_053_736),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("vgg19", 143_667_240),
        ("vgg19_bn", 143_678_248),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnext50_32x4d", 25_028_904),
        ("mobilenet_v2", 3_504_872),
        ("mobilenet_v3_small", 2_542_856),
        ("mobilenet_v3_large", 5_483_032),
        ("vit_b_16", 86_567_656),
        // Counted from torchvision's `VisionTransformer` of these sizes.
        ("vit_ti_16", 5_717_416),
    ];
    // torchvision lacks these networks; the counts follow their papers and training scripts, layer by layer.
    let upscale = conv(12, 3, 5) + conv(32, 3, 5) + 2 * conv(32, 32, 3) + conv(12, 32, 3) + (32 + 32 + 32 + 12);
    let biases = 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000;
    let widths = [32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024];
    // A stem; per block a depthwise kernel of 9 and a pointwise one, each with a norm; a linear layer.
    let blocks = widths.windows(2).map(|pair| 9 * pair[0] + 2 * pair[0] + pair[0] * pair[1] + 2 * pair[1]).sum::<u64>();
    let mobilenet = conv(32, 3, 3) + 2 * 32 + blocks + 1024 * 1000 + 1000;
    let others = [
        ("alexnet_original", 60_954_656 + biases),
        ("upscale", upscale),
        ("mobilenet_v1", mobilenet),
        ("digits", digits()),
    ];
    let wanted: Vec<(&str, u64)> = torchvision.into_iter().chain(others).collect();
    for network in all() {
        let parameters = wanted.iter().find(|(name, _)| *name == network.name).map(|(_, parameters)| *parameters);
        let summary = summary(network.name);
        assert_eq!(Some(summary.parameters), parameters, "{}", network.name);
        let layers: u64 = summary.layers.iter().map(|layer| layer.cost.parameters).sum();
        assert_eq!(layers, summary.parameters, "{} shares nothing", network.name);
    }
    assert_eq!(wanted.len(), all().len());
}

/// Counts the parameters in the crate's own file, without running statistics.
fn digits() -> u64 {
    let file = safetensors::SafeTensors::deserialize(include_bytes!("../assets/digits/digits.safetensors"));
    let file = file.expect("the file is whole");
    let learned = file.iter().filter(|(name, _)| !name.contains("running_") && !name.contains("num_batches"));
    learned.map(|(_, tensor)| tensor.shape().iter().product::<usize>() as u64).sum()
}

#[test]
fn parameters_of_networks_of_sound() {
    // A kernel of 80, three of 3, each with a bias and a norm; a linear layer to 35 words.
    let formula = |c: [u64; 4]| {
        let convolutions = 80 * c[0] + 3 * (c[0] * c[1] + c[1] * c[2] + c[2] * c[3]);
        convolutions + 3 * c.iter().sum::<u64>() + 35 * c[3] + 35
    };
    for (build, channels) in [(m5 as fn(&mut _, _, &_) -> _, [128, 128, 256, 512]), (m5_small, [32, 32, 64, 64])] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 1, 8000]);
        let y = build(&mut graph, x, &Weights::seeded(0)).expect("seeded weights fit");
        graph.output("y", y);
        let summary = of(&graph);
        assert_eq!(summary.parameters, formula(channels));
        // The receptive field has one axis; the mean of all samples precedes the last layer.
        let first = summary.layers[0].receptive_field.as_ref().expect("it sees samples");
        assert_eq!(first.to_string(), if channels[0] == 128 { "80 /4 @0" } else { "80 /16 @0" });
    }
}

#[test]
fn parameters_of_a_decoder() {
    let decoder = |tied: bool| Decoder {
        vocab_size: 65,
        hidden_size: 128,
        intermediate_size: 344,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        max_position_embeddings: 256,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        tie_word_embeddings: tied,
    };
    // Queries and outputs, keys and values of half as many heads, an MLP of three layers, two norms; a last norm.
    let blocks = 4 * (2 * 128 * 128 + 2 * 128 * 64 + 3 * 128 * 344 + 2 * 128) + 128;
    for tied in [true, false] {
        let graph = decoder(tied).full(&Weights::seeded(0), 16).expect("seeded weights fit");
        let summary = of(&graph);
        // An embedding tied to the output layer counts once.
        assert_eq!(summary.parameters, blocks + 65 * 128 * if tied { 1 } else { 2 });
        assert!(summary.layers.iter().all(|layer| layer.receptive_field.is_none()), "tokens are no pixels");
    }
    // A new token touches its own rows of the cache, not all 256.
    let graph = decoder(true).next(&Weights::seeded(0), 1).expect("seeded weights fit");
    let append = of(&graph).layers.into_iter().find(|layer| layer.op == "append").expect("there are keys");
    assert_eq!(append.bytes, 4 * (2 * 64 + 1));
}

/// The lecture's comparison: MobileNetV2 is smaller, but for its peak.
#[test]
fn mobilenet_against_resnet() {
    let (resnet, mobilenet) = (summary("resnet50"), summary("mobilenet_v2"));
    assert!(7 * mobilenet.parameters < resnet.parameters && 12 * mobilenet.macs < resnet.macs);
    assert!(mobilenet.activations_total < resnet.activations_total);
    assert!(resnet.activations_peak < mobilenet.activations_peak);
    // 96 expanded channels of 112x112, shrunk by a depthwise convolution to 56x56; 256 channels of 56x56, then 128.
    assert_eq!(mobilenet.activations_peak, 96 * (112 * 112 + 56 * 56));
    assert_eq!(resnet.activations_peak, (256 + 128) * 56 * 56);
}

#[test]
fn bytes_and_joules() {
    let summary = summary("resnet50");
    let bytes = Summary::STORAGE.map(|(_, bits)| summary.model_bytes(bits));
    assert_eq!(
        bytes,
        [4, 2, 1].map(|bytes| bytes * 25_557_032).into_iter().chain([12_778_516]).collect::<Vec<u64>>()[..]
    );
    assert_eq!(summary.parameter_bytes, bytes[0]);
    assert_eq!(Summary { parameters: 3, ..summary.clone() }.model_bytes(4), 2, "a half byte takes a whole one");
    // 4.6 pJ per multiply-accumulate, 0.9 pJ per other operation, 640 pJ per four bytes.
    let one = Summary { macs: 1_000_000, other: 1_000_000, bytes: 4_000_000, ..summary };
    near(one.energy_estimate().arithmetic, 5.5e-6);
    near(one.energy_estimate().memory, 640e-6);
}

/// The text is the command's table: columns of equal width, then the totals.
#[test]
fn a_summary_prints_as_a_table() {
    let text = summary("digits").to_string();
    let (table, totals) = text.split_once("\n\n").expect("an empty line");
    let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert_eq!(widths, vec![widths[0]; summary("digits").layers.len() + 2], "{table}");
    assert!(table.contains("| conv1 ") && totals.starts_with("parameters ") && totals.contains(" 77,290\n"), "{text}");
}

/// A constant that operations read is a parameter, if it was learned.
#[test]
fn which_values_are_parameters() {
    let weights = Weights::seeded(0);
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, 3]);
    let learned = weights.get("shift", [3]).expect("seeded");
    let made = Constant::new("sum", [3], vec![0.0; 3])
        .unwrap()
        .derived_from(&[&learned, &weights.get("scale", [5]).expect("seeded")]);
    let mine = Constant::new("mine", [3], vec![1.0; 3]).unwrap().into_parameter();
    let factor = Constant::new("factor", [1], vec![0.5]).unwrap();
    let value = graph.constant(learned);
    let mut y = graph.add(x, value).expect("3 numbers");
    y = graph.add(y, value).expect("3 numbers");
    for constant in [made, mine, factor] {
        let value = graph.constant(constant);
        y = graph.mul(y, value).expect("3 numbers");
    }
    graph.output("y", y);
    let summary = of(&graph);
    let parameters: Vec<u64> = summary.layers.iter().map(|layer| layer.cost.parameters).collect();
    assert_eq!(parameters, [3, 0, 8, 3, 0], "once, by the first who reads it");
    assert_eq!(summary.parameters, 14);
    // The constant is an input already, and moves once.
    assert_eq!(summary.layers[0].bytes, 4 * 9);
}

/// Fused operations cost as much as separate ones, except for batch norm, which becomes a bias at most.
#[test]
fn fusion_keeps_arithmetic() {
    for name in ["alexnet", "upscale", "vit_b_16", "mobilenet_v3_small", "resnet18", "vgg11_bn"] {
        let graph =
            find(name).and_then(|network| network.graph(&Weights::seeded(0), None)).expect("seeded weights fit");
        let (before, after) = (of(&graph), of(&graph.fused()));
        // A scale and a shift per element become a bias; a convolution with a bias absorbs even that.
        let norms = before.layers.iter().filter(|layer| layer.op == "batch_norm");
        let elements: u64 = norms.map(|layer| layer.output_shape.elements() as u64).sum();
        let saved = if name == "vgg11_bn" { 2 * elements } else { elements };
        assert_eq!((after.macs, after.other), (before.macs, before.other - saved), "{name}");
        assert!(after.bytes < before.bytes, "{name}");
    }
}

#[test]
fn a_batch_multiplies_all_but_parameters() {
    let graph =
        find("mobilenet_v3_small").and_then(|network| network.graph(&Weights::seeded(0), None)).expect("it fits");
    let (one, three) = (of(&graph), Summary::new(&graph, 3).expect("3 images"));
    assert_eq!([one.macs, one.other, one.flops].map(|count| 3 * count), [three.macs, three.other, three.flops]);
    let parameters = 4 * one.parameters;
    assert_eq!(3 * (one.bytes - parameters), three.bytes - parameters);
    // A count beyond the largest number saturates.
    let mut graph = Graph::new();
    let tokens = graph.typed_input("tokens", DType::I32, [BATCH, 1 << 40]);
    let y = graph.cast(tokens, DType::F32).and_then(|x| graph.activation(x, Activation::GeluTanh));
    graph.output("y", y.expect("any shape"));
    let most = Summary::new(&graph, 1 << 40).expect("it is only counted");
    assert_eq!((most.flops, most.bytes), (u64::MAX, u64::MAX));
}

/// Values and weights take two bytes where a precision stores them so; biases and integers take four.
#[test]
fn a_precision_changes_bytes_only() {
    let weights = Weights::seeded(0);
    let mut graph = Graph::new();
    let (x, indices) = (graph.input("x", [BATCH, 8]), graph.typed_input("indices", DType::I32, [BATCH, 2]));
    let get = |name, shape: &[usize]| weights.get(name, shape).expect("seeded");
    let y = graph.linear(x, get("w", &[16, 8]), Some(get("b", &[16]))).expect("it fits");
    let y = graph.relu(y).expect("it fits");
    graph.output("y", y);
    let rows = graph.embedding(indices, get("table", &[5, 4])).expect("it fits");
    graph.output("rows", rows);
    let of = |precision| Summary::with_precision(&graph, 1, precision).expect("it fits");
    let [whole, half, mixed] = Precision::ALL.map(of);
    assert_eq!(whole, Summary::new(&graph, 1).expect("it fits"));
    // 8 values and 2 indices come in, 16 + 8 values are held, the linear layer reads 8 and writes 16.
    let bytes = |of: &Summary| [of.parameter_bytes, of.activations_total_bytes, of.activations_peak_bytes];
    let parameters = 4 * (16 + 20);
    assert_eq!(bytes(&whole), [parameters + 4 * 128, 4 * 34, 4 * 24]);
    assert_eq!(bytes(&half), [parameters + 2 * 128, 2 * 32 + 4 * 2, 2 * 24]);
    assert_eq!(bytes(&mixed), [parameters + 2 * 128, 4 * 34, 4 * 24]);
    let moved = |of: &Summary| of.layers.iter().map(|layer| layer.bytes).collect::<Vec<u64>>();
    assert_eq!(moved(&whole), [4 * (8 + 128 + 16 + 16), 4 * 32, 4 * (8 + 8 + 2)]);
    assert_eq!(moved(&half), [2 * (8 + 128 + 16) + 4 * 16, 2 * 32, 4 * (8 + 2) + 2 * 8]);
    assert_eq!(moved(&mixed), [4 * (8 + 16 + 16) + 2 * 128, 4 * 32, 4 * (8 + 8 + 2)]);
    for of in [&half, &mixed] {
        assert_eq!(
            (of.weights, of.parameters, of.macs, of.activations_total),
            (whole.weights, whole.parameters, whole.macs, whole.activations_total)
        );
        assert_eq!(of.activations_peak, whole.activations_peak);
        assert_eq!(of.bytes, moved(of).iter().sum::<u64>());
    }
}
