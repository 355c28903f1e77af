//! The compute units of adapters, which WebGPU doesn't report: public figures by name, not checked on the devices.

/// The units of known adapters: NVIDIA's multiprocessors, AMD's compute units, Intel's Xe cores, Apple's GPU cores.
const KNOWN: [(&str, u32); 78] = [
    ("H200", 132),
    ("H100", 132),
    ("H100 PCIe", 114),
    ("A100", 108),
    ("A40", 84),
    ("A30", 56),
    ("A10", 72),
    ("L40", 142),
    ("L4", 58),
    ("T4", 40),
    ("V100", 80),
    ("P100", 56),
    ("RTX 5090", 170),
    ("RTX 5080", 84),
    ("RTX 5070", 48),
    ("RTX 5070 Ti", 70),
    ("RTX 5060", 30),
    ("RTX 4090", 128),
    ("RTX 4090 Laptop", 76),
    ("RTX 4080", 76),
    ("RTX 4080 SUPER", 80),
    ("RTX 4070", 46),
    ("RTX 4070 SUPER", 56),
    ("RTX 4070 Ti", 60),
    ("RTX 4060", 24),
    ("RTX 4060 Ti", 34),
    ("RTX 3090", 82),
    ("RTX 3090 Ti", 84),
    ("RTX 3080", 68),
    ("RTX 3080 Ti", 80),
    ("RTX 3070", 46),
    ("RTX 3070 Ti", 48),
    ("RTX 3060", 28),
    ("RTX 3060 Ti", 38),
    ("RTX 3050", 20),
    ("RTX 2080", 46),
    ("RTX 2080 Ti", 68),
    ("RTX 2070", 36),
    ("RTX 2060", 30),
    ("GTX 1080", 20),
    ("GTX 1080 Ti", 28),
    ("GTX 1660", 22),
    ("GTX 1650", 14),
    ("RX 9070", 56),
    ("RX 9070 XT", 64),
    ("RX 9060", 32),
    ("RX 7900 XTX", 96),
    ("RX 7900 XT", 84),
    ("RX 7800 XT", 60),
    ("RX 7700 XT", 54),
    ("RX 7600", 32),
    ("RX 6900 XT", 80),
    ("RX 6800 XT", 72),
    ("RX 6800", 60),
    ("RX 6700 XT", 40),
    ("RX 6600 XT", 32),
    ("MI300X", 304),
    ("MI250", 208),
    ("MI100", 120),
    ("Arc(TM) A770", 32),
    ("Arc(TM) A750", 28),
    ("Arc(TM) A380", 8),
    ("Arc(TM) B580", 20),
    ("Arc(TM) B570", 18),
    ("Apple M1", 8),
    ("Apple M1 Pro", 16),
    ("Apple M1 Max", 32),
    ("Apple M1 Ultra", 64),
    ("Apple M2", 10),
    ("Apple M2 Pro", 19),
    ("Apple M2 Max", 38),
    ("Apple M2 Ultra", 76),
    ("Apple M3", 10),
    ("Apple M3 Pro", 18),
    ("Apple M3 Max", 40),
    ("Apple M4", 10),
    ("Apple M4 Pro", 20),
    ("Apple M4 Max", 40),
];

/// The units of whole chips, by the names in Mesa's adapter names, for products that `KNOWN` lacks: these may have fewer.
const CHIPS: [(&str, u32); 24] = [
    ("POLARIS10", 36),
    ("POLARIS11", 16),
    ("VEGA10", 64),
    ("VEGA20", 60),
    ("RENOIR", 8),
    ("VANGOGH", 8),
    ("NAVI10", 40),
    ("NAVI14", 24),
    ("NAVI21", 80),
    ("NAVI22", 40),
    ("NAVI23", 32),
    ("NAVI24", 16),
    ("REMBRANDT", 12),
    ("NAVI31", 96),
    ("NAVI32", 60),
    ("NAVI33", 32),
    ("GFX1103_R1", 12),
    ("GFX1150", 16),
    ("GFX1151", 40),
    ("GFX1200", 32),
    ("GFX1201", 64),
    ("BMG G21", 20),
    ("MTL", 8),
    ("LNL", 8),
];

/// Returns the units of a known adapter, by the longest matching name; otherwise a typical number for its device type.
pub(super) fn units(info: &wgpu::AdapterInfo) -> u32 {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => 48,
        wgpu::DeviceType::IntegratedGpu => 8,
        wgpu::DeviceType::Cpu => 4,
        wgpu::DeviceType::Other => crate::kernel::Caps::portable().units,
    };
    known(&info.name).unwrap_or(kind)
}

/// Drivers write a name in letters of either case: Intel's `Arc(TM)` is Mesa's `Arc(tm)`.
fn known(name: &str) -> Option<u32> {
    let name = name.to_lowercase();
    let longest = |table: &[(&str, u32)]| {
        let names = table.iter().filter(|(known, _)| is_in(&known.to_lowercase(), &name));
        names.max_by_key(|(known, _)| known.len()).map(|&(_, units)| units)
    };
    longest(&KNOWN).or_else(|| longest(&CHIPS))
}

/// Returns true if a name contains `known` as whole words: an `RTX A4000` is no `A40`.
fn is_in(known: &str, name: &str) -> bool {
    let part = |end: Option<char>| end.is_some_and(char::is_alphanumeric);
    let whole = |(at, _): (usize, &str)| {
        !part(name[..at].chars().next_back()) && !part(name[at + known.len()..].chars().next())
    };
    name.match_indices(known).any(whole)
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn adapters_are_known_by_the_longest_name() {
        for (name, units) in [
            ("NVIDIA H200", Some(132)),
            ("NVIDIA H100 PCIe", Some(114)),
            ("NVIDIA H100 80GB HBM3", Some(132)),
            ("NVIDIA A100-SXM4-80GB", Some(108)),
            ("Tesla T4", Some(40)),
            ("NVIDIA GeForce RTX 3080", Some(68)),
            ("NVIDIA GeForce RTX 3080 Ti", Some(80)),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", Some(76)),
            ("AMD Radeon RX 7900 XTX (RADV NAVI31)", Some(96)),
            ("Intel(R) Arc(TM) A770 Graphics (DG2)", Some(32)),
            ("Intel(R) Arc(tm) A770 Graphics (DG2)", Some(32)),
            ("AMD Radeon RX 7900 XT (RADV NAVI31)", Some(84)),
            ("AMD Radeon Graphics (RADV NAVI31)", Some(96)),
            ("AMD Radeon 780M (RADV GFX1103_R1)", Some(12)),
            ("Intel(R) Graphics (BMG G21)", Some(20)),
            ("Apple M1", Some(8)),
            ("Apple M1 Max", Some(32)),
            ("NVIDIA RTX A4000", None),
            ("llvmpipe (LLVM 15.0.6, 256 bits)", None),
        ] {
            assert_eq!(known(name), units, "{name}");
        }
    }
}
