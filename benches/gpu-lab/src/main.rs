//! Compiles shadernet's kernels with the Vulkan driver that it finds, and reports what the driver's compiler made of
//! them. scripts/gpu-lab.sh runs it on drivers of GPUs that aren't there; docs/gpu-lab.md explains the tables.
//!
//! * `gpu-lab compile MACHINE [SHADER]` writes the machine's table, or its rows for one shader, to standard output.
//! * `gpu-lab assembly MACHINE KERNEL` writes the driver's statistics and texts about a kernel: its name and constants,
//!   as in the table, with spaces.
//! * `gpu-lab time MACHINE` writes the dispatches whose modelled time is far above their floor.
//! * `gpu-lab denoiser MACHINE PRECISION WIDTH HEIGHT [FILE.tza]` writes the dispatches of a denoiser's frame, and the rows of
//!   their kernels. Precisions are `f32`, `f16` and `matrix`: `f16` in matrix units.
//! * `gpu-lab judge COMMITTED NEW` compares two tables, and fails if a kernel is worse.

mod assembly;
mod denoiser;
mod driver;
mod kernels;
mod spirv;
mod table;
mod time;

use driver::Driver;
use shadernet::denoise::{Archive, Content, Guides};
use shadernet::kernel::Caps;
use spirv::Module;
use std::process::ExitCode;
use table::Table;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The machines, with the compute units of a product that has the chip: RX 7900 XTX, RX 6900 XT, RTX 3090, RTX 2080 Ti,
/// Apple M1. The Adreno has what shadernet assumes of unknown integrated GPUs.
const MACHINES: [(&str, u32); 6] =
    [("navi31", 96), ("navi21", 80), ("ga102", 82), ("tu102", 68), ("m1", 8), ("a750", 8)];

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["compile", machine] => print!("{}", compile(machine, None)?),
        ["compile", machine, shader] => print!("{}", compile(machine, Some(shader))?),
        ["assembly", machine, kernel] => print!("{}", assembly(machine, kernel)?),
        ["time", machine] => print!("{}", time(machine)?),
        ["denoiser", machine, precision, width, height, ref file @ ..] if file.len() < 2 => {
            print!("{}", denoiser(machine, precision, [width.parse()?, height.parse()?], file.first().copied())?);
        }
        ["judge", committed, new] => {
            let read = |path: &str| Table::read(&std::fs::read_to_string(path)?);
            let (report, worse) = read(new)?.compare(&read(committed)?);
            print!("{report}");
            return Ok(ExitCode::from(u8::from(worse > 0)));
        }
        _ => {
            return Err(
                "usage: compile MACHINE [SHADER], assembly MACHINE KERNEL, time MACHINE, denoiser MACHINE PRECISION WIDTH HEIGHT [FILE.tza], judge COMMITTED NEW".into()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the driver, and its facts with the machine's compute units: drivers name absent devices in their own way.
fn open(machine: &str) -> Result<(&'static Driver, Caps)> {
    let known = MACHINES.iter().find(|(name, _)| *name == machine);
    let &(_, units) = known.ok_or_else(|| format!("no such machine: {machine}"))?;
    let driver = Driver::open()?;
    let matrix = driver.context.offered_matrix();
    Ok((driver, Caps { units, matrix, ..driver.context.caps().clone() }))
}

fn compile(machine: &str, only: Option<&str>) -> Result<String> {
    let (driver, caps) = open(machine)?;
    let mut table = Table::new(format!("{machine}: {}", driver.version()));
    for (name, shader) in kernels::all(&caps)? {
        if only.is_some_and(|only| only != shader.name()) {
            continue;
        }
        let module = Module::new(&shader).map_err(|error| format!("{name}: {error}"))?;
        let compiled = driver.compile(&module).map_err(|error| format!("{name}: {error}"))?;
        table.add(&name, module.workgroup_memory, &compiled);
    }
    match only {
        Some(only) if table.is_empty() => Err(format!("no kernel of a shader {only}").into()),
        _ => Ok(table.text()),
    }
}

fn assembly(machine: &str, kernel: &str) -> Result<String> {
    let (driver, caps) = open(machine)?;
    let kernels = kernels::all(&caps)?;
    let shader = kernels.get(kernel).ok_or_else(|| format!("no such kernel: {kernel}"))?;
    let compiled = driver.compile(&Module::new(shader)?)?;
    let mut text = String::new();
    for (name, value) in compiled.statistics {
        text.push_str(&format!("{name}: {value}\n"));
    }
    for (name, content) in compiled.texts {
        text.push_str(&format!("\n== {name} ==\n{content}\n"));
    }
    Ok(text)
}

fn denoiser(name: &str, precision: &str, size: [usize; 2], file: Option<&str>) -> Result<String> {
    let (driver, caps) = open(name)?;
    let archive = match file {
        Some(file) => Archive::open(file)?,
        None => Archive::builtin(Content::Hdr, Guides::AlbedoNormal)?,
    };
    let (matrix, precision) = if precision == "matrix" { (caps.matrix, "f16") } else { (None, precision) };
    denoiser::table(machine(name)?, driver, &Caps { matrix, ..caps }, archive, (size, precision.parse()?))
}

fn machine(name: &str) -> Result<&'static time::Machine> {
    let machine = time::MACHINES.iter().find(|machine| machine.name == name);
    Ok(machine.ok_or_else(|| format!("no model of {name}"))?)
}

fn time(name: &str) -> Result<String> {
    let (driver, caps) = open(name)?;
    time::table(machine(name)?, driver, &caps)
}
