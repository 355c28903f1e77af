//! Every shader is valid WGSL, as a file and as the plans of all networks specialise it: for naga, for browsers'
//! compiler, and for backends that this machine lacks. The declared bindings are the bound ones.

// Long because the tests share the parsing, the validation and the lists of shaders.

mod backends;
mod denoisers;
mod uniform;
mod wgsl;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};
use shadernet::kernel::{Caps, Dispatch, Matrix, Scalar, Shader, Storage};
use shadernet::measure::Peaks;
use shadernet::models::{Network, all};
use shadernet::plan::memory::SlotKind;
use shadernet::plan::{Choices, Plan, Resource};
use shadernet::selftest::{Suite, TABLES};
use shadernet::{Context, Graph, Io, Node, Precision, Weights, texture};
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

/// Returns the accesses to storage buffers outside of the tensor's own lines `fn load_NAME` and `fn store_NAME`, and those
/// of one number of a texel, which end in `_element`. A shader's variants exchange only these lines.
fn accesses(text: &str, module: &Module) -> Vec<String> {
    let functions =
        module.functions.iter().map(|(_, function)| (function.name.as_deref().unwrap_or_default(), function));
    let entries = module.entry_points.iter().map(|entry| (entry.name.as_str(), &entry.function));
    let mut faults = BTreeSet::new();
    for (name, function) in functions.chain(entries) {
        let line = |line: &str| line.starts_with(&format!("fn {name}(")) && line.ends_with('}');
        for (_, expression) in function.expressions.iter() {
            let naga::Expression::GlobalVariable(global) = expression else { continue };
            let global = &module.global_variables[*global];
            let tensor = global.name.as_deref().unwrap_or_default();
            let own = [
                "load_TENSOR",
                "load_TENSOR_element",
                "raw_TENSOR",
                "store_TENSOR",
                "store_TENSOR_element",
                "exchange_TENSOR",
            ];
            let own = own.map(|own| own.replace("TENSOR", tensor));
            let own = own.contains(&name.to_owned());
            if matches!(global.space, AddressSpace::Storage { .. }) && !(own && text.lines().any(line)) {
                faults.insert(format!("`{name}` reads or writes `{tensor}`"));
            }
        }
    }
    faults.into_iter().collect()
}

#[test]
fn what_goes_past_a_tensors_functions_is_found() {
    let text = "
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, 4>;
fn load_x(i: u32) -> f32 { return x[i]; }
fn load_y(i: u32) -> f32 { return x[i]; }
fn store_y(i: u32, value: f32) {
    y[i] = value;
}
fn other(x: vec4<f32>, i: u32) -> f32 { return x[i] + tile[i]; }
@compute @workgroup_size(1)
fn main() {
    store_y(0u, load_x(0u) + load_y(0u) + other(vec4<f32>(), 1u));
    y[1] = 2.0;
}";
    let faults = accesses(text, &parse("past", text));
    assert_eq!(faults, ["`load_y` reads or writes `x`", "`main` reads or writes `y`", "`store_y` reads or writes `y`"]);
}

/// Returns the arguments of each `shader!(..)` in the crate: a shader's name, then its library files.
fn named_shaders() -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    for file in files("src", "rs") {
        let text = read(&file);
        for call in text.split("shader!(").skip(1) {
            let arguments = call.split_once(')').expect("it ends").0;
            let mut names = arguments.split(',').map(|name| name.trim().trim_matches('"').to_owned());
            let Some(name) = names.next().filter(|_| arguments.contains('"')) else { continue };
            // llvmpipe's file takes the place of the other.
            let library: BTreeSet<String> = names.map(|file| file.replace("hidden_lanes", "hidden")).collect();
            let known = named.entry(name.clone()).or_insert_with(|| library.clone());
            assert_eq!(*known, library, "{name} is named twice, with other library files");
        }
    }
    named
}

