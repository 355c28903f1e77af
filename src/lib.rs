#![doc = include_str!("../README.md")]
//!
//! # A guided tour
//!
//! **Build a graph.** [`Graph::input`] with [`BATCH`] as its first size, a method per operation, [`Graph::output`].
//! Shapes are checked as you go; an error names the operation, the argument, the wanted and the given value.
//!
//! ```
//! use shadernet::ops::{Conv2d, Pool2d, PoolKind};
//! use shadernet::{BATCH, Graph, Weights};
//!
//! let weights = Weights::seeded(0); // or Weights::open("model.safetensors")?
//! let mut graph = Graph::new();
//! let x = graph.input("image", [BATCH, 3, 32, 32]);
//! let conv = Conv2d::new(weights.get("conv.weight", [16, 3, 3, 3])?, None).padding(1);
//! let x = graph.conv2d(x, conv)?;
//! let x = graph.relu(x)?;
//! let x = graph.pool2d(x, Pool2d::new(PoolKind::Max, 2))?;
//! graph.output("features", x);
//! assert_eq!(graph.shape(x, 8)?.to_string(), "[8, 16, 16, 16]");
//! # Ok::<(), shadernet::Error>(())
//! ```
//!
//! **Or take an existing one.** [`models`] has the networks of the field, with torchvision's names, so that its weights
//! load unchanged. [`measure::Summary`] tells a network's cost, without a GPU.
//!
//! **See what would run.** A [`Plan`](plan::Plan) is plain data, made without a GPU: the shaders, the constants, the memory.
//!
//! ```
//! use shadernet::plan::Plan;
//! use shadernet::{Weights, kernel::Caps, models};
//!
//! let graph = models::find("resnet50")?.graph(&Weights::seeded(0), None)?;
//! let plan = Plan::new(&graph.fused(), 1, &Caps::portable())?;
//! assert_eq!(plan.steps.len(), 56);
//! println!("{plan}"); // one line a dispatch
//! # Ok::<(), shadernet::Error>(())
//! ```
//!
//! **Run it.** A [`Context`] is a device, a [`Model`] a network on it, a [`Session`] a batch size. [`Session::run`] is
//! async and takes host memory, by position or by name; it returns [`Outputs`], a [`Tensor`] each.
//! [`Session::run_blocking`] blocks; [`Session::stream`] keeps frames in flight, in order. All of them can be shared
//! among threads. A file's network with sizes that values decide, such as a detector's, runs in `Parts` (feature `onnx`).
//!
//! **Run it inside your renderer.** [`Context::from_wgpu`] takes your device, [`Session::bind`] your buffers.
//! [`Session::encode`] records into your encoder, and you submit. [`texture::TextureInput`] samples your textures,
//! [`texture::TextureOutput`] draws into them. [`wgpu`] is re-exported: the major version must be yours.
//!
//! **Denoise a render.** [`denoise`] has the networks of Open Image Denoise, for images on the device or the host.
//!
//! **Measure it.** [`measure::Sweep`] measures latency and throughput, [`measure::Profile`] the device's time step by
//! step beside the device's peaks; a [`measure::Report`] holds both.
//!
//! **Write an operation.** Implement [`Op`] for a struct of attributes, with your own [`kernel::Shader`], and hand it
//! to [`Graph::add_node`]. It differs from those in [`ops`] in two ways: wgpu guards its
//! shaders' memory accesses and loops, and no kernel computes it together with its neighbours.
//!
//! # Features
//!
//! * `vulkan`, `metal`, `dx12` (default): wgpu's backends. A host that uses wgpu itself can leave them to its own
//!   dependency. `gl`: OpenGL, where there is none of the three. A browser's WebGPU needs no feature.
//! * `cli`: the `shadernet` command. Implies all of the following.
//! * `ndarray`: a [`Tensor`] from an array of the crate ndarray, and back.
//! * `report`: measurements as a page with plots (`Report::to_html`).
//! * `selftest`: [`selftest`], a test of the results that an adapter computes.
//! * `onnx`: networks from ONNX files ([`import::onnx`]).
//! * `image`: reading and writing of PNG and JPEG ([`import::image`], [`import::pixels`]).
//! * `audio`: reading of `.wav` files ([`import::wav`]).

/// The code in the guide for guests, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../docs/guest.md")]
struct Guest;

/// The code in the guide to denoising, as doctests.
#[cfg(doctest)]
#[doc = include_str!("../docs/denoise.md")]
struct Denoising;

/// The code in the guide to ONNX files, as doctests.
#[cfg(all(doctest, feature = "onnx"))]
#[doc = include_str!("../docs/onnx.md")]
struct OnnxFiles;

pub mod denoise;
mod dtype;
mod error;
mod files;
mod gpu;
mod graph;
mod hash;
pub mod import;
pub mod kernel;
pub mod measure;
pub mod models;
pub mod ops;
#[cfg(feature = "onnx")]
mod part;
pub mod plan;
pub(crate) mod rewrite;
#[cfg(all(feature = "selftest", not(target_arch = "wasm32")))]
pub mod selftest;
mod session;
mod shape;
mod tensor;
pub mod texture;
mod weights;

pub use dtype::{DType, Data, Element, Elements, IntType, View};
pub use error::{Error, ErrorKind, Result};
pub use gpu::{Compilation, Context, ContextOptions};
pub use graph::constant::Constant;
pub use graph::op::{Cost, Io, Metrics, Op, Reach, Taps};
pub use graph::rewrite::Rewrite;
pub use graph::{Graph, Input, Node, State, Value};
pub use kernel::precision::Precision;
#[cfg(feature = "onnx")]
pub use part::{Known, Part};
#[cfg(feature = "onnx")]
pub use session::Parts;
pub use session::{BoundBuffers, FrameSlice, FrameSlices, Model, Pending, Session, SessionCache};
pub use shape::{BATCH, Shape};
pub use tensor::{Outputs, Tensor};
pub use weights::{Weights, seeded_input};
pub use wgpu;
