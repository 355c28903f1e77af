//! Values stored as halves from end to end. So far elementwise operations, convolutions and max pooling support halves.

use crate::harness::tiers;
use shadernet::kernel::Caps;
use shadernet::ops::{Conv2d, Pool2d, PoolKind, Unary};
use shadernet::plan::{Choices, Plan};
use shadernet::selftest::cases::{constant, halves, random};
use shadernet::selftest::reference::{self, Conv, Pool, Tensor};
use shadernet::{BATCH, Graph, Model, Precision};

const CHANNELS: usize = 24;
const SIZE: usize = 32;

/// Builds a 1x1 convolution with ReLU, a max pooling, a 1x1 convolution with a residual, and an absolute value.
fn network() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", [BATCH, CHANNELS, SIZE, SIZE]);
    let conv =
        |seed| Conv2d::new(constant(&random(seed, [CHANNELS, CHANNELS, 1, 1])), Some(constant(&random(9, [CHANNELS]))));
    let y = graph.conv2d(x, conv(2)).and_then(|y| graph.relu(y)).expect("its shapes fit");
    let pooled = graph.pool2d(y, Pool2d::new(PoolKind::Max, 2)).expect("its shapes fit");
    let y = graph.conv2d(pooled, conv(3)).expect("its shapes fit");
    let y = graph.add(y, pooled).and_then(|y| graph.unary(y, Unary::Abs)).expect("its shapes fit");
    graph.output("y", y);
    graph
}

fn expected(x: &Tensor) -> Tensor {
    let bias = random(9, [CHANNELS]);
    let weight = |seed| random(seed, [CHANNELS, CHANNELS, 1, 1]);
    let conv = |x: &Tensor, seed| reference::conv(x, &weight(seed), Some(&bias), &Conv::<2>::ONE);
    let pool = Pool::<2> { size: [2; 2], ..Pool::MAX };
    let pooled = reference::pool(&reference::relu(&conv(x, 2)), &pool);
    reference::add(&conv(&pooled, 3), &pooled).map(f64::abs)
}

#[test]
fn a_network_computes_the_same_in_half_of_the_memory() {
    let x = halves(&random(1, [2, CHANNELS, SIZE, SIZE]));
    let expected = expected(&x);
    let largest = expected.data.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    for tier in tiers() {
        let model = Model::new(&tier.context, &network()).unwrap_or_else(|error| panic!("{}: {error}", tier.name));
        let session = model.precision(Precision::F16).session(2);
        if !tier.context.caps().packs_f16 {
            assert!(session.is_err(), "{}: this device can't convert to f16", tier.name);
            continue;
        }
        let session = session.unwrap_or_else(|error| panic!("{}: {error}", tier.name));
        let got = session.run_blocking(&[&x.data]).unwrap_or_else(|error| panic!("{}: {error}", tier.name));
        let off = got[0].to_f32().iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Four values are rounded to 11 bits, one after the other.
        assert!(off < 4.0 * largest / 1024.0, "{}: off by {off}, of {largest}\n{}", tier.name, session.plan());
        assert!(off > 0.0, "{}: nothing was rounded\n{}", tier.name, session.plan());
    }
}

#[test]
fn the_plan_takes_half_of_the_memory() {
    let graph = network().fused();
    let plan = |precision| {
        Plan::with_precision(&graph, 2, &Caps::portable(), &Choices::new(), precision).expect("it is small")
    };
    let [whole, half] = [Precision::F32, Precision::F16].map(plan);
    assert!(half.peak_bytes() * 2 <= whole.peak_bytes(), "{whole}\n{half}");
    assert!(half.to_string().contains(" f16="), "{half}");
}
