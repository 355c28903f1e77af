//! Shaders on other backends: naga's writers of HLSL, MSL and GLSL accept each shader, with the options that wgpu-hal
//! sets for a shader without guards.

use naga::back::{glsl, hlsl, msl};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use naga::{AddressSpace, Module, ResourceBinding, ShaderStage, StorageAccess, TypeInner};

/// The kind of a binding. A backend may number each kind separately.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Uniform,
    Buffer { write: bool },
    Texture,
    Image { write: bool },
}

/// Returns the bindings in order.
fn bindings(module: &Module) -> Vec<(ResourceBinding, Kind)> {
    let kind = |global: &naga::GlobalVariable| match (global.space, &module.types[global.ty].inner) {
        (AddressSpace::Uniform, _) => Kind::Uniform,
        (AddressSpace::Storage { access }, _) => Kind::Buffer { write: access.contains(StorageAccess::STORE) },
        (_, TypeInner::Image { class: naga::ImageClass::Storage { access, .. }, .. }) => {
            Kind::Image { write: access.contains(StorageAccess::STORE) }
        }
        _ => Kind::Texture,
    };
    let bound = module.global_variables.iter().filter_map(|(_, global)| Some((global.binding?, kind(global))));
    let mut bound: Vec<_> = bound.collect();
    bound.sort_by_key(|(binding, _)| *binding);
    bound
}

/// Numbers each binding among the bindings that `same` counts together.
fn numbered(
    bindings: &[(ResourceBinding, Kind)],
    same: impl Fn(Kind, Kind) -> bool,
) -> impl Iterator<Item = (ResourceBinding, Kind, u8)> {
    (0..bindings.len()).map(move |i| {
        let (binding, kind) = bindings[i];
        let before = bindings[..i].iter().filter(|(_, other)| same(kind, *other)).count();
        (binding, kind, before as u8)
    })
}

const UNCHECKED: BoundsCheckPolicies = BoundsCheckPolicies {
    index: BoundsCheckPolicy::Unchecked,
    buffer: BoundsCheckPolicy::Unchecked,
    image_load: BoundsCheckPolicy::Unchecked,
    binding_array: BoundsCheckPolicy::Unchecked,
};

/// Strings of a shader's text that need a feature which wgpu offers on no device of the backend.
const FEATURES: [(&str, &str); 4] =
    [("enable f16;", "GLSL"), ("bgra8unorm", "GLSL"), ("coop_mat", "GLSL"), ("coop_mat", "HLSL")];

/// Returns the errors of each language's writer for an entry point of a module whose overrides have values. Errors of a
/// backend whose devices never get such a text are left out.
pub(crate) fn refusals(
    text: &str,
    module: &Module,
    info: &ModuleInfo,
    stage: ShaderStage,
    entry: &str,
) -> Vec<(&'static str, String)> {
    let results = [
        ("HLSL", to_hlsl(module, info, stage, entry)),
        ("MSL", to_msl(text, module, info, stage, entry)),
        ("GLSL", to_glsl(module, info, stage, entry)),
    ];
    let lacks = |language: &str| FEATURES.iter().any(|(used, of)| *of == language && text.contains(used));
    let refused = results.into_iter().filter_map(|(language, result)| Some((language, result.err()?)));
    refused.filter(|(language, _)| !lacks(language)).collect()
}

/// Writes HLSL for Direct3D's oldest compiler, as wgpu's `dx12` does.
fn to_hlsl(module: &Module, info: &ModuleInfo, stage: ShaderStage, entry: &str) -> Result<String, String> {
    let bindings = bindings(module);
    // The classes are constants, read-only views and writable views.
    let class = |kind| match kind {
        Kind::Uniform => 0,
        Kind::Texture | Kind::Buffer { write: false } | Kind::Image { write: false } => 1,
        Kind::Buffer { write: true } | Kind::Image { write: true } => 2,
    };
    let target = |register: u8| hlsl::BindTarget { register: register.into(), ..Default::default() };
    let numbered = numbered(&bindings, |a, b| class(a) == class(b));
    let options = hlsl::Options {
        shader_model: hlsl::ShaderModel::V5_1,
        binding_map: numbered.map(|(binding, _, register)| (binding, target(register))).collect(),
        fake_missing_bindings: false,
        special_constants_binding: Some(target(1)),
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        mesh_shader_primitive_indices_clamp: false,
        ray_query_initialization_tracking: false,
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry.to_owned())) };
    let mut text = String::new();
    let written = hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None);
    let mut written = written.map_err(|error| error.to_string())?;
    let entry = written.entry_point_names.pop().ok_or("no entry point")?;
    entry.map(|_| text).map_err(|error| error.to_string())
}

