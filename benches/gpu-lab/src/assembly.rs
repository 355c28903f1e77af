//! Counts in the assembly that a driver prints: by the names of instructions, in the order of the text.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A line of assembly, reduced to what is counted.
#[derive(Clone, Debug, Default, PartialEq)]
struct Instruction {
    /// The number of instructions that the line stands for: pairs and repetitions are more than one.
    count: u32,
    /// The number of those that multiply and add floating-point numbers.
    multiply_adds: u32,
    /// The number of those of a matrix unit, or 1 for a load from workgroup memory, which brings their operands.
    matrices: u32,
    operands: u32,
    /// A load from a buffer.
    load: Option<Load>,
    /// A wait for earlier loads.
    wait: Option<Wait>,
    /// The label that the instruction may jump to.
    jump: Option<String>,
    /// True if the next instruction isn't reached from this one.
    leaves: bool,
}

/// A load from a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Load {
    /// The bits that it brings to each invocation.
    bits: u32,
    /// The barrier that it sets, on machines that have several.
    barrier: u32,
}

/// A wait for loads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    /// Until at most so many are under way.
    Until(usize),
    /// Until all are there that set one of these barriers, a bit each.
    Barriers(u32),
}

/// A program: its instructions, and the places of its labels among them.
#[derive(Debug, Default)]
pub struct Program {
    instructions: Vec<Instruction>,
    labels: BTreeMap<String, usize>,
}

/// The counts of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// The main loop: the innermost loop with the most multiply-adds. If no innermost loop has any, the loop with the
    /// most that holds no other loop with any. `None` if no loop has any.
    pub main_loop: Option<Loop>,
    /// The innermost loop that loads the most from buffers. `None` if no innermost loop loads.
    pub loading_loop: Option<Loop>,
    /// The loads from buffers of at most 32, 64 and 128 bits.
    pub loads: [u32; 3],
    /// The waits for one load, with no other under way.
    pub lone_waits: u32,
}

/// The counts of a loop's body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loop {
    /// The number of instructions.
    pub instructions: u32,
    /// The number of those that multiply and add floating-point numbers.
    pub multiply_adds: u32,
    /// The number of those of matrix units, and of loads from workgroup memory.
    pub matrices: u32,
    pub operands: u32,
    /// The bits that its loads bring from buffers to an invocation.
    pub loaded_bits: u32,
}

impl Loop {
    /// Returns the share of the multiply-adds, or of matrix units' instructions and their loads, in percent.
    pub fn share(&self) -> f64 {
        let counted = if self.matrices > 0 { self.matrices + self.operands } else { self.multiply_adds };
        100.0 * f64::from(counted) / f64::from(self.instructions)
    }
}

impl Program {
    /// Reads the assembly among a driver's texts; `None` if there is none in a known form.
    pub fn read(texts: &[(String, String)]) -> Option<Program> {
        texts.iter().find_map(|(name, text)| {
            let read: fn(&str, &mut Program) = match name.as_str() {
                "Assembly" => amd,
                "NAK assembly" => nvidia,
                "IR3 Assembly" => adreno,
                _ => return None,
            };
            let mut program = Program::default();
            text.lines().for_each(|line| read(line.trim(), &mut program));
            Some(program)
        })
    }

    fn label(&mut self, name: &str) {
        self.labels.insert(name.to_owned(), self.instructions.len());
    }

    /// Returns the counts.
    pub fn counts(&self) -> Counts {
        let [main_loop, loading_loop] = self.loops();
        let mut counts = Counts { main_loop, loading_loop, ..Counts::default() };
        let mut under_way: Vec<Load> = Vec::new();
        for instruction in &self.instructions {
            let before = under_way.len();
            match instruction.wait {
                Some(Wait::Until(left)) => drop(under_way.drain(..before.saturating_sub(left))),
                Some(Wait::Barriers(bits)) => under_way.retain(|load| (bits >> load.barrier) & 1 == 0),
                None => (),
            }
            counts.lone_waits += u32::from(before == 1 && under_way.is_empty());
            if let Some(load) = instruction.load {
                counts.loads[usize::from(load.bits > 32) + usize::from(load.bits > 64)] += 1;
                under_way.push(load);
            }
        }
        counts
    }

