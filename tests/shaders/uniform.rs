//! Barriers in uniform control flow, by WGSL's uniformity analysis, which Tint implements and naga doesn't. The
//! analysis walks a function with the values known to be uniform: equal for all invocations of a workgroup.
//!
//! By the specification, a statement that is always left at its end restores the control flow before it, even if only
//! some invocations took parts of it. After a statement that may be left by `break`, `continue` or `return`, control
//! flow is as uniform as on each way through it; so it is in a loop's next turn.

// Long because it is one analysis: one state walks all kinds of statements.

use naga::{
    AddressSpace, Arena, Binding, Block, BuiltIn, Expression, Function, FunctionArgument, Handle, ImageClass, Module,
    ShaderStage, Span, Statement, StorageAccess, TypeInner,
};
use std::collections::{BTreeSet, HashMap};

/// A variable: the number of its call, and its handle.
type Variable = (usize, Handle<naga::LocalVariable>);

/// The uniformity of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    /// A value: true if uniform.
    Value(bool),
    /// A pointer into a local variable: true if the pointer is uniform.
    Local(Variable, bool),
    /// A pointer into a module's variable: true if the contents are uniform.
    Global(bool),
}

impl Known {
    fn is_uniform(self) -> bool {
        match self {
            Known::Value(uniform) | Known::Local(_, uniform) | Known::Global(uniform) => uniform,
        }
    }
}

/// The ways in which a statement may be left.
#[derive(Clone, Copy, Default, PartialEq)]
struct Exits {
    next: bool,
    breaks: bool,
    continues: bool,
    returns: bool,
}

/// The state at a point: uniform control flow, and the uniform variables.
#[derive(Clone, PartialEq)]
struct State {
    uniform: bool,
    variables: HashMap<Variable, bool>,
}

impl State {
    /// Merges the states of two ways that meet.
    fn meet(&mut self, other: &State) {
        for (variable, uniform) in &other.variables {
            let own = self.variables.entry(*variable).or_insert(true);
            *own &= *uniform;
        }
    }
}

/// A call of a function.
struct Frame<'a> {
    number: usize,
    function: &'a Function,
    arguments: Vec<Known>,
    known: HashMap<Handle<Expression>, Known>,
    /// True if all returned values so far are uniform.
    result: bool,
    /// The state after each loop that is being walked.
    broken: Vec<Option<State>>,
    /// The state at each loop's `continue`.
    continued: Vec<Option<State>>,
    returned: Option<State>,
}

struct Walk<'a> {
    text: &'a str,
    module: &'a Module,
    calls: usize,
    /// The lines of the faults.
    faults: BTreeSet<u32>,
}

/// Returns the lines of a compute shader's barriers and subgroup operations in control flow that isn't uniform.
pub(crate) fn faults(text: &str, module: &Module) -> Vec<String> {
    let mut walk = Walk { text, module, calls: 0, faults: BTreeSet::new() };
    for entry in module.entry_points.iter().filter(|entry| entry.stage == ShaderStage::Compute) {
        let arguments = entry.function.arguments.iter().map(|argument| Known::Value(same(module, argument))).collect();
        let mut state = State { uniform: true, variables: HashMap::new() };
        walk.call(&entry.function, arguments, &mut state);
    }
    let line = |&number: &u32| format!("line {number}: {}", text.lines().nth(number as usize - 1).unwrap_or("").trim());
    walk.faults.iter().map(line).collect()
}

/// Returns true if an argument of an entry point is the same for a workgroup. As in Tint, a structure is if all members are.
fn same(module: &Module, argument: &FunctionArgument) -> bool {
    let same = |binding: &Option<Binding>| match binding {
        Some(Binding::BuiltIn(built_in)) => {
            matches!(built_in, BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups | BuiltIn::NumSubgroups)
        }
        _ => false,
    };
    match &module.types[argument.ty].inner {
        TypeInner::Struct { members, .. } => members.iter().all(|member| same(&member.binding)),
        _ => same(&argument.binding),
    }
}