/// Writes MSL for the oldest Metal in which wgpu reads storage textures, as wgpu's `metal` does.
fn to_msl(text: &str, module: &Module, info: &ModuleInfo, stage: ShaderStage, entry: &str) -> Result<String, String> {
    let bindings = bindings(module);
    let is_buffer = |kind| matches!(kind, Kind::Uniform | Kind::Buffer { .. });
    let resources = numbered(&bindings, |a, b| is_buffer(a) == is_buffer(b)).map(|(binding, kind, slot)| {
        let mutable = matches!(kind, Kind::Buffer { write: true } | Kind::Image { write: true });
        let (buffer, texture) = if is_buffer(kind) { (Some(slot), None) } else { (None, Some(slot)) };
        (binding, msl::BindTarget { buffer, texture, mutable, ..Default::default() })
    });
    let buffers = bindings.iter().filter(|(_, kind)| is_buffer(*kind)).count() as u8;
    let resources = msl::EntryPointResources {
        resources: resources.collect(),
        immediates_buffer: None,
        sizes_buffer: Some(buffers),
    };
    let options = msl::Options {
        // Matrix units came later.
        lang_version: if text.contains("coop_mat") { (2, 3) } else { (1, 2) },
        per_entry_point_map: [(entry.to_owned(), resources)].into(),
        fake_missing_bindings: false,
        bounds_check_policies: UNCHECKED,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        mesh_shader_primitive_indices_clamp: false,
        emit_int_div_checks: false,
        ray_query_initialization_tracking: false,
        ..Default::default()
    };
    let pipeline = msl::PipelineOptions {
        entry_point: Some((stage, entry.to_owned())),
        vertex_pulling_transform: true,
        ..Default::default()
    };
    let (text, written) = msl::write_string(module, info, &options, &pipeline).map_err(|error| error.to_string())?;
    let entry = written.entry_point_names.into_iter().next().ok_or("no entry point")?;
    entry.map(|_| text).map_err(|error| error.to_string())
}

/// Writes GLSL for OpenGL ES 3.1, the first version with compute shaders, as wgpu's `gles` does.
fn to_glsl(module: &Module, info: &ModuleInfo, stage: ShaderStage, entry: &str) -> Result<String, String> {
    let bindings = bindings(module);
    let counted = numbered(&bindings, |a, b| std::mem::discriminant(&a) == std::mem::discriminant(&b));
    let options = glsl::Options {
        version: glsl::Version::Embedded { version: 310, is_webgl: false },
        writer_flags: glsl::WriterFlags::ADJUST_COORDINATE_SPACE | glsl::WriterFlags::FORCE_POINT_SIZE,
        binding_map: counted.map(|(binding, _, slot)| (binding, slot)).collect(),
        zero_initialize_workgroup_memory: false,
    };
    let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point: entry.to_owned(), multiview: None };
    let mut text = String::new();
    let mut writer = glsl::Writer::new(&mut text, module, info, &options, &pipeline, UNCHECKED)
        .map_err(|error| error.to_string())?;
    writer.write().map_err(|error| error.to_string())?;
    Ok(text)
}

/// OpenGL ES has no 64-bit numbers.
#[test]
fn what_a_backend_lacks_is_found() {
    let text = "
        @group(0) @binding(0) var<storage, read_write> y: array<i64>;
        @compute @workgroup_size(1) fn main() { y[0] += 1li; }";
    let module = super::parse("wide", text);
    let info = super::validate("wide", text, &module, naga::valid::Capabilities::SHADER_INT64);
    let refusals = refusals(text, &module, &info, ShaderStage::Compute, "main");
    assert!(refusals.iter().any(|(language, _)| *language == "GLSL"), "{refusals:?}");
}
