//! Pipelines: compiled once for each shader, in parallel, and cached by the context.

#[cfg(not(target_arch = "wasm32"))]
use super::ahead::compile_ahead;
use super::context::Context;
use super::memory::format;
use crate::error::Result;
use crate::kernel::{Scalar, Shader};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

/// The kind of a binding in a pipeline's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Parameters of so many bytes. A shader that needs more is refused at compilation, not at the dispatch.
    Params(u64),
    Read,
    Write,
    /// A storage texture of this crate's, of four of these scalars a texel.
    TextureRead(Scalar),
    TextureWrite(Scalar),
    /// A texture of any format with float texels, loaded without a sampler.
    Texels,
    /// A storage texture of the host's, write-only.
    Store(wgpu::TextureFormat),
}

/// The identity of a compute pipeline: its shader and the kinds of its bindings.
pub(crate) type Key = (Shader, Vec<Kind>);

/// A pipeline and its bind group layout.
pub(crate) struct Pipeline {
    pub(crate) pipeline: wgpu::ComputePipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// The identity of a render pipeline: its shader, its bindings, the target's format and the written channels.
pub(crate) type DrawKey = (Shader, Vec<Kind>, wgpu::TextureFormat, wgpu::ColorWrites);

/// A render pipeline and its bind group layout.
pub(crate) struct Draw {
    pub(crate) pipeline: wgpu::RenderPipeline,
    pub(crate) layout: wgpu::BindGroupLayout,
}

/// Returns the pipelines for these shaders. As many threads as there are processors compile the missing ones.
pub(crate) fn pipelines(context: &Context, wanted: &[Key]) -> Result<Vec<Arc<Pipeline>>> {
    pipelines_for(context, wanted, &[])
}

/// Returns the pipelines for dispatches with these parameters. A driver that compiles at the first dispatch compiles the
/// missing ones too, if the context is this crate's own.
pub(crate) fn pipelines_for(context: &Context, wanted: &[Key], params: &[&[u8]]) -> Result<Vec<Arc<Pipeline>>> {
    let cache = || context.0.pipelines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut missing: Vec<(&Key, &[u8])> = Vec::new();
    let there = cache();
    for (i, key) in wanted.iter().enumerate() {
        if !there.contains_key(key) && !missing.iter().any(|(other, _)| *other == key) {
            missing.push((key, params.get(i).copied().unwrap_or_default()));
        }
    }
    // Unlocked while compiling, so that other sessions don't wait; at worst two threads compile the same pipeline.
    drop(there);
    let progress = &context.0.compilation;
    progress.want(missing.len());
    let helped = context.0.adapter.as_ref().filter(|_| !params.is_empty());
    let made = parallel(&missing, |((shader, kinds), _)| {
        let made = compile(context, shader, kinds);
        progress.done(usize::from(helped.is_none()));
        made
    });
    #[cfg(not(target_arch = "wasm32"))]
    if let Some(adapter) = helped {
        let ready = compile_ahead(context, adapter, &missing);
        progress.done(missing.len() - ready);
    }
    let made: HashMap<_, _> = missing
        .into_iter()
        .zip(made)
        .map(|((key, _), pipeline)| Ok((key.clone(), Arc::new(pipeline?))))
        .collect::<Result<_>>()?;
    if let Some(compiled) = context.0.compiled.as_ref().filter(|_| !made.is_empty()) {
        compiled.keep();
    }
    let mut cache = cache();
    cache.extend(made);
    Ok(wanted.iter().map(|key| cache[key].clone()).collect())
}

/// Returns the pipeline that draws one triangle by the shader's `corner` and `paint`; compiles it if it is missing.
pub(crate) fn draw(context: &Context, wanted: &DrawKey) -> Result<Arc<Draw>> {
    let cache = || context.0.draws.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(draw) = cache().get(wanted) {
        return Ok(draw.clone());
    }
    let (shader, kinds, format, write_mask) = wanted;
    let label = Some(shader.name());
    let device = context.device();
    let constants = shader.overrides();
    let options = || wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() };
    context.count(1);
    let wgsl = shader.wgsl()?;
    let made = context.checked(|| {
        let layout = layout(context, shader, kinds, wgpu::ShaderStages::FRAGMENT);
        let module = module(context, shader, &wgsl);
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label,
            layout: Some(&pipeline_layout(context, shader, &layout)),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: options(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("paint"),
                compilation_options: options(),
                targets: &[Some(wgpu::ColorTargetState { format: *format, blend: None, write_mask: *write_mask })],
            }),
            multiview_mask: None,
            cache: context.0.compiled.as_ref().map(|compiled| &compiled.cache),
        });
        Arc::new(Draw { pipeline, layout })
    })?;
    if let Some(compiled) = context.0.compiled.as_ref() {
        compiled.keep();
    }
    Ok(cache().entry(wanted.clone()).or_insert(made).clone())
}

/// Creates a bind group of these resources, in the order of the layout's bindings.
pub(crate) fn group<'a>(
    context: &Context,
    label: Option<&str>,
    layout: &wgpu::BindGroupLayout,
    resources: impl IntoIterator<Item = wgpu::BindingResource<'a>>,
) -> Result<wgpu::BindGroup> {
    let entries: Vec<wgpu::BindGroupEntry> = resources
        .into_iter()
        .enumerate()
        .map(|(i, resource)| wgpu::BindGroupEntry { binding: i as u32, resource })
        .collect();
    context.count(1);
    let descriptor = wgpu::BindGroupDescriptor { label, layout, entries: &entries };
    context.checked(|| context.device().create_bind_group(&descriptor))
}

