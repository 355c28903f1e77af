//! A shader: a file of `shaders/` and the values of its declared constants. The only code that touches WGSL text.

// Long because every change to a file's text is here: each is one line of the struct, its setter, and its edit.

use crate::DType;
use crate::error::ErrorKind;
use std::fmt;

/// A WGSL file and the values of its constants: the identity of a pipeline.
///
/// A file in `shaders/` is valid WGSL as it stands. A variant is the same file with changes: another value of an
/// `override` ([`Shader::set`]) or, where WGSL requires a constant, of a `const` ([`Shader::tile`]); another type of an
/// alias ([`Shader::alias`]); a tensor in a storage texture instead of a buffer ([`Shader::texture`]); texels stored as
/// another [`Scalar`](super::Scalar); an output that overwrites its residual ([`Shader::in_place`]); or a part of a dispatch (a
/// session's [`FrameSlices`](crate::FrameSlices)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shader {
    name: &'static str,
    source: &'static str,
    library: &'static [&'static str],
    overrides: Vec<(&'static str, u32)>,
    consts: Vec<(&'static str, u32)>,
    textures: Vec<&'static str>,
    aliases: Vec<(&'static str, &'static str)>,
    in_place: bool,
    halves: Vec<usize>,
    ours: bool,
    guarded: bool,
    part: bool,
    stored_params: bool,
}

/// A [`Shader`] from a file of `shaders/` and the files of `shaders/lib/` whose functions it calls.
macro_rules! shader {
    ($name:literal $(, $lib:literal)*) => {
        $crate::kernel::Shader::ours(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
            &[$(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/", $lib, ".wgsl"))),*],
        )
    };
}

pub(crate) use shader;

/// The definitions of `Texel`, for shaders that declare a tensor of texels; and of `Half`, its stored form in `f16`.
const TEXEL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/texel.wgsl"));
const HALF: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/lib/half.wgsl"));

/// The declaration of the parameters, in a file or in its library.
const PARAMS: &str = "var<uniform> params: Params;";

impl Shader {
    /// Creates a shader whose entry point is `main`. `library` holds WGSL text with functions that the shader calls.
    /// wgpu guards the shader's memory accesses and loops.
    pub const fn new(name: &'static str, source: &'static str, library: &'static [&'static str]) -> Shader {
        Shader {
            name,
            source,
            library,
            overrides: Vec::new(),
            consts: Vec::new(),
            textures: Vec::new(),
            aliases: Vec::new(),
            in_place: false,
            halves: Vec::new(),
            ours: false,
            guarded: true,
            part: false,
            stored_params: false,
        }
    }

    pub(crate) const fn ours(name: &'static str, source: &'static str, library: &'static [&'static str]) -> Shader {
        let mut shader = Shader::new(name, source, library);
        shader.ours = true;
        shader.guarded = false;
        shader
    }

    /// Returns true if the shader is one of this crate's.
    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// Lets wgpu guard the shader's memory accesses and loops, as it does for shaders from outside of this crate.
    #[must_use]
    pub(crate) fn guarded(mut self) -> Shader {
        self.guarded = true;
        self
    }

    /// Returns true if wgpu guards the shader's memory accesses and loops. wgpu guards no shader of this crate that has
    /// its parameters and bindings from this crate's operations: such shaders test their indices themselves.
    pub fn is_guarded(&self) -> bool {
        self.guarded
    }

    /// Gives the `override` of that name a value.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<u32>) -> Shader {
        self.overrides.push((name, value.into()));
        self
    }

    /// Gives the module-scope `const NAME: u32` a value: for sizes of function-local arrays, which can't be overrides.
    #[must_use]
    pub fn tile(mut self, name: &'static str, value: u32) -> Shader {
        self.consts.push((name, value));
        self
    }

    /// Makes `alias NAME` another type, such as `f16`.
    #[must_use]
    pub fn alias(mut self, name: &'static str, of: &'static str) -> Shader {
        self.aliases.push((name, of));
        self
    }

    /// Sets `alias Element`, `f32` in the file, to the WGSL type of these numbers.
    #[must_use]
    pub(crate) fn for_dtype(self, numbers: DType) -> Shader {
        if numbers == DType::I32 { self.alias("Element", "i32") } else { self }
    }

    /// Stores the numbers of these bindings, counted from 1, as `f16`s.
    #[must_use]
    pub(crate) fn halves(mut self, bindings: Vec<usize>) -> Shader {
        self.halves = bindings;
        self
    }

    /// Stores all numbers as `f16`s that may be; `None` if there are none.
    #[doc(hidden)]
    #[must_use]
    pub fn all_in_halves(self) -> Option<Shader> {
        let bindings = 1..self.source.matches("@group(0) @binding(").count();
        let bindings: Vec<usize> = bindings.filter(|&i| self.is_of_texels(i) || self.is_of_numbers(i)).collect();
        (!bindings.is_empty()).then(|| self.halves(bindings))
    }

    /// Returns true if the shader needs the definition of a texel.
    fn has_texels(&self) -> bool {
        self.ours && (self.source.contains("array<Texel>") || self.source.contains("array<Bits>"))
    }

    /// Returns true if a dispatch can continue from the content that another left in the output.
    pub(crate) fn continues_output(&self) -> bool {
        self.source.contains("\nfn load_y(")
    }

    /// Returns true if the shader stores single numbers of y, which `f16`s don't allow: two of them share a word. A shader
    /// that can do so has an override `ALIGNED`, which is false then, and calls `store_y_element` instead of `store_y`.
    pub(crate) fn stores_elements(&self) -> bool {
        self.source.contains("\nfn store_y_element(") && self.overrides.contains(&("ALIGNED", 0))
    }

    /// Returns true if the tensor of a binding, counted from 1, consists of texels that may be stored as `f16`s: an
    /// `array<Texel>` or `array<Bits>` in the file, or a storage texture.
    pub(crate) fn is_of_texels(&self, binding: usize) -> bool {
        self.declaration(binding).is_some_and(|line| {
            let in_texture = self.textures.iter().any(|name| line.contains(&format!(" {name}: array<")));
            let texels = ["array<Texel>;", "array<Bits>;"].iter().any(|end| line.ends_with(end));
            in_texture || texels || line.contains("texture_storage_2d<rgba32float")
        })
    }

    /// Returns true if a binding, counted from 1, is read number by number, by one function that may convert from `f16`.
    pub(crate) fn is_of_numbers(&self, binding: usize) -> bool {
        self.declaration(binding).and_then(numbers).is_some_and(|(name, of)| {
            self.source.contains(&format!("\nfn load_{name}(i: u32) -> {of} {{ return {name}[i]; }}"))
        })
    }

    /// Returns the line that declares a binding, in a file of this crate.
    fn declaration(&self, binding: usize) -> Option<&'static str> {
        let start = format!("@group(0) @binding({binding}) ");
        self.source.lines().find(|line| self.ours && line.starts_with(&start))
    }

    /// Puts the tensor of that binding (`array<Texel>` in the file, `array<vec4<f32>>` for weights, `array<vec4<u32>>` for
    /// their bits) into an `rgba32float` storage texture, if `yes`. The file accesses the tensor only through its one-line
    /// function `load_NAME` or `store_NAME`.
    #[must_use]
    pub fn texture(mut self, name: &'static str, yes: bool) -> Shader {
        if yes {
            self.textures.push(name);
        }
        self
    }

    /// Reads the `residual` from `y`, which it overwrites: WebGPU forbids binding one buffer for reading and writing.
    /// The file reads the residual only through its one-line function `load_residual`, and an element only where it
    /// writes the same element. The residual's own binding doesn't matter any more.
    #[must_use]
    pub fn in_place(mut self) -> Shader {
        self.in_place = true;
        self
    }

    /// Returns the shader for a part of a dispatch: workgroups count from the number in a uniform of group 1. Only this
    /// crate's shaders support it: they number workgroups by `linear` of `shaders/lib/index.wgsl`.
    #[must_use]
    pub(crate) fn part(mut self) -> Shader {
        self.part = true;
        self
    }

    /// Returns true if the shader is for a part of a dispatch.
    pub(crate) fn is_part(&self) -> bool {
        self.part
    }

    /// Reads the parameters from a storage buffer; `None` if the shader isn't one of this crate's or declares none.
    #[must_use]
    pub(crate) fn stored_params(mut self) -> Option<Shader> {
        self.stored_params = true;
        let declares = std::iter::once(&self.source).chain(self.library).any(|text| text.contains(PARAMS));
        (self.ours && declares).then_some(self)
    }

    /// Returns true if the shader reads the parameters from a storage buffer.
    pub(crate) fn has_stored_params(&self) -> bool {
        self.stored_params
    }

    /// Returns the file's name, without its extension.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the values of the overrides, for the pipeline.
    pub fn overrides(&self) -> Vec<(&'static str, f64)> {
        self.overrides.iter().map(|&(name, value)| (name, f64::from(value))).collect()
    }

    /// Returns the specialised WGSL text. An error if the file lacks a constant, an alias or a line that this variant
    /// replaces.
    pub fn wgsl(&self) -> Result<String, ErrorKind> {
        let mut lines: Vec<String> = self.source.lines().map(str::to_owned).collect();
        let lacks = |wanted: &str| {
            ErrorKind::argument(format!("shader {}", self.name), format_args!("a line with `{wanted}`"), "none")
        };
        let mut rewrite = |start: &str, new: &dyn Fn(&str) -> String| {
            let line = lines.iter_mut().find(|line| line.contains(start)).ok_or_else(|| lacks(start))?;
            *line = new(line);
            Ok(())
        };
        for (name, value) in &self.consts {
            rewrite(&format!("const {name}: u32 ="), &|_| format!("const {name}: u32 = {value}u;"))?;
        }
        for (name, of) in &self.aliases {
            rewrite(&format!("alias {name} ="), &|_| format!("alias {name} = {of};"))?;
        }
        for name in &self.textures {
            let held = |element: &&str| self.source.contains(&format!(" {name}: array<{element}>;"));
            let element = ["Texel", "vec4<u32>"].into_iter().find(held).unwrap_or("vec4<f32>");
            let declared = |access: &str| format!("var<storage, {access}> {name}: array<{element}>;");
            if self.source.contains(&declared("read")) {
                rewrite(&declared("read"), &|line| {
                    let texture = format!("var {name}: texture_storage_2d<rgba32float, read>;");
                    line.replace(&declared("read"), &texture)
                })?;
                rewrite(&format!("fn load_{name}("), &|_| {
                    let texel = format!("textureLoad({name}, vec2<u32>(column, row))");
                    let (of, texel) = match element {
                        "vec4<u32>" => (element, format!("bitcast<vec4<u32>>({texel})")),
                        _ => ("vec4<f32>", texel),
                    };
                    format!("fn load_{name}(row: u32, column: u32) -> {of} {{ return {texel}; }}")
                })?;
            } else {
                rewrite(&declared("read_write"), &|line| {
                    let texture = format!("var {name}: texture_storage_2d<rgba32float, write>;");
                    line.replace(&declared("read_write"), &texture)
                })?;
                // WebGPU can't read and write one `rgba32float` texture: kernels that continue from the output's content use buffers.
                let load = format!("fn load_{name}(");
                if self.source.contains(&load) {
                    rewrite(&load, &|_| {
                        format!("{load}row: u32, column: u32) -> vec4<f32> {{ return vec4<f32>(); }}")
                    })?;
                }
                rewrite(&format!("fn store_{name}("), &|_| {
                    format!(
                        "fn store_{name}(row: u32, column: u32, value: vec4<f32>) {{ textureStore({name}, vec2<u32>(column, row), value); }}"
                    )
                })?;
            }
        }
        if self.in_place {
            rewrite("fn load_residual(", &|line| line.replace("residual[", "y["))?;
        }
        if self.stores_elements() {
            // A store to a component of a vector may write the whole vector, which other invocations share.
            rewrite("read_write> y: array<", &|line| {
                line.replace("array<Texel>", "array<f32>").replace("array<Bits>", "array<u32>")
            })?;
            rewrite("fn store_y(", &|line| line.split(" {").next().unwrap_or_default().to_owned() + " { }")?;
            rewrite("fn store_y_element(", &|line| line.replace("y[i / 4u][i % 4u] = value", "y[i] = value"))?;
        }
        for binding in &self.halves {
            let start = format!("@group(0) @binding({binding}) ");
            let mut name = String::new();
            for line in lines.iter_mut() {
                if line.starts_with(&start) {
                    let declared = line[start.len()..].split_once(": ").map(|(before, _)| before);
                    name = declared.and_then(|before| before.rsplit(' ').next()).unwrap_or_default().to_owned();
                    *line = match numbers(line) {
                        Some((_, of)) => line.replace(&format!("array<{of}>"), "array<u32>"),
                        None => line
                            .replace("array<Texel>", "array<Half>")
                            .replace("array<Bits>", "array<Half>")
                            .replace("rgba32float", "rgba16float"),
                    };
                } else if line.starts_with(&format!("fn load_{name}(")) {
                    *line = line.replace("from_texel(", "from_half(").replace("from_bits(", "from_half_bits(");
                    for of in ["f32", "u32"] {
                        let number = format!("-> {of} {{ return bitcast<{of}>(from_pair({name}[i / 2u], i)); }}");
                        *line = line.replace(&format!("-> {of} {{ return {name}[i]; }}"), &number);
                    }
                } else if [format!("fn raw_{name}("), format!("fn value_{name}(")]
                    .iter()
                    .any(|start| line.starts_with(start))
                {
                    *line = line.replace("raw_texel(", "raw_half(");
                } else if line.starts_with(&format!("fn load_{name}_element(")) {
                    // Of `f32`s the number is loaded alone.
                    *line = line
                        .replace("from_scalar(", "from_half(")
                        .replace("from_word(", "from_half_bits(")
                        .replace("[i / 4u][i % 4u])", "[i / 4u])[i % 4u]");
                } else if line.starts_with(&format!("fn store_{name}(")) {
                    *line = line
                        .replace("to_texel(", "to_half(")
                        .replace("to_bits(", "to_half_bits(")
                        .replace(", value); }", ", as_half(value)); }");
                } else if line.starts_with(&format!("fn store_{name}_element(")) {
                    // `stores_elements` is false.
                    *line = line.replace(&format!("{name}[i / 4u][i % 4u] = value; "), "");
                }
            }
        }
        let halves = self.aliases.iter().any(|&(_, of)| of == "f16");
        let mut text = if halves { "enable f16;\n".to_owned() } else { String::new() };
        text.push_str(&lines.join("\n"));
        for part in self.library {
            text.push('\n');
            text.push_str(part);
        }
        for part in [(self.has_texels(), TEXEL), (!self.halves.is_empty(), HALF)].iter().filter(|(there, _)| *there) {
            text.push('\n');
            text.push_str(part.1);
        }
        if self.part {
            let whole = "{ return group.y * groups.x + group.x; }";
            if !text.contains(whole) {
                return Err(lacks(whole));
            }
            text = text.replace(whole, "{ return first_workgroup + group.y * groups.x + group.x; }");
            text.push_str("\n@group(1) @binding(0) var<uniform> first_workgroup: u32;\n");
        }
        if self.stored_params {
            text = text.replace(PARAMS, "var<storage, read> params: Params;");
        }
        if !self.guarded {
            // wgpu's Vulkan backend translates a module without overrides early, and then guards loops, divisions and
            // workgroup memory, whatever the options say. An unused override delays the translation to the pipeline.
            text.push_str("\noverride unguarded: bool = true;\n");
        }
        Ok(text)
    }
}

