//! The last steps of a kernel: a residual addition, an activation. Most operations can fuse both.

use super::{Activation, Binary, BinaryKind};
use crate::Shape;
use crate::error::{ErrorKind, Result};
use crate::graph::op::Op;
use crate::kernel::{Binding, Shader};

/// The place of a residual addition in an epilogue, numbered as in `shaders/lib/activation.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Residual {
    /// `f(y + residual)`
    BeforeActivation = 1,
    /// `f(y) + residual`
    AfterActivation = 2,
}

/// The end of a fused operation: an activation and the addition of a residual, the operation's last input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Epilogue {
    pub(crate) residual: Option<Residual>,
    pub(crate) activation: Option<Activation>,
}

/// Returns true if the operation's epilogue is open: if it can still take in an activation. An operation of another crate
/// shows that only by [`Op::fuse`].
pub(crate) fn takes_activation(op: &dyn Op) -> bool {
    op.fuse(&Activation::Relu, 0).is_some()
}

impl Epilogue {
    /// Returns this epilogue with the next operation fused, if it can fuse it.
    pub(crate) fn with(self, next: &dyn Op) -> Option<Epilogue> {
        if let Some(&activation) = next.downcast_ref::<Activation>() {
            return self.activation.is_none().then_some(Epilogue { activation: Some(activation), ..self });
        }
        let add =
            next.downcast_ref::<Binary>().filter(|add| add.kind() == BinaryKind::Add && self.residual.is_none())?;
        let (place, activation) = match (self.activation, add.activation()) {
            (None, activation) => (Residual::BeforeActivation, activation),
            (activation, None) => (Residual::AfterActivation, activation),
            _ => return None,
        };
        Some(Epilogue { residual: Some(place), activation })
    }

    /// Returns the number of inputs of an operation that reads one tensor beside the residual.
    pub(crate) fn inputs(self) -> usize {
        1 + usize::from(self.residual.is_some())
    }

    /// Checks the number of inputs.
    pub(crate) fn expect_inputs(self, inputs: &[Shape]) -> Result<(), ErrorKind> {
        if inputs.len() == self.inputs() {
            return Ok(());
        }
        Err(ErrorKind::argument("inputs", self.inputs(), inputs.len()))
    }

    /// Returns the output shapes, if the residual has the output's shape.
    pub(crate) fn output(self, inputs: &[Shape], output: Shape) -> Result<Vec<Shape>, ErrorKind> {
        if self.residual.is_some() && inputs[1] != output {
            return Err(ErrorKind::argument("residual", output, &inputs[1]));
        }
        Ok(vec![output])
    }

    /// Returns `Cost::other` of this epilogue and of a bias, if there is one, for `outputs` elements.
    pub(crate) fn other(self, bias: bool, outputs: u64) -> u64 {
        let activation = self.activation.map_or(0, Activation::operations);
        outputs.saturating_mul(u64::from(bias) + u64::from(self.residual.is_some()) + activation)
    }

    /// Returns the residual's binding. Without a residual it is input 0: something must be bound.
    pub(crate) fn binding(self) -> Binding {
        if self.residual.is_some() { Binding::Residual(1) } else { Binding::Input(0) }
    }

    /// Returns the number of the residual's place, 0 without a residual.
    pub(crate) fn place(self) -> u32 {
        self.residual.map_or(0, |place| place as u32)
    }

    /// Returns the shader with this epilogue.
    pub(crate) fn specialize(self, shader: Shader) -> Shader {
        shader.set("RESIDUAL", self.place()).set("ACTIVATION", super::activation::code(self.activation))
    }
}