/// A file is valid WGSL by itself, with the library files that it calls.
#[test]
fn every_file_is_valid_as_it_stands() {
    let named = named_shaders();
    let files = files("shaders", "wgsl");
    let mut standing = 0;
    for file in &files {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
        let library = file.parent().is_some_and(|folder| folder.ends_with("lib"));
        // They need functions or parameters of the kernels, and are checked as a part of each.
        let parts =
            ["gemm_operands", "attention_operands", "operands", "integer_conv2d", "hidden", "hidden_lanes", "rows"];
        if library && parts.contains(&name) {
            continue;
        }
        let mut text = read(file);
        if !library {
            let parts = named.get(name).unwrap_or_else(|| panic!("no shader!(\"{name}\", ..) in src"));
            for part in parts {
                text.push_str(&read(&root(&format!("shaders/lib/{part}.wgsl"))));
            }
            let numbers =
                text.contains("{ return group.y * groups.x + group.x; }") && text.matches("linear(").count() > 1;
            // Sessions split dispatches by `linear`.
            let whole = name == "probe_empty" || name.starts_with("texture_");
            assert!(numbers || whole, "{name} numbers its workgroups by `linear`");
            standing += 1;
        }
        if text.contains("array<Texel>") || text.contains("array<Bits>") {
            text.push_str(&read(&root("shaders/lib/texel.wgsl")));
        }
        // Functions of one number come from these files, too.
        if library && name == "unary" {
            for part in ["radians", "activation"] {
                text.push_str(&read(&root(&format!("shaders/lib/{part}.wgsl"))));
            }
        }
        // Functions of a library file may call the NaN functions.
        if library
            && name != "nan"
            && ["is_finite(", "is_nan(", "maximum(", "minimum("].iter().any(|call| text.contains(call))
        {
            text.push_str(&read(&root("shaders/lib/nan.wgsl")));
        }
        let module = parse(name, &text);
        validate(name, &text, &module, Capabilities::all());
        let mut faults = [wgsl::faults(&text), uniform::faults(&text, &module)].concat();
        // Device measurements need their exact accesses, and conversions of the host's textures are no step of a plan:
        // neither has variants that store values differently.
        if !["probe_", "texture_"].iter().any(|start| name.starts_with(start)) {
            faults.extend(accesses(&text, &module));
        }
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        let computing = module.entry_points.iter().filter(|entry| entry.stage == ShaderStage::Compute);
        let computing: Vec<&str> = computing.map(|entry| entry.name.as_str()).collect();
        assert_eq!(computing, ["main"][..usize::from(!library)], "{name}: one entry point that computes, `main`");
        // The drawing shader has two more entry points.
        let drawing = module.entry_points.iter().filter(|entry| entry.stage != ShaderStage::Compute);
        assert!(drawing.count() == 0 || name == "texture_output", "{name} draws");
    }
    assert_eq!(standing, named.len(), "as many files as shaders are named: {:?}", named.keys());
}

/// A binding's properties in a pipeline layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Uniform,
    Buffer {
        write: bool,
    },
    Texture {
        write: bool,
        scalar: Scalar,
    },
    /// A host's texture.
    Texels,
}

/// Returns a plan's bindings, in order.
fn planned(plan: &Plan, resources: &[Resource]) -> Vec<Bound> {
    let bound = resources.iter().map(|resource| match resource {
        Resource::Slot { slot, write, .. } => match plan.slots[*slot] {
            SlotKind::Buffer(_) => Bound::Buffer { write: *write },
            SlotKind::Texture(_, _, scalar) => Bound::Texture { write: *write, scalar },
        },
        Resource::Input(_) => Bound::Buffer { write: false },
        Resource::Output { write, .. } | Resource::State { write, .. } => Bound::Buffer { write: *write },
        Resource::Weight(packed) if packed.storage == Storage::Buffer => Bound::Buffer { write: false },
        Resource::Weight(packed) => Bound::Texture { write: false, scalar: packed.scalar },
    });
    std::iter::once(Bound::Uniform).chain(bound).collect()
}

/// A shader's declared bindings, in order, and its uniform.
/// A member of `Params`: name, offset, type and count of the numbers.
type Declaration = (String, u32, &'static str, u32);

#[derive(Default)]
struct Declared {
    bindings: Vec<Bound>,
    bytes: usize,
    members: Vec<Declaration>,
    /// The size of a workgroup.
    workgroup: [u32; 3],
}

/// Appends the members of a WGSL type; a struct's members replace the struct.
fn flatten(module: &Module, name: &str, ty: naga::Handle<naga::Type>, offset: u32, to: &mut Vec<Declaration>) {
    use naga::ScalarKind;
    match &module.types[ty].inner {
        TypeInner::Struct { members, .. } => members.iter().for_each(|member| {
            flatten(module, member.name.as_deref().unwrap_or_default(), member.ty, offset + member.offset, to);
        }),
        TypeInner::Array { base, size: naga::ArraySize::Constant(elements), .. } => {
            flatten(module, name, *base, offset, to);
            to.last_mut().expect("the element").3 *= elements.get();
        }
        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } | TypeInner::Matrix { scalar, .. } => {
            let kind = match scalar.kind {
                ScalarKind::Uint => "u32",
                ScalarKind::Sint => "i32",
                ScalarKind::Float => "f32",
                other => panic!("{name}: {other:?} in a uniform"),
            };
            to.push((name.to_owned(), offset, kind, module.types[ty].inner.size(module.to_ctx()) / 4));
        }
        other => panic!("{name}: {other:?} in a uniform"),
    }
}

