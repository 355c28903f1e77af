//! `shadernet devices`: the adapters, and what matters of them.

use super::report::fresh_peaks;
use super::{DeviceArgs, Result, driver};
use shadernet::gpu::adapters;
use shadernet::kernel::Caps;
use shadernet::{Context, wgpu};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct DevicesArgs {
    /// Measure what the adapter that is taken can do at most
    #[arg(long)]
    peaks: bool,
}

pub(super) fn devices(args: &DevicesArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let taken = device.context()?;
    let mut marked = false;
    for adapter in pollster::block_on(adapters(&device.options())) {
        let info = adapter.get_info();
        let is_taken = !marked && info == *taken.info();
        marked |= is_taken;
        let caps = if is_taken { Ok(taken.caps().clone()) } else { would_get(&adapter) };
        writeln!(out, "{} {}", if is_taken { "*" } else { " " }, info.name)?;
        let mut line = |what: &str, value: String| writeln!(out, "    {what:<23} {value}");
        line("type", device_type(info.device_type).into())?;
        line("backend", info.backend.to_string())?;
        line("driver", driver(&info))?;
        let profile = caps.as_ref().map(|caps| caps.profile().to_owned());
        line("kernel profile", profile.unwrap_or_else(|error| format!("none: {error}")))?;
        let has = |feature| adapter.features().contains(feature);
        let yes = |feature| String::from(if has(feature) { "yes" } else { "no" });
        let lanes = match (info.subgroup_min_size, info.subgroup_max_size) {
            _ if !has(wgpu::Features::SUBGROUP) => "no".into(),
            (min, max) if min == max => format!("{min} lanes"),
            (min, max) => format!("{min} to {max} lanes"),
        };
        line("subgroups", lanes)?;
        line("f16", yes(wgpu::Features::SHADER_F16))?;
        line("timestamps", yes(wgpu::Features::TIMESTAMP_QUERY))?;
        line("pipeline cache", yes(wgpu::Features::PIPELINE_CACHE))?;
        let limits = adapter.limits();
        line("max buffer", bytes(limits.max_buffer_size))?;
        line("max storage binding", bytes(limits.max_storage_buffer_binding_size))?;
        line("max workgroup memory", bytes(limits.max_compute_workgroup_storage_size.into()))?;
        line("max workgroup size", format!("{} invocations", limits.max_compute_invocations_per_workgroup))?;
        line("max texture", format!("{0} x {0}", limits.max_texture_dimension_2d))?;
        if let Some(most) = caps.ok().map(|caps| caps.max_loop_iterations).filter(|&most| most < u32::MAX) {
            line("max loop iterations", format!("{most} by one invocation"))?;
        }
        if is_taken && args.peaks {
            line("measured", fresh_peaks(&taken, device)?.to_string())?;
        }
    }
    Ok(())
}

/// The capabilities that an adapter would have if it were taken.
fn would_get(adapter: &wgpu::Adapter) -> Result<Caps> {
    let descriptor = wgpu::DeviceDescriptor {
        required_features: Context::required_features(adapter),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let context = pollster::block_on(Context::from_wgpu(adapter, &device, &queue)?.with_lanes())?;
    Ok(context.caps().clone())
}

fn device_type(of: wgpu::DeviceType) -> &'static str {
    match of {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "CPU",
        wgpu::DeviceType::Other => "other",
    }
}

fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| count >= 1 << shift) {
        Some((shift, unit)) => {
            let rounded = format!("{:.2}", count as f64 / f64::from(1 << shift));
            format!("{} {unit}", rounded.trim_end_matches('0').trim_end_matches('.'))
        }
        None => format!("{count} B"),
    }
}
