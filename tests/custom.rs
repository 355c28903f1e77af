//! Operations from outside the crate: they reuse its kernels, but make no unguarded shader touch foreign memory.

use pollster::block_on;
use shadernet::kernel::{Binding, Caps, Kernel, Layout};
use shadernet::ops::{Activation, Conv2d};
use shadernet::plan::Plan;
use shadernet::plan::Resource;
use shadernet::{
    BATCH, Constant, Context, ContextOptions, Cost, Elements, ErrorKind, Graph, Io, Metrics, Model, Op, Outputs, Shape,
    Value, seeded_input,
};

/// A wrapper of an operation that may misreport it.
#[derive(Debug)]
struct Around<T> {
    op: T,
    /// The reported shape, if it isn't the true one.
    shape: Option<Shape>,
    /// The reported cost.
    cost: Cost,
    /// The change to the wrapped operation's kernel.
    change: fn(&mut Kernel),
}

impl<T> Around<T> {
    fn new(op: T) -> Around<T> {
        Around { op, shape: None, cost: Cost::default(), change: |_| () }
    }
}

impl<T: Op> Op for Around<T> {
    fn name(&self) -> &'static str {
        "around"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        self.shape.clone().map_or_else(|| self.op.output_shapes(inputs), |shape| Ok(vec![shape]))
    }

    fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let outputs = self.op.output_shapes(io.inputs)?;
        let mut kernels = self.op.kernels(&Io { outputs: &outputs, ..*io }, caps)?;
        kernels.iter_mut().for_each(self.change);
        Ok(kernels)
    }

    fn metrics(&self, _io: &Io) -> Metrics<'_> {
        Metrics::new(self.cost)
    }
}

fn conv(channels: usize) -> Conv2d {
    let values: Vec<f32> = (0..channels * channels).map(|i| (i % 5) as f32 - 2.0).collect();
    Conv2d::new(Constant::new("w", [channels, channels, 1, 1], values).unwrap(), None)
}

/// Builds a graph of one input and the value that `add` returns.
fn graph(shape: [usize; 4], add: impl FnOnce(&mut Graph, Value) -> shadernet::Result<Value>) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", shape);
    let y = add(&mut graph, x).unwrap_or_else(|error| panic!("{error}"));
    graph.output("y", y);
    graph
}

/// Returns each dispatch's operation, and true if its shader is guarded.
fn guarded(plan: &Plan) -> Vec<(&'static str, bool)> {
    let each = plan.steps.iter().flat_map(|step| step.dispatches.iter().map(|(dispatch, _)| (step.op, dispatch)));
    each.map(|(op, dispatch)| (op, dispatch.shader.is_guarded())).collect()
}

fn run(context: &Context, graph: &Graph, x: &[f32]) -> Outputs {
    let session = Model::new(context, graph).and_then(|model| model.session(1));
    session.and_then(|session| session.run_blocking(&[x])).unwrap_or_else(|error| panic!("{error}"))
}

fn contexts() -> [Context; 2] {
    let options = ContextOptions::from_env();
    [options.clone(), options.portable()].map(|options| {
        let context = block_on(Context::with(&options));
        context.unwrap_or_else(|error| panic!("these tests need a GPU adapter: {error}"))
    })
}

#[test]
fn kernels_that_are_handed_on_compute_the_same_with_guards() {
    let (shape, channels) = ([BATCH, 8, 5, 6], 8);
    let x = seeded_input(0, &[1, 8, 5, 6].into());
    let ours = graph(shape, |graph, x| graph.push(conv(channels), &[x]));
    let theirs = graph(shape, |graph, x| graph.push(Around::new(conv(channels)), &[x]));
    for context in contexts() {
        assert_eq!(run(&context, &ours, &x), run(&context, &theirs, &x), "{context:?}");
        let [ours, theirs] = [&ours, &theirs].map(|graph| {
            let plan = Plan::new(graph, 1, context.caps()).expect("it fits");
            guarded(&plan)
        });
        assert!(ours.iter().all(|&(op, guarded)| op == "conv2d" && !guarded), "{ours:?}");
        // The planner's own layout conversions surround the operation.
        assert!(theirs.iter().any(|&(op, guarded)| op == "around" && guarded), "{theirs:?}");
    }
}

#[test]
fn parameters_and_shapes_that_are_not_the_operations_own_get_guards() {
    // Four elements are declared and 4096 written; the parameters claim even more elements.
    let more = |kernel: &mut Kernel| {
        kernel.dispatches.iter_mut().for_each(|dispatch| dispatch.params[..4].copy_from_slice(&u32::MAX.to_ne_bytes()));
    };
    let attack = || Around { shape: Some([1, 1, 2, 2].into()), change: more, ..Around::new(Activation::Tanh) };
    let mut graph = graph([1, 1, 64, 64], |graph, x| graph.push(attack(), &[x]));
    let x = graph.inputs()[0].value;
    let twice = graph.add(x, x).expect("shapes agree");
    graph.output("twice", twice);
    let values = seeded_input(1, &[1, 1, 64, 64].into());
    for context in contexts() {
        let plan = Plan::new(&graph, 1, context.caps()).expect("it fits");
        let own: Vec<_> = guarded(&plan).into_iter().filter(|(op, _)| *op == "around").collect();
        assert!(!own.is_empty() && own.iter().all(|&(_, guarded)| guarded), "{own:?}");
        let outputs = run(&context, &graph, &values);
        assert_eq!(outputs[0].view().elements(), 4);
        assert_eq!(outputs[1], values.iter().map(|x| x + x).collect::<Vec<f32>>());
    }
}

