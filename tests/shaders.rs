//! Every shader is WGSL as it stands, and as the plans of all networks specialise it; and what it declares is what is bound.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};
use shadernet::kernel::{Caps, Dispatch, Place, Shader};
use shadernet::models::all;
use shadernet::ops::{Activation, Attention, BatchNorm2d, Binary, BinaryKind, LayerNorm, PaddingMode, RotaryEmbedding};
use shadernet::plan::memory::SlotKind;
use shadernet::plan::{Plan, Resource};
use shadernet::{Constant, DType, Graph, Result, Weights};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &str, extension: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(root(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let (mut folders, mut files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    files.retain(|path| path.extension().is_some_and(|end| end == extension));
    folders.sort();
    for folder in folders {
        files.extend(self::files(folder.to_str().expect("a name in ASCII"), extension));
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(name: &str, text: &str) -> Module {
    naga::front::wgsl::parse_str(text).unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(text)))
}

fn validate(name: &str, text: &str, module: &Module, capabilities: Capabilities) -> ModuleInfo {
    let validated = Validator::new(ValidationFlags::all(), capabilities).validate(module);
    validated.unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(text)))
}

/// The arguments of each `shader!(..)` in the crate: a shader's name, then those of the library files that it calls.
fn named_shaders() -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    for file in files("src", "rs") {
        let text = read(&file);
        for call in text.split("shader!(").skip(1) {
            let arguments = call.split_once(')').expect("it ends").0;
            let mut names = arguments.split(',').map(|name| name.trim().trim_matches('"').to_owned());
            let Some(name) = names.next().filter(|_| arguments.contains('"')) else { continue };
            let library: BTreeSet<String> = names.collect();
            let known = named.entry(name.clone()).or_insert_with(|| library.clone());
            assert_eq!(*known, library, "{name} is named twice, with other library files");
        }
    }
    named
}

/// A file is valid WGSL as it stands, with the library files whose functions it calls.
#[test]
fn every_file_is_valid_as_it_stands() {
    let named = named_shaders();
    let files = files("shaders", "wgsl");
    let mut standing = 0;
    for file in &files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
        let mut text = read(file);
        let library = file.parent().is_some_and(|folder| folder.ends_with("lib"));
        if !library {
            let parts = named.get(name).unwrap_or_else(|| panic!("no shader!(\"{name}\", ..) in src"));
            for part in parts {
                text.push_str(&read(&root(&format!("shaders/lib/{part}.wgsl"))));
            }
            standing += 1;
        }
        let module = parse(name, &text);
        validate(name, &text, &module, Capabilities::all());
        assert_eq!(module.entry_points.len(), usize::from(!library), "{name}: one entry point, none in a library");
        assert!(module.entry_points.iter().all(|entry| entry.name == "main"), "{name}: its entry point is `main`");
    }
    assert_eq!(standing, named.len(), "as many files as shaders are named: {:?}", named.keys());
}

/// A binding, as far as a pipeline's layout tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Uniform,
    Buffer { write: bool },
    Texture { write: bool },
}

/// What a plan binds, in order.
fn planned(plan: &Plan, resources: &[Resource]) -> Vec<Bound> {
    let at = |place: Place, write: bool| match place {
        Place::Buffer => Bound::Buffer { write },
        Place::Texture => Bound::Texture { write },
    };
    let bound = resources.iter().map(|resource| match resource {
        Resource::Slot { slot, write, .. } => match plan.slots[*slot] {
            SlotKind::Buffer(_) => at(Place::Buffer, *write),
            SlotKind::Texture(..) => at(Place::Texture, *write),
        },
        Resource::Input(_) => at(Place::Buffer, false),
        Resource::Output { write, .. } | Resource::State { write, .. } => at(Place::Buffer, *write),
        Resource::Weight(packed) => at(packed.place, false),
    });
    std::iter::once(Bound::Uniform).chain(bound).collect()
}

/// What a shader declares, in the order of its bindings; and the bytes of its uniforms.
fn declared(name: &str, module: &Module) -> (Vec<Bound>, usize) {
    let mut bindings = BTreeMap::new();
    let mut uniforms = 0;
    for (_, global) in module.global_variables.iter() {
        let Some(binding) = &global.binding else { continue };
        let ty = &module.types[global.ty].inner;
        let write = |access: StorageAccess| {
            // A buffer can't be declared to be written only.
            assert!(access.contains(StorageAccess::LOAD) || matches!(ty, TypeInner::Image { .. }), "{name}");
            access.contains(StorageAccess::STORE)
        };
        let bound = match (global.space, ty) {
            (AddressSpace::Uniform, TypeInner::Struct { span, .. }) => {
                uniforms = *span as usize;
                Bound::Uniform
            }
            (AddressSpace::Storage { access }, _) => Bound::Buffer { write: write(access) },
            (AddressSpace::Handle, TypeInner::Image { class: naga::ImageClass::Storage { format, access }, .. }) => {
                assert_eq!(*format, naga::StorageFormat::Rgba32Float, "{name}");
                Bound::Texture { write: write(*access) }
            }
            other => panic!("{name}: {:?} is {other:?}", global.name),
        };
        assert_eq!(binding.group, 0, "{name}: {:?}", global.name);
        assert!(bindings.insert(binding.binding, bound).is_none(), "{name}: binding {} twice", binding.binding);
    }
    assert!(bindings.keys().copied().eq(0..bindings.len() as u32), "{name}: bindings 0.. without a gap");
    (bindings.into_values().collect(), uniforms)
}

