//! The tensors and constants that the graphs of a network share.

use super::proto::TensorProto;
use super::stored::{Files, Stored};
use super::tensor::Tensor;
use crate::Constant;
use crate::error::ErrorKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// The files of a network, and the tensors and constants that all graphs of the network share.
pub(super) struct Shared {
    pub(super) files: Files,
    /// The constants that were computed from initializers alone, by their names in the file.
    kept: Mutex<HashMap<String, Constant>>,
    /// The tensors of attributes and of bodies, by their addresses in the file: a body may be read many times.
    stored: Mutex<HashMap<usize, Tensor>>,
}

impl Shared {
    pub(super) fn new(files: Files) -> Shared {
        let (kept, stored) = Default::default();
        Shared { files, kept, stored }
    }

    /// Returns a tensor of an attribute or of a body: the same tensor on every call with one `proto`.
    pub(super) fn stored(&self, name: &str, proto: &TensorProto) -> Result<Tensor, ErrorKind> {
        let mut stored = self.stored.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let place = std::ptr::from_ref(proto) as usize;
        if let Some(tensor) = stored.get(&place) {
            return Ok(tensor.clone());
        }
        let tensor = Tensor::stored(name, Arc::new(Stored::new(proto, &self.files)?));
        stored.insert(place, tensor.clone());
        Ok(tensor)
    }

    /// Returns the first constant computed under a name, or `constant` if there was none. `None` if the shapes differ.
    pub(super) fn kept(&self, name: &str, constant: &Constant) -> Option<Constant> {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = kept.entry(name.to_owned()).or_insert_with(|| constant.clone());
        (kept.shape() == constant.shape()).then(|| kept.clone())
    }
}
