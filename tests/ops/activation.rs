use crate::harness::refused;
use shadernet::ops::Activation;

#[test]
fn what_it_refuses() {
    for (activation, name) in [(Activation::Celu(0.0), "alpha"), (Activation::Softplus(-0.0), "beta")] {
        let error = refused(&[&[3]], activation);
        assert!(error.contains(name) && error.contains("other than 0"), "{error}");
    }
}
