//! Parameters, multiply-accumulates and activations, layer by layer.

use crate::error::{ErrorKind, Result};
use crate::{Cost, Graph, Shape};

/// What a graph costs for a batch, by the definitions of MIT's course on efficient deep learning (6.5940, lecture 2).
///
/// ```
/// use shadernet::{Weights, measure::Summary, models};
/// let graph = models::find("alexnet_original")?.graph(&Weights::seeded(0), None)?;
/// let summary = Summary::of(&graph, 1)?;
/// assert_eq!(summary.weights, 60_954_656);
/// assert_eq!(summary.macs, 724_406_816);
/// # Ok::<(), shadernet::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The operations, in order.
    pub layers: Vec<Layer>,
    /// Learned numbers that multiply: weights without biases.
    pub weights: u64,
    /// All learned numbers, biases and normalisation included.
    pub parameters: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Elements of the inputs and of all outputs that are held in memory of their own: see [`Cost::activations`].
    pub activations_total: u64,
    /// The most elements that one such operation reads and writes.
    pub activations_peak: u64,
}

/// What one operation costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name: in a network, the name of its weights.
    pub name: String,
    /// The operation.
    pub op: &'static str,
    /// The shape of its first output.
    pub output_shape: Shape,
    /// Its weights, parameters and multiply-accumulates.
    pub cost: Cost,
}

impl Summary {
    /// What a graph costs when the batch is `batch`; as it was built, without fusion. Needs no GPU.
    pub fn of(graph: &Graph, batch: usize) -> Result<Summary> {
        if batch == 0 {
            return Err(ErrorKind::argument("batch", "1 or more", 0).into());
        }
        let elements = |shapes: &[Shape]| shapes.iter().map(|shape| shape.elements() as u64).sum::<u64>();
        let inputs: Vec<Shape> = graph.inputs().iter().map(|input| input.shape.with_batch(batch)).collect();
        let mut summary = Summary {
            layers: Vec::new(),
            weights: 0,
            parameters: 0,
            macs: 0,
            activations_total: 0,
            activations_peak: 0,
        };
        graph.visit(batch, |node, io| {
            let cost = node.op.cost(io);
            summary.weights += cost.weights;
            summary.parameters += cost.parameters;
            summary.macs += cost.macs;
            if cost.activations {
                let (read, written) = (elements(io.inputs), elements(io.outputs));
                summary.activations_total += written;
                summary.activations_peak = summary.activations_peak.max(read + written);
            }
            let (name, op, output_shape) = (node.name.clone(), node.op.name(), io.outputs[0].clone());
            summary.layers.push(Layer { name, op, output_shape, cost });
            Ok(())
        })?;
        summary.activations_total += elements(&inputs);
        Ok(summary)
    }

    /// The bytes of all parameters as `f32`.
    pub fn parameter_bytes(&self) -> u64 {
        4 * self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BATCH, Weights, models};

    fn of(name: &str, batch: usize) -> Summary {
        let graph = models::find(name).unwrap().graph(&Weights::seeded(0), None).unwrap();
        Summary::of(&graph, batch).unwrap()
    }

    #[test]
    fn alexnet_costs_what_the_lecture_says() {
        let summary = of("alexnet_original", 1);
        assert_eq!((summary.weights, summary.macs), (60_954_656, 724_406_816));
        assert_eq!((summary.activations_total, summary.activations_peak), (932_264, 440_928));
    }

    #[test]
    fn weights_are_shared_by_a_batch_and_the_rest_is_not() {
        let (one, four) = (of("resnet18", 1), of("resnet18", 4));
        assert_eq!((one.parameters, one.weights), (four.parameters, four.weights));
        assert_eq!((4 * one.macs, 4 * one.activations_total), (four.macs, four.activations_total));
        // torchvision's figure.
        assert_eq!(one.parameters, 11_689_512);
    }

    #[test]
    fn what_works_in_place_is_not_counted() {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3, 4, 4]);
        let y = graph.relu(x).unwrap();
        let y = graph.sum(x, y).unwrap();
        graph.output("y", y);
        let summary = Summary::of(&graph, 2).unwrap();
        assert_eq!((summary.activations_total, summary.activations_peak), (96, 0));
        assert!(Summary::of(&graph, 0).is_err());
    }
}
