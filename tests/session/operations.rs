//! Operations from outside the crate, with WGSL of their own.

use super::{alone, context, portable, run};
use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader};
use shadernet::ops::{Pool2d, PoolKind};
use shadernet::{BATCH, ErrorKind, Graph, Io, Model, Op, Shape, seeded_input};

/// An operation from outside the crate, with its own WGSL.
#[derive(Debug)]
struct Affine {
    scale: u32,
}

const AFFINE: &str = "
override SHIFT: u32 = 0u;
struct Params { count: u32, scale: u32, pad_a: u32, pad_b: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.count { y[id.x] = x[id.x] * f32(params.scale) + f32(SHIFT); }
}";

impl Op for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let count = io.outputs[0].elements();
        let shader = Shader::new("affine", AFFINE, &[]).set("SHIFT", 3u32);
        let bindings = vec![Binding::Input(0), Binding::Output(0)];
        let dispatch = Dispatch::new(shader, &[count as u32, self.scale, 0, 0], bindings, count.div_ceil(64));
        Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
    }
}

#[test]
fn an_operation_of_ones_own_runs_among_the_others() {
    let _alone = alone();
    for context in [context(), portable()] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 3, 5, 6]);
        let y = graph.pool2d(x, Pool2d::new(PoolKind::Max, 1)).expect("an image");
        let y = graph.push(Affine { scale: 2 }, &[y]).expect("any shape serves");
        let y = graph.relu(y).expect("any shape serves");
        graph.output("y", y);
        let session = Model::new(&context, &graph).and_then(|model| model.session(2)).expect("it fits");
        let x = seeded_input(0, &[2, 3, 5, 6].into()).iter().map(|x| 4.0 * x).collect::<Vec<_>>();
        let want: Vec<f32> = x.iter().map(|x| (2.0 * x + 3.0).max(0.0)).collect();
        assert_eq!(run(&session, &[x])[0], want, "{}", session.plan());
    }
}

#[test]
fn an_operation_whose_shader_is_wrong_is_an_error() {
    #[derive(Debug)]
    struct Wrong(&'static str);

    impl Op for Wrong {
        fn name(&self) -> &'static str {
            "wrong"
        }

        fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
            Ok(inputs.to_vec())
        }

        fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
            let shader = Shader::new("wrong", self.0, &[]);
            let shader = if self.0 == LACKING { shader.tile("WIDTH", 4) } else { shader };
            let dispatch = Dispatch::new(shader, &[0u32; 4], vec![Binding::Input(0), Binding::Output(0)], 1);
            Ok(vec![Kernel::new(vec![Layout::ROWS], Layout::ROWS, dispatch)])
        }
    }

    // The third text has no constant to replace.
    const LACKING: &str = "@compute @workgroup_size(1) fn main() {}";
    // The first text isn't WGSL; the second declares 32 bytes of parameters, but the dispatch has 16.
    const NONSENSE: &str = "@compute @workgroup_size(1) fn main() { nonsense(); }";
    const GREEDY: &str = "
@group(0) @binding(0) var<uniform> params: array<vec4<u32>, 2>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = x[params[1].x]; }";
    let _alone = alone();
    for (shader, said) in [(NONSENSE, "nonsense"), (GREEDY, "32"), (LACKING, "const WIDTH: u32 =")] {
        let mut graph = Graph::new();
        let x = graph.input("x", [BATCH, 4]);
        let y = graph.push(Wrong(shader), &[x]).expect("any shape serves");
        graph.output("y", y);
        let error = Model::new(&context(), &graph).and_then(|model| model.session(1)).expect_err("it doesn't compile");
        let by_us = shader == LACKING;
        assert_eq!(matches!(error.kind, ErrorKind::Device(_)), !by_us, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}