impl<'a> Walk<'a> {
    /// Walks a call, and returns true if its result is uniform.
    fn call(&mut self, function: &'a Function, arguments: Vec<Known>, state: &mut State) -> bool {
        let before = state.uniform;
        self.calls += 1;
        let mut frame = Frame {
            number: self.calls,
            function,
            arguments,
            known: HashMap::new(),
            result: true,
            broken: Vec::new(),
            continued: Vec::new(),
            returned: None,
        };
        for (variable, local) in function.local_variables.iter() {
            let uniform = local.init.is_none_or(|init| self.look(&mut frame, init, state).is_uniform());
            state.variables.insert((frame.number, variable), uniform && state.uniform);
        }
        self.block(&mut frame, &function.body, state);
        if let Some(returned) = &frame.returned {
            state.meet(returned);
        }
        state.variables.retain(|(call, _), _| *call != frame.number);
        // All invocations that made the call continue together.
        state.uniform = before;
        frame.result
    }

    fn block(&mut self, frame: &mut Frame<'a>, block: &'a Block, state: &mut State) -> Exits {
        let mut exits = Exits { next: true, ..Exits::default() };
        for (statement, span) in block.span_iter() {
            let own = self.statement(frame, statement, *span, state);
            exits = Exits { next: own.next, ..either(exits, own) };
            if !own.next {
                break;
            }
        }
        exits
    }

