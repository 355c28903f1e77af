//! The small dispatch that confirms facts about a device which WebGPU doesn't report.

use super::context::Context;
use super::facts::expected;
use super::memory::{Memory, PARAMS, buffer, texture, upload};
use super::pipeline::{Key, Kind, group, pipelines};
use crate::error::{ErrorKind, Result};
use crate::kernel::shader::shader;
use crate::kernel::{Scalar, Shader};
use futures::channel::oneshot;
use wgpu::{BufferUsages, TextureUsages};

/// The size of the probe's textures, in texels.
const WIDTH: u32 = 8;
const ROWS: u32 = 4;

/// Returns the shader of [`Context::probe`].
pub(super) fn probe() -> Shader {
    shader!("probe_facts", "index")
}

impl Context {
    /// Returns the same device with facts that WebGPU doesn't report, if a small dispatch confirms them. On Mesa's
    /// llvmpipe these facts enable kernels that are several times as fast. On other drivers it returns this context.
    ///
    /// If the device was created with `EXPERIMENTAL_COOPERATIVE_MATRIX`
    /// ([`ContextOptions::matrix_units`](crate::ContextOptions::matrix_units)), kernels for
    /// its matrix units multiply too, and models of another precision than `f32` use them if the products are right.
    ///
    /// The probe submits to the queue and waits; [`Context::from_wgpu`] does neither. Sessions of the new context also
    /// submit and wait while they upload weights.
    pub async fn probe(self) -> Result<Context> {
        self.confirm_facts().await?.confirm_matrix().await
    }

    async fn confirm_facts(self) -> Result<Context> {
        let Some(caps) = expected(&self) else { return Ok(self) };
        let name = &self.info().name;
        match confirmed(&self).await {
            Ok(true) => return Ok(self.with_facts(caps)),
            Ok(false) => log::warn!("{name}: textures or subgroups don't work as expected, the portable kernels serve"),
            Err(error) => log::warn!("{name}: the probe of its facts failed ({error}), the portable kernels serve"),
        }
        Ok(self)
    }
}

/// Runs the probe twice, from one texture to another and back, and returns true if all facts hold.
async fn confirmed(context: &Context) -> Result<bool> {
    let usage = TextureUsages::COPY_DST;
    let views: Vec<_> =
        (0..2).map(|_| texture(context, "facts", [WIDTH, ROWS], Scalar::F32, usage)).collect::<Result<_>>()?;
    let zeros = vec![0; (16 * WIDTH * ROWS) as usize];
    let size = wgpu::Extent3d { width: WIDTH, height: ROWS, depth_or_array_layers: 1 };
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(16 * WIDTH), rows_per_image: None };
    context.checked(|| context.queue().write_texture(views[0].0.as_image_copy(), &zeros, layout, size))?;
    let views: Vec<Memory> = views.into_iter().map(|(_, view)| Memory::Texture(view)).collect();
    let params = upload(context, "facts", bytemuck::bytes_of(&[ROWS, 0, 0, 0]), PARAMS)?;
    let bytes = u64::from(16 * WIDTH);
    let results = buffer(context, "facts", bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC)?;
    let download = buffer(context, "facts", bytes, BufferUsages::COPY_DST | BufferUsages::MAP_READ)?;
    let kinds = vec![Kind::Params(16), Kind::TextureRead(Scalar::F32), Kind::Write, Kind::TextureWrite(Scalar::F32)];
    let wanted: Key = (probe(), kinds);
    let pipeline = pipelines(context, &[wanted])?.swap_remove(0);
    let bound = |from: &Memory, to: &Memory| {
        let resources = [params.as_entire_binding(), from.binding(0, 0), results.as_entire_binding(), to.binding(0, 0)];
        group(context, None, &pipeline.layout, resources)
    };
    let groups = [bound(&views[0], &views[1])?, bound(&views[1], &views[0])?];
    let mut encoder = context.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline.pipeline);
    for group in &groups {
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
    }
    drop(pass);
    encoder.copy_buffer_to_buffer(&results, 0, &download, 0, None);
    let submission = context.queue().submit([encoder.finish()]);
    let (sender, mapped) = oneshot::channel();
    download.map_async(wgpu::MapMode::Read, .., move |result| {
        // The receiver is gone if the caller dropped this future.
        let _unheard = sender.send(result);
    });
    context.wait_in_background(submission)?;
    context.settled().await?;
    mapped.await.map_err(ErrorKind::lost)?.map_err(ErrorKind::lost)?;
    let view = download.get_mapped_range(..).map_err(ErrorKind::lost)?;
    let results: Vec<[f32; 4]> = bytemuck::pod_collect_to_vec(&view);
    // The second dispatch sums the ones that the first has written, four in each texel.
    let inside = (4 * ROWS) as f32;
    Ok(results.iter().enumerate().all(|(i, result)| *result == [inside, 0.0, i as f32, i as f32]))
}