/// Wraps an operation as a view, which may show more memory than its input has.
fn view() -> Around<Activation> {
    let change = |kernel: &mut Kernel| *kernel = Kernel::view(Layout::ROWS, Layout::ROWS);
    Around { change, ..Around::new(Activation::Tanh) }
}

#[test]
fn a_view_shows_no_more_than_there_is() {
    let large: Shape = [1, 64, 64, 64].into();
    // The view is of an input, of a value in a slot, or of a constant; our operation reads it, or it is an output.
    for place in 0..3 {
        for read in [false, true] {
            let shown = graph([1, 4, 4, 4], |graph, x| {
                let x = match place {
                    0 => x,
                    1 => graph.push(Activation::Tanh, &[x])?,
                    _ => graph.constant(Constant::new("c", [1, 4, 4, 4], vec![0.0; 64]).unwrap()),
                };
                let y = graph.push(Around { shape: Some(large.clone()), ..view() }, &[x])?;
                if read { graph.push(Activation::Tanh, &[y]) } else { Ok(y) }
            });
            for caps in [Caps::portable(), Caps::llvmpipe()] {
                let error = Plan::new(&shown, 1, &caps).map(drop).expect_err("there is less");
                assert!(error.to_string().contains("the memory of a value: wanted Buffer(1048576), got"), "{error}");
            }
        }
    }
}

#[test]
fn an_output_that_is_said_to_be_a_view_is_no_place_for_more() {
    // The convolution would write 4096 elements to the memory of an output of 4 elements.
    let cost = Cost { moves: Some(0), ..Cost::default() };
    let attack = || Around { shape: Some([1, 1, 2, 2].into()), cost, ..view() };
    let graph = graph([1, 1, 64, 64], |graph, x| {
        let y = graph.push(Activation::Tanh, &[x])?;
        graph.push(attack(), &[y])
    });
    let values = seeded_input(1, &[1, 1, 64, 64].into());
    for context in contexts() {
        let outputs = run(&context, &graph, &values);
        let outputs = outputs[0].f32().expect("they are");
        let wanted = values.iter().map(|x| x.tanh());
        assert!(outputs.iter().zip(wanted).all(|(got, want)| (got - want).abs() < 1e-4), "{outputs:?}");
    }
}

#[test]
fn a_state_has_the_memory_of_rows() {
    // In channel order, as convolutions write, three channels take the memory of four.
    let mut graph = Graph::new();
    let x = graph.input("x", [1, 3, 8, 8]);
    let state = graph.state("state", [1, 3, 8, 8]);
    let write = |kernel: &mut Kernel| {
        kernel.reads.insert(0, Layout::ROWS);
        for binding in kernel.dispatches.iter_mut().flat_map(|dispatch| &mut dispatch.bindings) {
            if let Binding::Input(i) = binding {
                *i += 1;
            }
        }
    };
    #[derive(Debug)]
    struct Write(Around<Conv2d>);
    impl Op for Write {
        fn name(&self) -> &'static str {
            "write"
        }
        fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
            self.0.output_shapes(&inputs[1..])
        }
        fn kernels(&self, io: &Io, caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
            self.0.kernels(&Io { inputs: &io.inputs[1..], ..*io }, caps)
        }
    }
    let y = graph.update(state, Write(Around { change: write, ..Around::new(conv(3)) }), &[x]).expect("shapes agree");
    graph.output("y", y);
    // Only a conversion to rows writes the state.
    let plan = Plan::new(&graph, 1, &Caps::portable()).expect("it is converted");
    let dispatches = plan.steps.iter().flat_map(|step| &step.dispatches);
    let writes = |resources: &[Resource]| resources.iter().any(|it| matches!(it, Resource::State { write: true, .. }));
    let writing = dispatches.filter(|(_, resources)| writes(resources)).map(|(dispatch, _)| dispatch.shader.name());
    assert_eq!(writing.collect::<Vec<_>>(), ["unpack"], "{plan}");
}

#[test]
fn a_kernel_that_is_not_its_nodes_is_an_error() {
    type Change = fn(&mut Kernel);
    let changes: [(Change, &str); 4] = [
        (|kernel| kernel.reads.clear(), "the layouts that its kernel reads: wanted 1, got 0"),
        (|kernel| kernel.writes.push(Layout::ROWS), "the layouts that its kernel writes: wanted 1, got 2"),
        (
            |kernel| kernel.dispatches[0].bindings[0] = Binding::Input(1),
            "a binding of its kernel: wanted one of 1 inputs and 1 outputs, got Input(1)",
        ),
        (
            |kernel| kernel.dispatches[0].bindings[1] = Binding::Output(1),
            "a binding of its kernel: wanted one of 1 inputs and 1 outputs, got Output(1)",
        ),
    ];
    for (change, said) in changes {
        let wrong = || Around { change, ..Around::new(Activation::Tanh) };
        let graph = graph([BATCH, 4, 4, 4], |graph, x| graph.push(wrong(), &[x]));
        let error = Plan::new(&graph, 1, &Caps::portable()).map(drop).expect_err("its kernel is another's");
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.to_string().starts_with("around"), "{error}");
    }
}