fn declared(name: &str, module: &Module) -> Declared {
    let mut bindings = BTreeMap::new();
    let (mut bytes, mut members) = (0, Vec::new());
    for (_, global) in module.global_variables.iter() {
        let Some(binding) = &global.binding else { continue };
        let ty = &module.types[global.ty].inner;
        let write = |access: StorageAccess| {
            // WGSL has no write-only buffers.
            assert!(access.contains(StorageAccess::LOAD) || matches!(ty, TypeInner::Image { .. }), "{name}");
            access.contains(StorageAccess::STORE)
        };
        let bound = match (global.space, ty) {
            (AddressSpace::Uniform, TypeInner::Struct { span, .. }) => {
                bytes = *span as usize;
                flatten(module, name, global.ty, 0, &mut members);
                Bound::Uniform
            }
            (AddressSpace::Storage { access }, _) => Bound::Buffer { write: write(access) },
            (AddressSpace::Handle, TypeInner::Image { class: naga::ImageClass::Storage { format, access }, .. }) => {
                let scalar = match format {
                    naga::StorageFormat::Rgba16Float => Scalar::F16,
                    naga::StorageFormat::Rgba32Float => Scalar::F32,
                    // A host's texture has the host's format.
                    _ => {
                        assert!(name.starts_with("texture_output"), "{name}");
                        Scalar::F32
                    }
                };
                Bound::Texture { write: write(*access), scalar }
            }
            (AddressSpace::Handle, TypeInner::Image { class: naga::ImageClass::Sampled { multi: false, .. }, .. }) => {
                Bound::Texels
            }
            other => panic!("{name}: {:?} is {other:?}", global.name),
        };
        assert_eq!(binding.group, 0, "{name}: {:?}", global.name);
        assert!(bindings.insert(binding.binding, bound).is_none(), "{name}: binding {} twice", binding.binding);
    }
    assert!(bindings.keys().copied().eq(0..bindings.len() as u32), "{name}: bindings 0.. without a gap");
    let entry = module.entry_points.iter().find(|entry| entry.stage == ShaderStage::Compute);
    let workgroup = entry.map_or([0; 3], |entry| entry.workgroup_size);
    Declared { bindings: bindings.into_values().collect(), bytes, members, workgroup }
}

/// Validates a specialised shader, as written and with its overrides set. An override may drop a binding, such as an
/// absent residual, that is still declared and bound: the module is returned as written, with its workgroup size.
fn validated(shader: &Shader, capabilities: Capabilities) -> Module {
    let (name, text) = (shader.to_string(), shader.wgsl().expect("a shader of this crate"));
    let mut module = parse(&name, &text);
    let info = validate(&name, &text, &module, capabilities);
    let faults = [wgsl::faults(&text), uniform::faults(&text, &module)].concat();
    assert!(faults.is_empty(), "{name}: {faults:#?}");
    // A device may write the whole vector, with what another invocation has just overwritten.
    let alone = !shader.overrides().contains(&("ALIGNED", 0.0)) || !text.contains("[i % 4u] = ");
    assert!(alone, "{name}: invocations share a vector, and write its components");
    let mut sizes = Vec::new();
    let constants = shader.overrides().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for entry in &module.entry_points {
        let which = Some((entry.stage, entry.name.as_str()));
        let processed = naga::back::pipeline_constants::process_overrides(&module, &info, which, &constants);
        let (constant, _) = processed.unwrap_or_else(|error| panic!("{name}: {error}"));
        let info = validate(&name, &text, &constant, capabilities);
        let refusals = backends::refusals(&text, &constant, &info, entry.stage, &entry.name);
        assert!(refusals.is_empty(), "{name}: {refusals:#?}");
        sizes.extend(constant.entry_points.iter().filter(|of| of.name == entry.name).map(|of| of.workgroup_size));
    }
    module.entry_points.iter_mut().zip(sizes).for_each(|(entry, size)| entry.workgroup_size = size);
    module
}