/// A specialised shader, valid as it is written and with its overrides given. (What these drop, a residual that isn't there,
/// say, is declared and bound all the same: it is returned as it is written.)
fn validated(shader: &Shader, capabilities: Capabilities) -> Module {
    let (name, text) = (shader.to_string(), shader.wgsl());
    let module = parse(&name, &text);
    let info = validate(&name, &text, &module, capabilities);
    let constants = shader.overrides().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let entry = Some((ShaderStage::Compute, "main"));
    let processed = naga::back::pipeline_constants::process_overrides(&module, &info, entry, &constants);
    let (constant, _) = processed.unwrap_or_else(|error| panic!("{name}: {error}"));
    validate(&name, &text, &constant, capabilities);
    module
}

fn check(which: &str, plan: &Plan, capabilities: Capabilities, seen: &mut HashMap<Shader, (Vec<Bound>, usize)>) {
    let mut dispatch = |dispatch: &Dispatch, resources: &[Resource]| {
        let name = dispatch.shader.to_string();
        let (declared, uniforms) = seen.entry(dispatch.shader.clone()).or_insert_with(|| {
            let module = validated(&dispatch.shader, capabilities);
            declared(&name, &module)
        });
        assert_eq!(*declared, planned(plan, resources), "{which}: the bindings of {name}");
        let given = dispatch.params.len();
        assert!(*uniforms <= given, "{which}: {name} declares {uniforms} bytes of Params, {given} are given");
    };
    for step in &plan.steps {
        for (of, resources) in &step.dispatches {
            dispatch(of, resources);
        }
    }
}

/// What no network of this crate has.
fn other_operations() -> Result<Graph> {
    let mut graph = Graph::new();
    let x = graph.input("x", [2, 6, 8, 8]);
    let constant = |shape: &[usize]| Constant::new("c", shape, vec![1.0; shape.iter().product()]);
    let x = graph.pad2d(x, [1; 4], PaddingMode::Reflect)?;
    let x = graph.activation(x, Activation::Silu)?;
    let [weight, bias, mean, var] = [0; 4].map(|_| constant(&[6]));
    let x = graph.batch_norm(x, BatchNorm2d::new(weight, bias, mean, var))?;
    let x = graph.activation(x, Activation::Gelu)?;
    let x = graph.push(Binary::new(BinaryKind::Mul), &[x, x])?;
    let scale = graph.constant(constant(&[6, 1, 1]));
    let x = graph.push(Binary::new(BinaryKind::Sub), &[x, scale])?;
    let x = graph.concat(&[x, x], 2)?;
    let x = graph.reshape(x, [2, 6, 200])?;
    let y = graph.transpose(x, [0, 2, 1])?;
    let y = graph.matmul(x, y)?;
    let y = graph.linear(y, constant(&[5, 6]), None)?;
    let y = graph.layer_norm(y, LayerNorm::new([5], Some(constant(&[5])), None))?;
    let y = graph.softmax(y, 2)?;
    let y = graph.log_softmax(y, 2)?;
    let position = graph.typed_input("position", DType::I32, [1]);
    let cache = graph.state("cache", [2, 64, 5]);
    let y = graph.append(cache, y, position)?;
    let y = graph.rotary_embedding(&[y], RotaryEmbedding::new(64).heads(1).dimension(4))?;
    graph.output("y", y);
    // Many queries; few, with more keys than one workgroup takes.
    let y = graph.attention(&[y; 3], Attention::new().heads(5, 5))?;
    graph.output("attention", y);
    let query = graph.input("query", [2, 1, 20]);
    let y = graph.attention(&[query, y, y, position], Attention::new().heads(4, 1).cached())?;
    graph.output("decode", y);
    // An output that is an input is copied.
    graph.output("x", graph.inputs()[0].value);
    Ok(graph)
}

#[test]
fn every_specialised_shader_is_valid_and_bound_as_it_declares() {
    let networks = all().iter().map(|network| (network.name, network.graph(&Weights::seeded(0), None)));
    let graphs: Vec<(&str, Graph)> = networks
        .chain([("the other operations", other_operations())])
        .map(|(name, graph)| (name, graph.unwrap_or_else(|error| panic!("{name}: {error}")).fused()))
        .collect();
    let mut names = BTreeSet::new();
    // The portable kernels make do with what every device has.
    for (caps, capabilities) in [(Caps::portable(), Capabilities::empty()), (Caps::llvmpipe(), Capabilities::all())] {
        let mut seen = HashMap::new();
        for (name, graph) in &graphs {
            for batch in [1, 2] {
                let plan = Plan::new(graph, batch, &caps).unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&format!("{name} at batch {batch}"), &plan, capabilities, &mut seen);
            }
        }
        names.extend(seen.into_keys().map(|shader| shader.name().to_owned()));
    }
    let named: BTreeSet<String> = named_shaders().into_keys().collect();
    assert_eq!(names, named, "every shader of the crate is in one of these plans");
}
