//! Choices among kernels, and the names of kernels and problems.

use super::{each_plan, plan};
use shadernet::kernel::{Binding, Caps, Dispatch, Kernel, Layout, Shader, Storage};
use shadernet::plan::{Choices, Plan, Variants};
use shadernet::{BATCH, ErrorKind, Graph, Io, Op, Result, Shape};
use std::collections::{BTreeSet, HashMap};

/// An operation of an elementwise shader in several variants. Some variants differ in priority, layout or kind.
#[derive(Debug)]
struct Ways {
    /// The content of the shader's `Params`.
    param: u32,
}

impl Op for Ways {
    fn name(&self) -> &'static str {
        "ways"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, ErrorKind> {
        Ok(inputs.to_vec())
    }

    fn kernels(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Kernel>, ErrorKind> {
        let way = |way: u32, layout: Layout| {
            let shader = Shader::new("ways", "", &[]).set("WAY", way);
            let dispatch = Dispatch::new(shader, &self.param, vec![Binding::Input(0), Binding::Output(0)], 1);
            Kernel::new(vec![layout], layout, dispatch)
        };
        let rows = Layout::ROWS;
        let view = Kernel::view(rows, rows);
        Ok(vec![
            way(9, rows).priority(1),
            way(0, rows),
            way(1, Layout::rows_vec4(Storage::Buffer)),
            way(2, rows),
            view,
            way(3, rows),
        ])
    }
}

fn ways(params: &[u32], width: usize) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.input("x", [BATCH, width]);
    for &param in params {
        x = graph.push(Ways { param }, &[x]).expect("it takes anything");
    }
    graph.output("y", x);
    graph
}

/// Returns each step's chosen shader.
fn taken(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.dispatches[0].0.shader.to_string()).collect()
}

#[test]
fn a_choice_counts_among_kernels_that_could_serve_alike() {
    let (graph, caps) = (ways(&[5, 6], 3), Caps::portable());
    let plain = plan(&graph, 1, &caps);
    assert_eq!((taken(&plain), plain.tuned()), (vec!["ways WAY=0".to_owned(); 2], 0));
    let variants: Vec<&Variants> = plain.steps.iter().filter_map(|step| step.variants.as_ref()).collect();
    for variants in &variants {
        // Variants of another priority, of another layout, and views are left out.
        assert_eq!(
            (&variants.kernels[..], variants.taken),
            (&["WAY=0", "WAY=2", "WAY=3"].map(|way| format!("ways {way}"))[..], 0)
        );
    }
    let with = |problem: &str, kernel: &str| {
        let mut choices = Choices::new();
        choices.set(problem, kernel);
        Plan::with_choices(&graph, 1, &caps, &choices).expect("it fits")
    };
    let first = &variants[0].problem;
    let tuned = with(first, "ways WAY=3");
    assert_eq!((taken(&tuned), tuned.tuned()), (vec!["ways WAY=3".to_owned(), "ways WAY=0".to_owned()], 1));
    // The problem stays the same, whichever variant serves it.
    assert_eq!(tuned.steps[0].variants.as_ref().map(|variants| (&variants.problem, variants.taken)), Some((first, 2)));
    let lines = |plan: &Plan| plan.to_string().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&tuned).iter().filter(|line| line.ends_with(" | tuned")).count(), 1, "{tuned}");
    assert_eq!(lines(&tuned)[2], lines(&plain)[2]);
    // Unknown kernels, and choices for another problem, are ignored.
    for (problem, kernel) in
        [(first.as_str(), "ways WAY=9"), (first, "ways WAY=1"), (first, ""), (first, "ways"), ("ways", "ways WAY=3")]
    {
        let same = with(problem, kernel);
        assert_eq!((lines(&same), same.tuned()), (lines(&plain), 0), "{problem}: {kernel}");
    }
    // The count is that of problems, not of steps.
    let graph = ways(&[5, 5], 3);
    let mut choices = Choices::new();
    choices.set(first, "ways WAY=2");
    let tuned = Plan::with_choices(&graph, 1, &caps, &choices).expect("it fits");
    assert_eq!((taken(&tuned), tuned.tuned()), (vec!["ways WAY=2".to_owned(); 2], 1));
}

#[test]
fn a_kernel_is_known_by_its_shaders() {
    let dispatch = |way: u32| Dispatch::new(Shader::new("ways", "", &[]).set("WAY", way), &way, Vec::new(), 1);
    let of = |ways: &[u32]| {
        let dispatches = ways.iter().map(|&way| dispatch(way)).collect();
        Kernel::several(Vec::new(), Vec::new(), dispatches).identity()
    };
    assert_eq!((of(&[7]), of(&[])), ("ways WAY=7".to_owned(), String::new()));
    // Weights may be split over as many dispatches as the device's bindings require.
    assert_eq!((of(&[1, 1, 1]), of(&[1, 2, 2, 1])), (of(&[1]), "ways WAY=1 + ways WAY=2 + ways WAY=1".to_owned()));
}

#[test]
fn a_problem_has_a_name_of_its_own_and_keeps_it() {
    let problems = |graph: &Graph, batch: usize, caps: &Caps| -> Vec<String> {
        let plan = plan(graph, batch, caps);
        plan.steps.iter().filter_map(|step| Some(step.variants.as_ref()?.problem.clone())).collect()
    };
    let caps = Caps::portable();
    // The names are the same in every process and version: files hold them.
    assert_eq!(problems(&ways(&[5], 3), 2, &caps), ["ways [2, 3] -> [2, 3] 1662e0adb3306477"]);
    let different =
        [problems(&ways(&[5, 6], 3), 1, &caps), problems(&ways(&[5], 4), 1, &caps), problems(&ways(&[5], 3), 2, &caps)]
            .concat();
    assert_eq!(different.iter().collect::<BTreeSet<_>>().len(), 4, "{different:?}");
    // In all networks, a name stands for one problem.
    let mut known: HashMap<String, String> = HashMap::new();
    each_plan(|which, plan| {
        for step in &plan.steps {
            let Some(variants) = &step.variants else { continue };
            let of = |(dispatch, _): &(Dispatch, _)| {
                // Overwriting an operand makes no other problem.
                let shader = dispatch.shader.to_string().replace(" in place", "");
                format!("{shader} {:?} {:?}", dispatch.params, dispatch.workgroups)
            };
            let problem = step.dispatches.iter().map(of).collect::<String>();
            let same = known.entry(variants.problem.clone()).or_insert_with(|| problem.clone());
            assert_eq!(*same, problem, "{which}: {}", variants.problem);
        }
    });
    assert!(known.len() > 10, "{known:?}");
}