fn check(which: &str, plan: &Plan, capabilities: Capabilities, seen: &mut HashMap<Shader, Declared>) {
    let mut dispatch = |dispatch: &Dispatch, resources: &[Resource]| {
        let name = dispatch.shader.to_string();
        // The operations of `denoise` are none of `ops`.
        let guarded = dispatch.shader.is_guarded() && !which.starts_with("denoiser");
        assert!(!guarded, "{which}: `ops::is_ours` doesn't know the operation of {name}");
        if !seen.contains_key(&dispatch.shader) {
            let of_f32 = declared(&name, &validated(&dispatch.shader, capabilities));
            if let Some(halves) = dispatch.shader.clone().all_in_halves() {
                // All of WebGPU has it; Mesa's llvmpipe lacks `DownlevelFlags::SHADER_F16_IN_F32` where it lacks f16.
                let converts = capabilities | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
                let of_f16 = declared(&name, &validated(&halves, converts));
                let kinds = |of: &Declared| of.bindings.iter().map(std::mem::discriminant).collect::<Vec<_>>();
                assert_eq!(kinds(&of_f16), kinds(&of_f32), "{which}: the bindings of {halves}");
                seen.insert(halves, of_f16);
            }
            seen.insert(dispatch.shader.clone(), of_f32);
        }
        let declared = &seen[&dispatch.shader];
        assert_eq!(declared.bindings, planned(plan, resources), "{which}: the bindings of {name}");
        let (wanted, given) = (declared.bytes, dispatch.params.len());
        assert!(wanted <= given, "{which}: {name} declares {wanted} bytes of Params, {given} are given");
        if let Some(size) = dispatch.workgroup() {
            assert_eq!(declared.workgroup, [size as u32, 1, 1], "{which}: the workgroups of {name}");
        }
        let members = dispatch.members().iter().map(|of| (of.name.to_owned(), of.offset, of.scalar, of.count));
        let members: Vec<Declaration> = members.collect();
        assert_eq!(members, declared.members, "{which}: the members of Params of {name}, in Rust and in WGSL");
    };
    for step in &plan.steps {
        for (of, resources) in &step.dispatches {
            dispatch(of, resources);
        }
    }
}

#[test]
fn every_specialised_shader_is_valid_and_bound_as_it_declares() {
    let network = |network: &Network| (network.name.to_owned(), network.graph(&Weights::seeded(0), None));
    let networks = all().iter().map(network).map(|(name, graph)| match graph {
        Ok(graph) => (name, graph),
        Err(error) => panic!("{name}: {error}"),
    });
    let tables = TABLES.iter().flat_map(|table| {
        let cases = Suite::graphs(table).into_iter();
        cases.map(|(case, graph)| (format!("{}, case \"{case}\"", table.op), graph))
    });
    let graphs: Vec<(String, Graph)> =
        networks.chain(tables).chain(denoisers::graphs()).map(|(name, graph)| (name, graph.fused())).collect();
    let mut names = BTreeSet::new();
    let mut halves = BTreeSet::new();
    // The portable kernels need no optional feature.
    let devices = [
        (Caps::portable(), Capabilities::empty()),
        (Caps::phone(), Capabilities::empty()),
        (Caps::llvmpipe(), Capabilities::all()),
    ];
    for (caps, capabilities) in devices {
        let mut seen = HashMap::new();
        for (name, graph) in &graphs {
            for batch in [1, 2] {
                let plan = Plan::new(graph, batch, &caps).unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&format!("{name} at batch {batch}"), &plan, capabilities, &mut seen);
            }
            let plan = Plan::with_precision(graph, 1, &caps, &Choices::new(), Precision::F16);
            let plan = plan.unwrap_or_else(|error| panic!("{name} in f16: {error}"));
            check(&format!("{name} in f16"), &plan, capabilities | Capabilities::SHADER_FLOAT16_IN_FLOAT32, &mut seen);
        }
        let of_f16 = seen.keys().filter(|shader| shader.to_string().contains(" f16="));
        halves.extend(of_f16.map(|shader| shader.name().to_owned()));
        names.extend(seen.into_keys().map(|shader| shader.name().to_owned()));
    }
    // Models of another precision use matrix units.
    let matrix = Some(Matrix { side: 16 });
    let caps =
        Caps { matrix, f16: true, subgroup_sizes: Some([32, 64]), max_workgroup_memory: 32 << 10, ..Caps::portable() };
    let mut seen = HashMap::new();
    for (name, graph) in &graphs {
        let plan = Plan::with_precision(graph, 1, &caps, &Choices::new(), Precision::Mixed);
        let plan = plan.unwrap_or_else(|error| panic!("{name}: {error}"));
        check(&format!("{name} with matrix units"), &plan, Capabilities::all(), &mut seen);
    }
    for name in ["gemm_matrix", "attention_matrix"] {
        assert!(seen.keys().any(|shader| shader.name() == name), "no plan uses {name}");
        names.insert(name.to_owned());
        halves.insert(name.to_owned());
    }
    // No plan has the shaders of device measurements and texture conversions.
    names.extend(
        Peaks::shaders()
            .iter()
            .chain(&texture::shaders())
            .chain(&Context::probes())
            .map(|shader| shader.name().to_owned()),
    );
    let named: BTreeSet<String> = named_shaders().into_keys().collect();
    assert_eq!(
        names, named,
        "every shader of the crate is in one of these plans, or measures, or has to do with textures"
    );
    let texels = files("shaders", "wgsl").into_iter().filter(|file| {
        let text = read(file);
        text.contains("array<Texel>;") || text.contains("array<Bits>;")
    });
    let texels: BTreeSet<String> = texels
        .map(|file| file.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII").to_owned())
        .collect();
    assert!(halves.is_superset(&texels), "every file that stores texels is valid with f16s too");
}