    fn statement(&mut self, frame: &mut Frame<'a>, statement: &'a Statement, span: Span, state: &mut State) -> Exits {
        let next = Exits { next: true, ..Exits::default() };
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    let known = self.value(frame, handle, state);
                    frame.known.insert(handle, known);
                }
            }
            Statement::Block(block) => return self.block(frame, block, state),
            Statement::If { condition, accept, reject } => {
                let condition = self.look(frame, *condition, state).is_uniform();
                return self.branches(frame, condition, &[accept, reject], state);
            }
            Statement::Switch { selector, cases } => {
                let selector = self.look(frame, *selector, state).is_uniform();
                // Each case ends the switch or falls through to the next: both are as uniform as the selector.
                let blocks: Vec<&Block> = cases.iter().map(|case| &case.body).collect();
                frame.broken.push(None);
                let exits = self.branches(frame, selector, &blocks, state);
                if let Some(Some(broken)) = frame.broken.pop() {
                    state.meet(&broken);
                }
                return Exits { next: exits.next || exits.breaks, breaks: false, ..exits };
            }
            Statement::Loop { body, continuing, break_if } => {
                return self.turns(frame, body, continuing, *break_if, state);
            }
            Statement::Break => {
                note(frame.broken.last_mut(), state);
                return Exits { breaks: true, ..Exits::default() };
            }
            Statement::Continue => {
                note(frame.continued.last_mut(), state);
                return Exits { continues: true, ..Exits::default() };
            }
            Statement::Return { value } => {
                let value = value.is_none_or(|value| self.look(frame, value, state).is_uniform());
                frame.result &= value && state.uniform;
                note(Some(&mut frame.returned), state);
                return Exits { returns: true, ..Exits::default() };
            }
            Statement::Store { pointer, value } => {
                let value = self.look(frame, *value, state).is_uniform() && state.uniform;
                if let Known::Local(variable, way) = self.look(frame, *pointer, state) {
                    // A store to a part keeps the uniformity of the rest.
                    let whole = matches!(frame.function.expressions[*pointer], Expression::LocalVariable(_));
                    let before = whole || state.variables.get(&variable).is_some_and(|uniform| *uniform);
                    state.variables.insert(variable, value && way && before);
                }
            }
            Statement::Call { function, arguments, result } => {
                let arguments = arguments.iter().map(|argument| self.look(frame, *argument, state)).collect();
                let returned = self.call(&self.module.functions[*function], arguments, state);
                frame.known.extend(result.map(|result| (result, Known::Value(returned))));
            }
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => self.require(state, span),
            Statement::WorkGroupUniformLoad { result, .. } => {
                self.require(state, span);
                frame.known.insert(*result, Known::Value(true));
            }
            Statement::SubgroupBallot { result, .. }
            | Statement::SubgroupGather { result, .. }
            | Statement::SubgroupCollectiveOperation { result, .. } => {
                self.require(state, span);
                frame.known.insert(*result, Known::Value(false));
            }
            // It needs all invocations of a subgroup, not of a workgroup. Tint doesn't know it.
            Statement::CooperativeStore { .. } => {}
            Statement::Atomic { result, .. } => {
                frame.known.extend(result.map(|result| (result, Known::Value(false))));
            }
            Statement::ImageStore { .. } => {}
            other => panic!("tests/shaders/uniform.rs doesn't know {other:?}"),
        }
        next
    }

    fn require(&mut self, state: &State, span: Span) {
        if !state.uniform {
            self.faults.insert(span.location(self.text).line_number);
        }
    }

    /// Walks blocks of which each invocation takes one.
    fn branches(&mut self, frame: &mut Frame<'a>, condition: bool, blocks: &[&'a Block], state: &mut State) -> Exits {
        let before = State { uniform: state.uniform && condition, ..state.clone() };
        let mut exits = Exits::default();
        let mut uniform = true;
        let mut after: Option<State> = None;
        for block in blocks {
            let mut own = before.clone();
            let left = self.block(frame, block, &mut own);
            uniform &= own.uniform;
            exits = either(exits, left);
            if left.next {
                note(Some(&mut after), &own);
            }
        }
        let together = exits == Exits { next: true, ..Exits::default() };
        let after = after.unwrap_or(before);
        *state = State { uniform: if together { state.uniform } else { uniform }, ..after };
        exits
    }

    /// Walks a loop until another turn changes nothing.
    fn turns(
        &mut self,
        frame: &mut Frame<'a>,
        body: &'a Block,
        continuing: &'a Block,
        break_if: Option<Handle<Expression>>,
        state: &mut State,
    ) -> Exits {
        let entered = state.uniform;
        let mut head = state.clone();
        loop {
            let mut turn = head.clone();
            frame.broken.push(None);
            frame.continued.push(None);
            let mut exits = self.block(frame, body, &mut turn);
            if let Some(Some(continued)) = frame.continued.pop() {
                if exits.next { turn.meet(&continued) } else { turn.variables = continued.variables }
            }
            let again = exits.next || exits.continues;
            if again {
                self.block(frame, continuing, &mut turn);
            }
            let mut left = frame.broken.pop().flatten();
            if let Some(condition) = break_if.filter(|_| again) {
                turn.uniform &= self.look(frame, condition, &turn).is_uniform();
                note(Some(&mut left), &turn);
                exits.breaks = true;
            }
            let before = head.clone();
            if again {
                head.uniform &= turn.uniform;
                head.meet(&turn);
            }
            if head == before {
                let next = exits.breaks;
                state.uniform = if exits.returns { turn.uniform } else { entered };
                if let Some(left) = left {
                    state.variables = left.variables;
                }
                return Exits { next, returns: exits.returns, ..Exits::default() };
            }
        }
    }

    /// Returns an expression's uniformity: as computed earlier, or computed now if it depends on no statement.
    fn look(&self, frame: &mut Frame<'a>, handle: Handle<Expression>, state: &State) -> Known {
        match frame.known.get(&handle) {
            Some(known) => *known,
            None => self.value(frame, handle, state),
        }
    }

    fn value(&self, frame: &mut Frame<'a>, handle: Handle<Expression>, state: &State) -> Known {
        let into = |known: Known, index: bool| match known {
            Known::Value(uniform) => Known::Value(uniform && index),
            Known::Local(variable, uniform) => Known::Local(variable, uniform && index),
            Known::Global(uniform) => Known::Global(uniform && index),
        };
        match frame.function.expressions[handle] {
            Expression::FunctionArgument(i) => frame.arguments[i as usize],
            Expression::LocalVariable(variable) => Known::Local((frame.number, variable), true),
            Expression::GlobalVariable(variable) => Known::Global(self.is_uniform(variable)),
            Expression::Access { base, index } => {
                let index = self.look(frame, index, state).is_uniform();
                into(self.look(frame, base, state), index)
            }
            Expression::AccessIndex { base, .. } => self.look(frame, base, state),
            Expression::Load { pointer } => Known::Value(match self.look(frame, pointer, state) {
                Known::Local(variable, way) => way && state.variables.get(&variable).is_some_and(|uniform| *uniform),
                known => known.is_uniform(),
            }),
            // The length depends on the binding.
            Expression::ArrayLength(_) => Known::Value(true),
            Expression::CooperativeLoad { .. } | Expression::AtomicResult { .. } => Known::Value(false),
            _ => {
                let mut uniform = true;
                for operand in operands(&frame.function.expressions, handle) {
                    uniform &= self.look(frame, operand, state).is_uniform();
                }
                Known::Value(uniform)
            }
        }
    }

    /// Returns true if no invocation can write the variable while a shader runs.
    fn is_uniform(&self, variable: Handle<naga::GlobalVariable>) -> bool {
        let global = &self.module.global_variables[variable];
        match (global.space, &self.module.types[global.ty].inner) {
            (AddressSpace::Uniform, _) => true,
            (AddressSpace::Storage { access }, _) => !access.contains(StorageAccess::STORE),
            (AddressSpace::Handle, TypeInner::Image { class: ImageClass::Storage { access, .. }, .. }) => {
                !access.contains(StorageAccess::STORE)
            }
            (AddressSpace::Handle, _) => true,
            _ => false,
        }
    }
}

