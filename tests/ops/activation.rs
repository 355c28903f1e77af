use crate::harness::refused;
use shadernet::ops::Activation;

#[test]
fn what_it_refuses() {
    for (activation, name) in [(Activation::Celu(0.0), "alpha"), (Activation::Softplus(-0.0), "beta")] {
        let error = refused(&[&[3]], activation);
        assert!(error.contains(name) && error.contains("other than 0"), "{error}");
    }
    let (nan, infinite) = (f32::NAN, f32::INFINITY);
    for (lo, hi) in [(nan, 1.0), (0.0, nan), (infinite, infinite), (-infinite, -infinite)] {
        assert!(refused(&[&[3]], Activation::Clamp(lo, hi)).contains("min, max: wanted less than"), "{lo}, {hi}");
    }
}