#[test]
fn every_variant_that_a_device_may_take_is_valid() {
    let mut seen = BTreeSet::new();
    for units in [1, 24, 200] {
        for max_workgroup_memory in [16 << 10, 48 << 10] {
            let caps = Caps { units, max_workgroup_memory, ..Caps::portable() };
            for table in TABLES.iter().filter(|table| ["conv", "linear", "matmul"].contains(&table.op)) {
                for (case, graph) in Suite::graphs(table) {
                    let each = |node: &Node, io: &Io| {
                        let kernels = node.op.kernels(io, &caps).unwrap_or_else(|error| panic!("{case}: {error:?}"));
                        for dispatch in kernels.into_iter().flat_map(|kernel| kernel.dispatches) {
                            if seen.insert(dispatch.shader.to_string()) {
                                validated(&dispatch.shader, Capabilities::empty());
                            }
                        }
                        Ok(())
                    };
                    graph.fused().visit(1, each).expect("any batch");
                }
            }
        }
    }
    let tiles =
        |m: u32, n: u32| seen.iter().filter(|shader| shader.contains(&format!("TILE_M={m} TILE_N={n} "))).count();
    for (m, n) in [(128, 128), (128, 64), (64, 64), (32, 64), (32, 32)] {
        assert!(tiles(m, n) > 1, "{m}x{n} is in no table");
    }
}

#[test]
fn every_shader_that_measures_is_valid() {
    let shaders = [Peaks::shaders(), Context::probes()].concat();
    let variants: BTreeSet<String> = shaders.iter().map(Shader::to_string).collect();
    assert_eq!(variants.len(), shaders.len(), "each variant once: {variants:?}");
    for shader in &shaders {
        let module = validated(shader, Capabilities::all());
        // The bindings have no gap: they are assigned in order.
        declared(shader.name(), &module);
    }
}

#[test]
fn every_shader_of_textures_is_valid() {
    let shaders = texture::shaders();
    let variants: BTreeSet<String> = shaders.iter().map(Shader::to_string).collect();
    assert_eq!(variants.len(), shaders.len(), "each variant once: {variants:?}");
    for shader in &shaders {
        let module = validated(shader, Capabilities::empty());
        let bound = declared(&shader.to_string(), &module).bindings;
        let buffer = |write| Bound::Buffer { write };
        let wanted = match shader.name() {
            "texture_input" => vec![Bound::Uniform, Bound::Texels, buffer(true)],
            "texture_history" => {
                let buffers = [false, false, true, true].map(buffer);
                std::iter::once(Bound::Uniform).chain([Bound::Texels; 5]).chain(buffers).collect()
            }
            _ => {
                vec![Bound::Uniform, buffer(false), buffer(false), Bound::Texels, bound[4]]
            }
        };
        assert_eq!(bound, wanted, "{shader}");
        let stages: Vec<ShaderStage> = module.entry_points.iter().map(|entry| entry.stage).collect();
        match shader.name() {
            "texture_input" | "texture_history" => assert_eq!(stages, [ShaderStage::Compute]),
            _ => assert_eq!(stages, [ShaderStage::Compute, ShaderStage::Vertex, ShaderStage::Fragment]),
        }
    }
}