pub(super) fn compile(context: &Context, shader: &Shader, kinds: &[Kind]) -> Result<Pipeline> {
    context.count(1);
    let stored = stores_params(context, kinds).then(|| shader.clone().stored_params()).flatten();
    let shader = stored.as_ref().unwrap_or(shader);
    let wgsl = shader.wgsl()?;
    context.checked(|| {
        let layout = layout(context, shader, kinds, wgpu::ShaderStages::COMPUTE);
        let pipeline = context.device().create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.name()),
            layout: Some(&pipeline_layout(context, shader, &layout)),
            module: &module(context, shader, &wgsl),
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &shader.overrides(),
                // This crate's shaders write their workgroup memory before they read it.
                zero_initialize_workgroup_memory: guarded(context, shader),
            },
            cache: context.0.compiled.as_ref().map(|compiled| &compiled.cache),
        });
        Pipeline { pipeline, layout }
    })
}

/// Returns true if a pipeline had better have its parameters in a storage buffer, and may have one more.
fn stores_params(context: &Context, kinds: &[Kind]) -> bool {
    let buffers = kinds.iter().filter(|kind| matches!(kind, Kind::Read | Kind::Write)).count();
    let may = buffers < context.caps().max_storage_buffers as usize;
    may && super::facts::compiles_for_uniforms(context.info())
}

fn layout(context: &Context, shader: &Shader, kinds: &[Kind], visibility: wgpu::ShaderStages) -> wgpu::BindGroupLayout {
    let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
    let params = |bytes| wgpu::BindingType::Buffer {
        ty: if shader.has_stored_params() {
            wgpu::BufferBindingType::Storage { read_only: true }
        } else {
            wgpu::BufferBindingType::Uniform
        },
        has_dynamic_offset: false,
        min_binding_size: wgpu::BufferSize::new(bytes),
    };
    let view_dimension = wgpu::TextureViewDimension::D2;
    let storage = |access, format| wgpu::BindingType::StorageTexture { access, format, view_dimension };
    let types = kinds.iter().map(|&kind| match kind {
        Kind::Params(bytes) => params(bytes),
        Kind::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        Kind::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        Kind::TextureRead(scalar) => storage(wgpu::StorageTextureAccess::ReadOnly, format(scalar)),
        Kind::TextureWrite(scalar) => storage(wgpu::StorageTextureAccess::WriteOnly, format(scalar)),
        Kind::Store(format) => storage(wgpu::StorageTextureAccess::WriteOnly, format),
        Kind::Texels => wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension,
            multisampled: false,
        },
    });
    let entries: Vec<wgpu::BindGroupLayoutEntry> = types
        .enumerate()
        .map(|(i, ty)| wgpu::BindGroupLayoutEntry { binding: i as u32, visibility, ty, count: None })
        .collect();
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(shader.name()), entries: &entries };
    context.device().create_bind_group_layout(&descriptor)
}

fn pipeline_layout(context: &Context, shader: &Shader, layout: &wgpu::BindGroupLayout) -> wgpu::PipelineLayout {
    let first = shader.is_part().then(|| first_workgroup(context));
    let groups = [Some(layout), first.as_ref()];
    context.device().create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(shader.name()),
        bind_group_layouts: &groups[..1 + usize::from(first.is_some())],
        immediate_size: 0,
    })
}

fn module(context: &Context, shader: &Shader, wgsl: &str) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(wgsl.into());
    let module = wgpu::ShaderModuleDescriptor { label: Some(shader.name()), source };
    if !guarded(context, shader) {
        // SAFETY: only the planner, a texture's pass and a probe dispatch shaders without guards. For the planner's
        // dispatches, an operation of this crate computes the parameters from the shapes of its inputs and outputs
        // (`ops::is_ours`), and the bound memory is as large as these shapes and layouts need
        // (`plan/planner/checks.rs`). The shaders test every other index, and their loops end. `tests/selftest.rs`
        // checks that guards change no bit of the results, `scripts/test-drivers.sh` that Vulkan's validation finds no
        // access outside. (Guards cost time, most where they prevent unrolling.)
        unsafe { context.device().create_shader_module_trusted(module, wgpu::ShaderRuntimeChecks::unchecked()) }
    } else {
        context.device().create_shader_module(module)
    }
}

/// Returns true if wgpu adds guards to this shader.
fn guarded(context: &Context, shader: &Shader) -> bool {
    shader.is_guarded() || context.0.guarded || cfg!(debug_assertions)
}

/// Returns the layout of group 1 of a [part](Shader::part): the number of its first workgroup, at a dynamic offset.
pub(crate) fn first_workgroup(context: &Context) -> wgpu::BindGroupLayout {
    let ty = wgpu::BindingType::Buffer {
        ty: wgpu::BufferBindingType::Uniform,
        has_dynamic_offset: true,
        min_binding_size: wgpu::BufferSize::new(4),
    };
    let entry = wgpu::BindGroupLayoutEntry { binding: 0, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None };
    let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some("first workgroup"), entries: &[entry] };
    context.device().create_bind_group_layout(&descriptor)
}

/// Applies `f` to each item, by as many threads as there are processors, and returns the results in order.
pub(crate) fn parallel<T: Sync, R: Send>(items: &[T], f: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = if cfg!(target_arch = "wasm32") {
        1
    } else {
        std::thread::available_parallelism().map_or(1, usize::from).min(items.len())
    };
    if threads <= 1 {
        return items.iter().map(f).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(i) else { break };
                    let result = f(item);
                    *results[i].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let take = |slot: Mutex<Option<R>>| slot.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.into_iter().map(|slot| take(slot).expect("every item was taken by a thread")).collect()
}