/// Returns the name and the type of the numbers that a declaration lets a shader read: `f32`s, or the bits of any. An
/// `array<i32>` holds integers.
fn numbers(declaration: &str) -> Option<(&str, &str)> {
    let (_, declared) = declaration.split_once("var<storage, read> ")?;
    let (name, of) = declared.split_once(": array<")?;
    let of = of.strip_suffix(">;")?;
    ["f32", "u32"].contains(&of).then_some((name, of))
}

impl fmt::Display for Shader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (name, value) in self.consts.iter().chain(&self.overrides) {
            write!(f, " {name}={value}")?;
        }
        for (name, of) in &self.aliases {
            write!(f, " {name}={of}")?;
        }
        if !self.textures.is_empty() {
            write!(f, " textures={}", self.textures.join("+"))?;
        }
        if self.in_place {
            f.write_str(" in place")?;
        }
        if !self.halves.is_empty() {
            write!(f, " f16={:?}", self.halves)?;
        }
        if self.part {
            f.write_str(" part")?;
        }
        Ok(())
    }
}

/// Returns the bytes of workgroup memory and the invocations of a workgroup that the shader's text declares.
#[cfg(test)]
pub(crate) fn declared(shader: &Shader) -> (usize, usize) {
    let text = shader.wgsl().expect("it has these constants");
    let module = naga::front::wgsl::parse_str(&text).expect("it is valid");
    let shared = module.global_variables.iter().filter(|(_, of)| of.space == naga::AddressSpace::WorkGroup);
    let memory: u32 = shared.map(|(_, of)| module.types[of.ty].inner.size(module.to_ctx())).sum();
    (memory as usize, module.entry_points[0].workgroup_size.iter().product::<u32>() as usize)
}
