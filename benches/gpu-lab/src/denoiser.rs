//! The dispatches of a denoiser's frame: what a compiler made of each kernel, the bytes that it moves, the modelled time.

use crate::Result;
use crate::driver::Driver;
use crate::spirv::Module;
use crate::table::Table;
use crate::time::{Machine, bytes};
use shadernet::Precision;
use shadernet::denoise::{Archive, Content, DenoiserOptions};
use shadernet::kernel::Caps;
use shadernet::plan::{Choices, Plan};
use std::collections::BTreeMap;

/// Returns the frame of the network of an archive, for HDR images of `[width, height]` pixels, as a table.
pub fn table(
    machine: &Machine,
    driver: &Driver,
    caps: &Caps,
    archive: Archive,
    (size, precision): ([usize; 2], Precision),
) -> Result<String> {
    let graph = DenoiserOptions::new(Content::Hdr, archive).graph(size)?.fused();
    let plan = Plan::with_precision(&graph, 1, caps, &Choices::new(), precision)?;
    let mut text = String::from("node\toperation\tkernel\tmegabytes\tmicroseconds\tfloor\tbound\n");
    let mut compiled = BTreeMap::new();
    let mut table = Table::new(format!("{}: {}", machine.name, driver.version()));
    let (mut count, mut moved, mut sum) = (0, 0.0, 0.0);
    for step in &plan.steps {
        for (dispatch, resources) in &step.dispatches {
            let kernel = dispatch.shader.to_string();
            if !compiled.contains_key(&kernel) {
                let module = Module::new(&dispatch.shader).map_err(|error| format!("{kernel}: {error}"))?;
                let made = driver.compile(&module).map_err(|error| format!("{kernel}: {error}"))?;
                table.add(&kernel, module.workgroup_memory, &made);
                let made = machine.read(&module, &made).map_err(|error| format!("{kernel}: {error}"))?;
                compiled.insert(kernel.clone(), made);
            }
            let time = machine.time(&plan, step, (dispatch, resources), &compiled[&kernel])?;
            let (read, written) = bytes(&plan, resources);
            (count, moved, sum) = (count + 1, moved + read + written, sum + time.seconds());
            text.push_str(&format!(
                "{}\t{}\t{kernel}\t{:.1}\t{:.1}\t{:.1}\t{}\n",
                step.node,
                step.op,
                (read + written) / 1e6,
                1e6 * time.seconds(),
                1e6 * time.floor(),
                time.bound()
            ));
        }
    }
    text.push_str(&format!("# {count} dispatches, {:.0} MB, {:.3} ms\n", moved / 1e6, 1e3 * sum));
    Ok(text + &table.text())
}