    /// Returns the main loop and the loading loop.
    fn loops(&self) -> [Option<Loop>; 2] {
        let blocks = self.blocks();
        let next: Vec<Vec<usize>> = blocks.iter().map(|block| self.next(&blocks, block)).collect();
        let mut before = vec![Vec::new(); blocks.len()];
        for (block, next) in next.iter().enumerate() {
            next.iter().for_each(|&next| before[next].push(block));
        }
        let reached = walk(&next, [0], None);
        let mut loops: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for &head in &reached {
            // Blocks that are reached only through a head, and go back to it, close its loop.
            let around = walk(&next, [0], Some(head));
            let through = |block: &usize| reached.contains(block) && !around.contains(block);
            let last: Vec<usize> = before[head].iter().copied().filter(through).collect();
            if !last.is_empty() {
                let mut body = walk(&before, last, Some(head));
                body.insert(head);
                loops.insert(head, body);
            }
        }
        let count = |body: &BTreeSet<usize>| {
            let body = body.iter().flat_map(|&block| &self.instructions[blocks[block].clone()]);
            body.fold(Loop::default(), |sum, instruction| Loop {
                instructions: sum.instructions + instruction.count,
                multiply_adds: sum.multiply_adds + instruction.multiply_adds,
                matrices: sum.matrices + instruction.matrices,
                operands: sum.operands + instruction.operands,
                loaded_bits: sum.loaded_bits + instruction.load.map_or(0, |load| load.bits),
            })
        };
        let heads = |least: u32| -> Vec<usize> {
            loops.iter().filter(|(_, body)| count(body).multiply_adds >= least).map(|(&head, _)| head).collect()
        };
        // The loop with the most of what is counted, of those that hold none of these heads but their own.
        let most = |heads: &[usize], of: fn(&Loop) -> u32| {
            let inner =
                loops.iter().filter(|(own, body)| heads.iter().all(|head| head == *own || !body.contains(head)));
            inner.map(|(_, body)| count(body)).filter(|body| of(body) > 0).max_by_key(of)
        };
        let multiply_adds = |body: &Loop| body.multiply_adds;
        let main = most(&heads(0), multiply_adds).or_else(|| most(&heads(1), multiply_adds));
        [main, most(&heads(0), |body| body.loaded_bits)]
    }

    /// Returns the basic blocks: instructions that are entered at the first and left at the last.
    fn blocks(&self) -> Vec<Range<usize>> {
        let ends = |(at, instruction): (usize, &Instruction)| {
            (instruction.jump.is_some() || instruction.leaves).then_some(at + 1)
        };
        let mut cuts: BTreeSet<usize> = self.instructions.iter().enumerate().filter_map(ends).collect();
        cuts.extend(self.labels.values());
        cuts.extend([0, self.instructions.len()]);
        let cuts: Vec<usize> = cuts.into_iter().collect();
        cuts.windows(2).map(|cuts| cuts[0]..cuts[1]).collect()
    }

    /// Returns the blocks that follow a block.
    fn next(&self, blocks: &[Range<usize>], block: &Range<usize>) -> Vec<usize> {
        let last = &self.instructions[block.end - 1];
        let jump = last.jump.as_ref().and_then(|label| self.labels.get(label));
        let starts = jump.into_iter().chain((!last.leaves).then_some(&block.end));
        starts.filter_map(|&start| blocks.binary_search_by_key(&start, |block| block.start).ok()).collect()
    }
}

/// Returns the blocks that are reached from these, themselves included, without a block.
fn walk(next: &[Vec<usize>], from: impl IntoIterator<Item = usize>, without: Option<usize>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<usize> = from.into_iter().collect();
    while let Some(block) = open.pop() {
        if Some(block) != without && block < next.len() && reached.insert(block) {
            open.extend(&next[block]);
        }
    }
    reached
}

fn starts(name: &str, with: &[&str]) -> bool {
    with.iter().any(|start| name.starts_with(start))
}

/// Reads a line of ACO's: `v_fmac_f32_e32 v21, v53, v37 ; 562a4b35`, `BB2:`.
fn amd(line: &str, program: &mut Program) {
    const NAMES: [&str; 8] = ["v_", "s_", "ds_", "buffer_", "global_", "flat_", "image_", "scratch_"];
    const MULTIPLY_ADDS: [&str; 5] = ["v_fma", "v_pk_fma", "v_mad_f", "v_mac_f", "v_wmma"];
    let line = line.split(';').next().unwrap_or_default().trim();
    if let Some(label) = line.strip_suffix(':') {
        return program.label(label);
    }
    let Some(name) = line.split_whitespace().next().filter(|name| starts(name, &NAMES)) else { return };
    // RDNA 3 has lines for two instructions: `v_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6`.
    let halves: Vec<String> = line.split("::").map(|half| half.trim().replace("v_dual_", "v_")).collect();
    let load = starts(name, &["buffer_load", "global_load", "flat_load"]).then(|| {
        let width = name.rsplit('_').next().unwrap_or_default();
        let bits = match width {
            "b128" | "dwordx4" | "b96" | "dwordx3" => 128,
            "b64" | "dwordx2" => 64,
            _ => 32,
        };
        Load { bits, barrier: 0 }
    });
    let wait = line.split("vmcnt(").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
    let jump = starts(name, &["s_branch", "s_cbranch"]).then(|| line.rsplit(' ').next().unwrap_or_default().to_owned());
    program.instructions.push(Instruction {
        count: halves.len() as u32,
        multiply_adds: halves.iter().filter(|half| starts(half, &MULTIPLY_ADDS)).count() as u32,
        matrices: u32::from(starts(name, &["v_wmma"])),
        operands: u32::from(starts(name, &["ds_load", "ds_read"])),
        load,
        wait: wait.map(Wait::Until),
        jump,
        leaves: ["s_branch", "s_endpgm"].contains(&name),
    });
}