fn either(a: Exits, b: Exits) -> Exits {
    Exits {
        next: a.next || b.next,
        breaks: a.breaks || b.breaks,
        continues: a.continues || b.continues,
        returns: a.returns || b.returns,
    }
}

/// Merges a state into a point's state.
fn note(place: Option<&mut Option<State>>, state: &State) {
    match place {
        Some(Some(known)) => {
            known.uniform &= state.uniform;
            known.meet(state);
        }
        Some(none) => *none = Some(state.clone()),
        None => {}
    }
}

/// Returns the expressions that an expression reads.
fn operands(expressions: &Arena<Expression>, handle: Handle<Expression>) -> Vec<Handle<Expression>> {
    use Expression as E;
    match expressions[handle] {
        E::Literal(_) | E::Constant(_) | E::Override(_) | E::ZeroValue(_) | E::CallResult(_) => Vec::new(),
        E::Compose { ref components, .. } => components.clone(),
        E::Splat { value, .. } => vec![value],
        E::Swizzle { vector, .. } => vec![vector],
        E::ImageLoad { image, coordinate, array_index, sample, level } => {
            [Some(image), Some(coordinate), array_index, sample, level].into_iter().flatten().collect()
        }
        E::ImageQuery { image, query } => match query {
            naga::ImageQuery::Size { level } => [Some(image), level].into_iter().flatten().collect(),
            _ => vec![image],
        },
        E::Unary { expr, .. } | E::As { expr, .. } | E::Relational { argument: expr, .. } => vec![expr],
        E::Binary { left, right, .. } => vec![left, right],
        E::Select { condition, accept, reject } => vec![condition, accept, reject],
        E::Math { arg, arg1, arg2, arg3, .. } => [Some(arg), arg1, arg2, arg3].into_iter().flatten().collect(),
        E::CooperativeMultiplyAdd { a, b, c } => vec![a, b, c],
        ref other => panic!("tests/shaders/uniform.rs doesn't know {other:?}"),
    }
}

/// Returns the faults of a shader with this `main`.
fn faults_of(main: &str) -> Vec<String> {
    let text = format!(
        "override COLUMNS: bool = false;
         struct Params {{ lines: u32, length: u32 }}
         struct Group {{ @builtin(workgroup_id) id: vec3<u32> }}
         struct Mixed {{ @builtin(num_workgroups) count: vec3<u32>, @builtin(global_invocation_id) id: vec3<u32> }}
         @group(0) @binding(0) var<uniform> params: Params;
         @group(0) @binding(1) var<storage, read> x: array<u32>;
         @group(0) @binding(2) var<storage, read_write> y: array<u32>;
         var<workgroup> shared_: array<u32, 64>;
         fn wait() {{ workgroupBarrier(); }}
         fn early(a: u32) -> u32 {{ if a > 3u {{ return 1u; }} return 2u; }}
         fn put(p: ptr<function, u32>, a: u32) {{ *p = a; }}
         @compute @workgroup_size(64)
         fn main(
             group: Group,
             mixed: Mixed,
             @builtin(local_invocation_index) lane: u32,
         ) {{ {main} }}"
    );
    let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
    faults(&text, &module)
}

