//! A simulated phone: fast textures, subgroups of 64, WebGPU's default limits. Any adapter runs its kernels, guarded.

use crate::harness::tiers;
use shadernet::Weights;
use shadernet::kernel::Caps;
use shadernet::models;
use shadernet::plan::Plan;
use shadernet::plan::Resource;
use shadernet::plan::memory::SlotKind;
use shadernet::selftest::{Suite, TABLES, phone};

#[test]
fn its_kernels_compute_the_same() {
    let tiers = [phone(&tiers()[0].context)];
    for table in TABLES {
        let suite = Suite::new(&tiers).every(4);
        (table.cases)(&suite);
        let report = suite.report(table.op);
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn every_network_has_a_plan() {
    for network in models::all() {
        let graph =
            network.graph(&Weights::seeded(0), None).unwrap_or_else(|error| panic!("{}: {error}", network.name));
        let plan = Plan::new(&graph.fused(), 1, &Caps::phone());
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", network.name));
        let resources = plan.steps.iter().flat_map(|step| &step.dispatches).flat_map(|(_, resources)| resources);
        let texture = |slot: usize| matches!(plan.slots[slot], SlotKind::Texture(..));
        let written = resources.filter(|r| matches!(r, &&Resource::Slot { slot, write: true, .. } if texture(slot)));
        let pools = plan.steps.iter().filter(|step| step.op == "pool2d").count();
        assert!(pools == 0 || written.count() > 0, "{}: no image is in a texture\n{plan}", network.name);
    }
}