/// Reads a line of NAK's: `r40 = ffma.ftz r1 r64 r40 // delay=1 wt=000011`, `block.u 13 L20 [11, 12] -> {`.
fn nvidia(line: &str, program: &mut Program) {
    let (text, schedule) = line.split_once("//").unwrap_or((line, ""));
    let words: Vec<&str> = text.split_whitespace().collect();
    if let ["block" | "block.u", _, label, ..] = words[..] {
        return program.label(label);
    }
    // The scheduling marks instructions.
    let field = |name: &str| schedule.split_whitespace().find_map(|word| word.strip_prefix(name));
    if field("delay=").is_none() {
        return;
    }
    let conditional = words.first().is_some_and(|word| word.starts_with('@'));
    let results = words.iter().position(|&word| word == "=").map(|at| at + 1);
    let mut words = words.into_iter().skip(results.unwrap_or(usize::from(conditional)));
    let Some(name) = words.next() else { return };
    let operands: Vec<&str> = words.collect();
    let load = name.starts_with("ld.global").then(|| {
        let bits = name.split('.').find_map(|part| part.strip_prefix('b')?.parse().ok());
        Load { bits: bits.unwrap_or(32), barrier: field("wr:").and_then(|at| at.parse().ok()).unwrap_or(0) }
    });
    let jump = (name == "bra").then(|| operands.last().copied().unwrap_or_default().to_owned());
    let always = !conditional && operands.first() == Some(&"pT");
    program.instructions.push(Instruction {
        count: 1,
        multiply_adds: u32::from(starts(name, &["ffma", "hfma2", "hmma"])),
        matrices: u32::from(starts(name, &["hmma"])),
        operands: u32::from(starts(name, &["ldsm", "ld.shared"])),
        load,
        wait: field("wt=").and_then(|bits| u32::from_str_radix(bits, 2).ok()).map(Wait::Barriers),
        leaves: jump.is_some() && always || name == "exit" && !conditional,
        jump,
    });
}