#[test]
fn barriers_that_some_invocations_may_miss_are_found() {
    for main in [
        // An earlier shader of cumulative sums: some invocations return in a branch of the outer `if`.
        "if COLUMNS { let line = group.id.x * 64u + lane; if line >= params.lines { return; } y[line] = 1u; return; }
         workgroupBarrier();",
        "if lane > 3u { return; } workgroupBarrier();",
        "if lane > 3u { workgroupBarrier(); }",
        "if lane > 3u { wait(); }",
        "if x[lane] > 3u { storageBarrier(); }",
        "if y[0] > 3u { workgroupBarrier(); }",
        "if shared_[0] > 3u { workgroupBarrier(); }",
        "for (var i = lane; i < 64u; i += 64u) { workgroupBarrier(); }",
        "for (var i = 0u; i < 64u; i++) { if i > lane { break; } workgroupBarrier(); }",
        "for (var i = 0u; i < 64u; i++) { workgroupBarrier(); if i > lane { break; } }",
        "for (var i = 0u; i < 64u; i++) { if i > lane { continue; } workgroupBarrier(); }",
        "for (var i = 0u; i < 64u; i++) { workgroupBarrier(); if i > lane { return; } }",
        "for (var i = 0u; i < 64u; i++) { if i > lane { return; } } workgroupBarrier();",
        "loop { if lane > 3u { break; } continuing { workgroupBarrier(); break if params.lines > 3u; } }",
        "switch lane { case 1u: { workgroupBarrier(); } default: {} }",
        "switch lane { case 1u: { return; } default: {} } workgroupBarrier();",
        "var a = 0u; if lane > 3u { a = 1u; } if a > 0u { workgroupBarrier(); }",
        "var a = array<u32, 4>(); a[lane % 4u] = 1u; if a[0] > 0u { workgroupBarrier(); }",
        "var a = 0u; for (var i = 0u; i < 9u; i++) { if a > 3u { workgroupBarrier(); } a += lane; }",
        "var a = 0u; put(&a, lane); if a > 3u { workgroupBarrier(); }",
        "if early(lane) > 1u { workgroupBarrier(); }",
        "if lane > 3u && params.lines > 3u { workgroupBarrier(); }",
        "if mixed.count.x > 3u { workgroupBarrier(); }",
        "let a = select(0u, 1u, lane > 3u); if a > 0u { workgroupBarrier(); }",
    ] {
        assert_eq!(faults_of(main).len(), 1, "{main}");
    }
}

#[test]
fn barriers_that_all_invocations_reach_are_let_be() {
    for main in [
        "if COLUMNS { if lane < params.lines { y[lane] = 1u; } return; } workgroupBarrier();",
        "if group.id.x >= params.lines { return; } workgroupBarrier();",
        "if x[group.id.x] > 3u { wait(); }",
        "if lane > 3u { y[lane] = 1u; } workgroupBarrier();",
        "for (var i = lane; i < 64u; i += 64u) { y[i] = 1u; } workgroupBarrier();",
        "for (var i = 0u; i < params.length; i++) { workgroupBarrier(); if i > lane { y[i] = 1u; } workgroupBarrier(); }",
        "for (var i = 0u; i < 64u; i++) { if i > lane { break; } } workgroupBarrier();",
        "for (var i = 0u; i < 64u; i++) { if i > group.id.x { break; } workgroupBarrier(); if x[i] > 3u { continue; } wait(); }",
        "switch params.lines { case 1u: { workgroupBarrier(); } default: { return; } } workgroupBarrier();",
        "var a = lane; a = 1u; if a > 0u { workgroupBarrier(); }",
        "var a = 0u; put(&a, params.lines); if a > 3u { workgroupBarrier(); }",
        "let a = early(lane); workgroupBarrier(); if early(params.lines) > 1u { workgroupBarrier(); }",
        "let a = workgroupUniformLoad(&shared_[3]); if a > 3u { workgroupBarrier(); }",
    ] {
        assert_eq!(faults_of(main), [""; 0], "{main}");
    }
}
