//! `shadernet devices`: the adapters and their facts.

use super::report::fresh_peaks;
use super::{DeviceArgs, Result, driver};
use shadernet::kernel::Caps;
use shadernet::{Context, wgpu};
use std::io::Write;

#[derive(clap::Args)]
pub(super) struct DevicesArgs {
    /// Measure the peaks of the adapter that is taken
    #[arg(long)]
    peaks: bool,
}

pub(super) fn devices(args: &DevicesArgs, device: &DeviceArgs, out: &mut dyn Write) -> Result {
    let taken = device.context()?;
    let mut marked = false;
    for adapter in pollster::block_on(device.options().adapters()) {
        let info = adapter.get_info();
        let is_taken = !marked && info == *taken.info();
        marked |= is_taken;
        let caps = if is_taken { Ok(taken.caps().clone()) } else { would_get(&adapter) };
        writeln!(out, "{} {}", if is_taken { "*" } else { " " }, info.name)?;
        let mut line = |what: &str, value: String| writeln!(out, "    {what:<23} {value}");
        line("type", device_type(info.device_type).into())?;
        line("backend", info.backend.to_string())?;
        line("driver", driver(&info))?;
        match &caps {
            Ok(caps) => facts(caps).into_iter().try_for_each(|(what, value)| line(what, value))?,
            Err(error) => {
                line("kernel profile", format!("none: {error}"))?;
                limits(&adapter.limits()).into_iter().try_for_each(|(what, value)| line(what, value))?;
            }
        }
        let yes = |feature| yes(adapter.features().contains(feature));
        line("timestamps", yes(wgpu::Features::TIMESTAMP_QUERY))?;
        line("pipeline cache", yes(wgpu::Features::PIPELINE_CACHE))?;
        line("matrix units", matrix_units(&adapter, is_taken.then_some(&taken)))?;
        if is_taken && args.peaks {
            line("measured", fresh_peaks(&taken, device)?.to_string())?;
        }
    }
    Ok(())
}

/// Returns the facts that the planner knows of a device.
fn facts(caps: &Caps) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("kernel profile", caps.profile().to_owned()),
        (
            "subgroups",
            match caps.subgroup_sizes {
                None => "no".into(),
                Some([least, most]) if least == most => format!("{least} invocations"),
                Some([least, most]) => format!("{least} to {most} invocations"),
            },
        ),
        ("f16", yes(caps.f16)),
        ("f16 in buffers", yes(caps.packs_f16)),
        ("fast textures", yes(caps.fast_textures)),
        ("zero outside textures", yes(caps.zero_outside_textures)),
        ("fast workgroup memory", yes(caps.fast_workgroup_memory)),
        ("compute units", format!("about {}", caps.units)),
        ("registers", format!("about {}", caps.registers)),
    ];
    facts.extend(limits(&wgpu::Limits {
        max_buffer_size: caps.max_buffer,
        max_storage_buffer_binding_size: caps.max_binding,
        max_storage_buffers_per_shader_stage: caps.max_storage_buffers,
        max_compute_workgroup_storage_size: caps.max_workgroup_memory,
        max_compute_invocations_per_workgroup: caps.max_invocations,
        max_compute_workgroups_per_dimension: caps.max_workgroups,
        max_texture_dimension_2d: caps.max_texture,
        ..Default::default()
    }));
    if caps.max_loop_iterations < u32::MAX {
        facts.push(("max loop iterations", format!("{} by one invocation", caps.max_loop_iterations)));
    }
    facts
}

/// Returns what is known of an adapter's matrix units.
fn matrix_units(adapter: &wgpu::Adapter, taken: Option<&Context>) -> String {
    let offered = adapter.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let asked = taken.is_some_and(|taken| !taken.matrix_units().is_empty());
    match taken.and_then(|taken| taken.caps().matrix) {
        Some(matrix) => format!("{0} x {0} f16, checked", matrix.side),
        None if !offered => "no".into(),
        None if !asked => "offered, not asked for (--matrix-units)".into(),
        None => "offered, not used: no suitable kind, or wrong products".into(),
    }
}

/// Returns the limits that the choice of kernels depends on.
fn limits(of: &wgpu::Limits) -> Vec<(&'static str, String)> {
    vec![
        ("max buffer", bytes(of.max_buffer_size)),
        ("max storage binding", bytes(of.max_storage_buffer_binding_size)),
        ("max storage buffers", format!("{} a shader", of.max_storage_buffers_per_shader_stage)),
        ("max workgroup memory", bytes(of.max_compute_workgroup_storage_size.into())),
        ("max workgroup size", format!("{} invocations", of.max_compute_invocations_per_workgroup)),
        ("max workgroups", format!("{} a dimension", of.max_compute_workgroups_per_dimension)),
        ("max texture", format!("{0} x {0}", of.max_texture_dimension_2d)),
    ]
}

fn yes(fact: bool) -> String {
    String::from(if fact { "yes" } else { "no" })
}

/// Returns the facts that an adapter's device would have if it were taken.
fn would_get(adapter: &wgpu::Adapter) -> Result<Caps> {
    let descriptor = wgpu::DeviceDescriptor {
        required_features: Context::required_features(adapter),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let context = pollster::block_on(Context::from_wgpu(adapter, &device, &queue)?.probe())?;
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
