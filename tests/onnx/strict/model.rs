//! ONNX models in a few lines: protobuf's wire format (<https://protobuf.dev/programming-guides/encoding>) and the
//! messages of `onnx.proto` that tests write.

/// A message: its fields, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Message(pub(crate) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    pub fn int(mut self, field: u64, value: i64) -> Message {
        self.key(field, 0);
        self.varint(value as u64);
        self
    }

    pub fn float(mut self, field: u64, value: f32) -> Message {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Message {
        self.key(field, 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn message(self, field: u64, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }

    pub fn strings(self, field: u64, texts: &[impl AsRef<[u8]>]) -> Message {
        texts.iter().fold(self, |message, text| message.bytes(field, text))
    }
}

/// The numbers of `TensorProto.DataType`.
pub const FLOAT: i64 = 1;
pub const UINT8: i64 = 2;
pub const INT8: i64 = 3;
pub const INT32: i64 = 6;
pub const INT64: i64 = 7;
pub const STRING: i64 = 8;
pub const BOOL: i64 = 9;
pub const DOUBLE: i64 = 11;
pub const UINT32: i64 = 12;
pub const UINT64: i64 = 13;

/// Returns a tensor of any type with these bytes.
pub fn raw(name: &str, element: i64, dims: &[i64], bytes: &[u8]) -> Message {
    let dims = dims.iter().fold(Message::default(), |message, &dim| message.int(1, dim));
    dims.int(2, element).bytes(8, name).bytes(9, bytes)
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    raw(name, FLOAT, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

pub fn longs(name: &str, dims: &[i64], values: &[i64]) -> Message {
    raw(name, INT64, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// Returns a vector of integers, such as a shape or axes.
pub fn list(name: &str, values: &[i64]) -> Message {
    longs(name, &[values.len() as i64], values)
}

/// Returns a tensor whose data is in another file.
pub fn external(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> Message {
    let dims = dims.iter().fold(Message::default(), |message, &dim| message.int(1, dim));
    let entry = |message: Message, (key, value): &(&str, &str)| {
        message.message(13, &Message::default().bytes(1, key).bytes(2, value))
    };
    entries.iter().fold(dims.int(2, FLOAT).bytes(8, name).int(14, 1), entry)
}

/// Returns an attribute with this name and type number.
fn attribute(name: &str, kind: i64) -> Message {
    Message::default().bytes(1, name).int(20, kind)
}

pub fn int(name: &str, value: i64) -> Message {
    attribute(name, 2).int(3, value)
}

pub fn float(name: &str, value: f32) -> Message {
    attribute(name, 1).float(2, value)
}

pub fn string(name: &str, value: &str) -> Message {
    attribute(name, 3).bytes(4, value)
}

pub fn tensor(name: &str, value: &Message) -> Message {
    attribute(name, 4).message(5, value)
}

pub fn subgraph(name: &str, value: &Message) -> Message {
    attribute(name, 5).message(6, value)
}

pub fn float_list(name: &str, values: &[f32]) -> Message {
    values.iter().fold(attribute(name, 6), |message, &value| message.float(7, value))
}

pub fn ints(name: &str, values: &[i64]) -> Message {
    values.iter().fold(attribute(name, 7), |message, &value| message.int(8, value))
}

pub fn string_list(name: &str, values: &[&str]) -> Message {
    attribute(name, 8).strings(9, values)
}

pub fn node_of(
    domain: &str,
    op: &str,
    inputs: &[impl AsRef<[u8]>],
    outputs: &[impl AsRef<[u8]>],
    attributes: &[Message],
) -> Message {
    let node = Message::default().strings(1, inputs).strings(2, outputs).bytes(4, op).bytes(7, domain);
    attributes.iter().fold(node, |node, attribute| node.message(5, attribute))
}

/// Returns a function's node attribute whose value is the caller's attribute `of`. `kind` is the type number.
pub fn reference(name: &str, kind: i64, of: &str) -> Message {
    attribute(name, kind).bytes(21, of)
}

/// Returns a function of the domain "local", of opset 17, with attributes with and without a default value.
pub fn function_of(
    name: &str,
    [inputs, outputs]: [&[&str]; 2],
    attributes: &[&str],
    defaults: &[Message],
    nodes: &[Message],
) -> Message {
    let function = Message::default().bytes(1, name).strings(4, inputs).strings(5, outputs).strings(6, attributes);
    let function = nodes.iter().fold(function, |function, node| function.message(7, node));
    let opset = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let function = function.message(9, &opset("", 17)).message(9, &opset("local", 1)).bytes(10, "local");
    defaults.iter().fold(function, |function, default| function.message(11, default))
}

/// Returns a graph for an attribute; its inputs and outputs are floats of unspecified sizes.
pub fn body_of([inputs, outputs]: [&[&str]; 2], nodes: &[Message]) -> Message {
    let body = nodes.iter().fold(Message::default(), |body, node| body.message(1, node));
    let named = |name: &&str| {
        let kind = Message::default().int(1, FLOAT);
        Message::default().bytes(1, name).message(2, &Message::default().message(1, &kind))
    };
    let body = inputs.iter().fold(body, |body, name| body.message(11, &named(name)));
    outputs.iter().fold(body, |body, name| body.message(12, &named(name)))
}

/// A size of an input.
#[derive(Clone, Copy)]
pub enum Size {
    Of(i64),
    Named(&'static str),
    Open,
}

/// Returns an input or output of a graph.
pub fn port(name: &str, element: i64, sizes: &[Size]) -> Message {
    let dims = sizes.iter().fold(Message::default(), |shape, size| {
        let dim = match size {
            Size::Of(size) => Message::default().int(1, *size),
            Size::Named(name) => Message::default().bytes(2, name),
            Size::Open => Message::default(),
        };
        shape.message(1, &dim)
    });
    let kind = Message::default().int(1, element).message(2, &dims);
    Message::default().bytes(1, name).message(2, &Message::default().message(1, &kind))
}

/// A model under construction.
#[derive(Clone, Default)]
pub struct Model {
    pub graph: Message,
    opsets: Message,
    functions: Message,
}

impl Model {
    /// Creates a model of this version of ONNX's operators.
    pub fn new(opset: i64) -> Model {
        Model::default().opset("", opset)
    }

    pub fn opset(mut self, domain: &str, version: i64) -> Model {
        self.opsets = self.opsets.message(8, &Message::default().bytes(1, domain).int(2, version));
        self
    }

    /// Adds a function to the model: see [`function_of`].
    pub fn function(mut self, function: &Message) -> Model {
        self.functions = self.functions.message(25, function);
        self
    }

    /// Adds a field to the graph.
    pub fn with(mut self, field: u64, message: &Message) -> Model {
        self.graph = self.graph.message(field, message);
        self
    }

    pub fn node(self, op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Model {
        self.with(1, &node_of("", op, inputs, outputs, attributes))
    }

    pub fn initialiser(self, tensor: &Message) -> Model {
        self.with(5, tensor)
    }

    pub fn port(self, name: &str, element: i64, sizes: &[Size]) -> Model {
        self.with(11, &port(name, element, sizes))
    }

    /// Adds an input of floats.
    pub fn input(self, name: &str, sizes: &[i64]) -> Model {
        self.typed(name, FLOAT, sizes)
    }

    pub fn typed(self, name: &str, element: i64, sizes: &[i64]) -> Model {
        self.port(name, element, &sizes.iter().map(|&size| Size::Of(size)).collect::<Vec<_>>())
    }

    pub fn output(self, name: &str) -> Model {
        self.with(12, &port(name, FLOAT, &[]))
    }

    pub fn bytes(&self) -> Vec<u8> {
        let model = Message::default().int(1, 8).bytes(2, "a test").message(7, &self.graph);
        [&model.0[..], &self.opsets.0, &self.functions.0].concat()
    }
}