/// Reads a line of ir3's: `(sy)(rpt1)mad.f32 r6.y, (r)r9.y, r7.y, (r)r6.y`, `l942:`.
fn adreno(line: &str, program: &mut Program) {
    if let Some(label) = line.strip_suffix(':').filter(|label| !label.contains(' ')) {
        return program.label(label);
    }
    let mut text = line;
    let mut flags = Vec::new();
    while let Some((flag, rest)) = text.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        flags.push(flag);
        text = rest.trim_start();
    }
    let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
    if !name.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return;
    }
    let count = 1 + flags.iter().find_map(|flag| flag.strip_prefix("rpt")?.parse().ok()).unwrap_or(0);
    let components = match name.split('.').next().unwrap_or_default() {
        // Through the texture unit: `isam.v.base0 (u32)(xyzw)r9.x, r8.w, s#0, t#1`.
        "isam" => {
            let mask = |part: &&str| !part.is_empty() && part.chars().all(|letter| "xyzw".contains(letter));
            operands.split(['(', ')']).find(mask).map(|mask| mask.len() as u32)
        }
        // `ldib.b.untyped.1d.u32.4.imm.base0 r4.x, r3.w, 9`.
        "ldib" => name.split('.').find_map(|part| part.parse().ok()),
        // `ldg.u32 r0.x, g[r1.x], 4`.
        "ldg" => operands.rsplit(' ').next().and_then(|count| count.parse().ok()),
        _ => None,
    };
    let jump = operands.rsplit(' ').next().and_then(|last| last.strip_prefix('#'));
    program.instructions.push(Instruction {
        count,
        multiply_adds: if name.starts_with("mad.f") { count } else { 0 },
        // No driver of an Adreno offers matrix units.
        matrices: 0,
        operands: 0,
        load: components.map(|components| Load { bits: 32 * components, barrier: 0 }),
        wait: flags.contains(&"sy").then_some(Wait::Until(0)),
        jump: jump.map(str::to_owned),
        leaves: ["jump", "end"].contains(&name),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(name: &str, text: &str) -> Counts {
        let texts = [("NIR".to_owned(), String::new()), (name.to_owned(), text.to_owned())];
        Program::read(&texts).expect("its form is known").counts()
    }

    #[test]
    fn amd_loops_are_entered_in_their_middle() {
        let text = "BB0:
    buffer_load_b128 v[28:31], v24, s[28:31], 0 offen ; e05c0000
    s_waitcnt vmcnt(0) ; bf8903f7
    buffer_load_b32 v1, v24, s[28:31], 0 offen ; e05c0000
    buffer_load_dwordx2 v[2:3], v24, s[28:31], 0 offen ; e05c0000
    s_waitcnt vmcnt(1) ; bf8903f7
    s_waitcnt vmcnt(0) lgkmcnt(0) ; bf8903f7
    s_branch BB2
BB1:
    v_fmac_f32_e32 v21, v53, v37 ; 562a4b35
    v_dual_fmac_f32 v1, v2, v3 :: v_dual_mul_f32 v4, v5, v6
BB2:
    v_cmpx_le_u32_e32 s15, v11
    s_cbranch_scc1 BB1
BB3:
    v_fma_f32 v1, v2, v3, v4
    s_endpgm";
        let main_loop = Some(Loop { instructions: 5, multiply_adds: 2, ..Loop::default() });
        assert_eq!(counts("Assembly", text), Counts { main_loop, loading_loop: None, loads: [1, 1, 1], lone_waits: 2 });
    }

    #[test]
    fn matrix_units_count_with_their_loads() {
        let text = "BB1:
    ds_load_b64 v[56:57], v9 ; d9d80000
    v_wmma_f32_16x16x16_f16 v[4:7], v[56:63], v[88:95], v[4:7] ; cc404004
    v_fma_mixlo_f16 v1, v2, v3, v4
    s_cbranch_scc1 BB1
    s_endpgm";
        let main_loop = counts("Assembly", text).main_loop.expect("it multiplies");
        assert_eq!((main_loop.multiply_adds, main_loop.matrices, main_loop.operands), (2, 1, 1));
        assert!((main_loop.share() - 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_loop_without_arithmetic_loads() {
        let text = "BB0:
    v_fma_f32 v1, v2, v3, v4
BB1:
    buffer_load_b128 v[28:31], v24, s[28:31], 0 offen ; e05c0000
    buffer_load_b32 v1, v24, s[28:31], 0 offen ; e05c0000
    s_waitcnt vmcnt(0) ; bf8903f7
    s_cbranch_scc1 BB1
    s_endpgm";
        let counted = counts("Assembly", text);
        let body = Loop { instructions: 4, loaded_bits: 160, ..Loop::default() };
        assert_eq!((counted.main_loop, counted.loading_loop), (None, Some(body)));
    }

    #[test]
    fn nvidia_waits_name_barriers() {
        let text = "block.u 0 L1 [] -> {
    r0 = ld.global.a64.constant.b128 [r4..6], p1 // delay=2 wr:3
    r1 = ld.global.a64.constant.b32 [r4..6] // delay=2 wr:0
    r2 = iadd3 r0 r1 rZ // delay=1 wt=001000
    r2 = iadd3 r1 r1 rZ // delay=1 wt=000001
} -> [1]
block 1 L2 [0, 2] -> {
@!p1 bra pT L4 // delay=1
} -> [2, 3]
block 2 L3 [1] -> {
    r40 = ffma.ftz r1 r64 r40 // delay=1
    bra pT L2 // delay=1
} -> [1]
block 3 L4 [1] -> {
    exit // delay=1
} -> []";
        let main_loop = Some(Loop { instructions: 3, multiply_adds: 1, ..Loop::default() });
        assert_eq!(
            counts("NAK assembly", text),
            Counts { main_loop, loading_loop: None, loads: [1, 0, 1], lone_waits: 1 }
        );
    }

    #[test]
    fn adreno_repeats_instructions() {
        let text = "; num_ubos: 0
@in(r48.x)	in0 (wrmask=0x7)
isam.v.base0 (u32)(xyzw)r9.x, r8.w, s#0, t#1
(sy)mov.f32f32 r0.w, c16.y
ldib.b.untyped.1d.u32.2.imm.base0 r4.x, r3.w, 9
l942:
(ss)(rpt1)mad.f32 r6.y, (r)r9.y, r7.y, (r)(last)r6.y
(nop2) mad.f32 r4.x, r4.z, r4.z, c9.w
br !p0.z, #l950
jump #l942
l950:
end";
        let main_loop = Some(Loop { instructions: 5, multiply_adds: 3, ..Loop::default() });
        assert_eq!(
            counts("IR3 Assembly", text),
            Counts { main_loop, loading_loop: None, loads: [0, 1, 1], lone_waits: 1 }
        );
    }
}
