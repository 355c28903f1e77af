//! The rules by which graphs are rewritten, however they were made: exporters and hands write the same network in many ways.

mod activation;
mod affine;
pub(crate) mod attention;
mod chain;
mod doubled;
mod epilogue;
mod integer;
mod movement;
mod norm;
mod quantized;
mod queries;
mod shuffle;
mod slices;
mod token;
pub(crate) mod views;

use crate::Graph;
use crate::graph::rewrite::{Rewrite, Rewriting, Rule};

/// Rules that find one operation behind the several that stand for it.
const RECOGNISED: [Rule; 8] = [
    Rule { name: "activation", find: activation::find },
    Rule { name: "norm", find: norm::find },
    Rule { name: "attention", find: attention::find },
    Rule { name: "pixel shuffle", find: shuffle::find },
    Rule { name: "bias", find: affine::bias },
    Rule { name: "class token", find: token::find },
    Rule { name: "integer convolution", find: integer::find },
    Rule { name: "scaled integer convolution", find: integer::scaled },
];

/// Rules that leave out movements, and fold constants into weights.
const FOLDED: [Rule; 6] = [
    Rule { name: "movement", find: movement::undone },
    Rule { name: "rows", find: movement::rows },
    Rule { name: "rows before norm", find: movement::cut },
    Rule { name: "affine before layer", find: affine::before_layer },
    Rule { name: "affine after layer", find: affine::after_layer },
    Rule { name: "affine chain", find: affine::joined },
];

/// Rules by which an operation takes in the one after it. A slice comes after all that its layer has taken in.
const FUSED: [Rule; 5] = [
    Rule { name: "rounding", find: quantized::rounding },
    Rule { name: "epilogue", find: epilogue::find },
    Rule { name: "doubled images", find: doubled::find },
    Rule { name: "slices of a layer", find: slices::find },
    Rule { name: "elementwise chain", find: chain::find },
];

impl Graph {
    /// Returns this graph as it is planned: without nodes that its outputs don't need, and with fewer operations that give
    /// the same. See [`Graph::rewritten`].
    #[must_use]
    pub fn fused(&self) -> Graph {
        self.rewritten().0
    }

    /// Returns this graph as it is planned, and the rules that made it so, in order.
    ///
    /// Chains of small operations become the one that they stand for: activations, norms, attention. Multiplications and
    /// additions of constants go into the weights of their neighbours. Then operations take in what follows them:
    /// batch norms, additions, activations. A layer whose channels are only read in slices computes each slice on its own.
    #[must_use]
    pub fn rewritten(&self) -> (Graph, Vec<Rewrite>) {
        let (mut rewriting, mut log) = (Rewriting::new(self), Vec::new());
        for rules in [&RECOGNISED[..], &FOLDED, &FUSED] {
            rewriting.apply(rules, &mut log);
        }
        (rewriting.finish(), log)
    }

    /// Returns this graph without unneeded nodes, and with the operations that chains of small ones stand for: what a
    /// summary counts.
    #[cfg(feature = "onnx")]
    pub(crate) fn recognised(&self) -> Graph {
        let mut rewriting = Rewriting::new(self);
        rewriting.apply(&RECOGNISED, &mut Vec::new());
        rewriting.finish()
    }
}
