//! Counts in the assembly that a driver prints: by the names of instructions, in the order of the text.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// A line of assembly, reduced to what is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instruction {
    /// The number of instructions that the line stands for: pairs and repetitions are more than one.
    count: u32,
    /// The number of those that multiply and add.
    multiply_adds: u32,
    /// The bits that a load from global memory brings to each invocation.
    load: Option<u32>,
    /// The wait for earlier loads.
    wait: Option<Wait>,
    /// The label that the instruction jumps to.
    jump: Option<String>,
    /// True if the next instruction isn't reached.
    leaves: bool,
    /// The names of the load's barrier and of the ones waited for, on machines that have several.
    sets: Option<u32>,
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
    /// The main loop: the innermost loop with the most multiply-adds. `None` if no loop has any.
    pub main_loop: Option<Loop>,
    /// The loads from global memory of at most 32, 64 and 128 bits.
    pub loads: [u32; 3],
    /// The waits for one load, with no other load under way.
    pub lone_waits: u32,
}

/// The counts of a loop's body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loop {
    pub instructions: u32,
    pub multiply_adds: u32,
}

impl Program {
    /// Reads the assembly of the driver's texts; `None` if it gives none that is known.
    pub fn read(texts: &[(String, String)]) -> Option<Program> {
        let (name, text) = texts.iter().find(|(name, _)| name.ends_with("ssembly"))?;
        let line: fn(&str, &mut Program) = match name.as_str() {
            "Assembly" => amd,
            "NAK assembly" => nvidia,
            "IR3 Assembly" => adreno,
            _ => return None,
        };
        let mut program = Program::default();
        text.lines().for_each(|text| line(text.trim(), &mut program));
        Some(program)
    }

    fn label(&mut self, name: &str) {
        self.labels.insert(name.to_owned(), self.instructions.len());
    }

    /// Returns the counts.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { main_loop: self.main_loop(), ..Counts::default() };
        // The barriers of the loads under way; 0 on machines that count them.
        let mut flying: Vec<u32> = Vec::new();
        for instruction in &self.instructions {
            let before = flying.len();
            match instruction.wait {
                Some(Wait::Until(left)) => drop(flying.drain(..before.saturating_sub(left))),
                Some(Wait::Barriers(bits)) => flying.retain(|barrier| bits >> barrier & 1 == 0),
                None => (),
            }
            counts.lone_waits += u32::from(before == 1 && flying.is_empty());
            if let Some(bits) = instruction.load {
                counts.loads[usize::from(bits > 32) + usize::from(bits > 64)] += 1;
                flying.push(instruction.sets.unwrap_or(0));
            }
        }
        counts
    }

    /// Returns the counts of the innermost loop with the most multiply-adds.
    fn main_loop(&self) -> Option<Loop> {
        let blocks = self.blocks();
        let next: Vec<Vec<usize>> = blocks.iter().map(|block| self.next(&blocks, block)).collect();
        let mut before = vec![Vec::new(); blocks.len()];
        for (block, next) in next.iter().enumerate() {
            next.iter().for_each(|&next| before[next].push(block));
        }
        let reached = walk(&next, [0], None);
        // A loop's head is on every way to the blocks that go back to it.
        let mut loops: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for head in reached.iter().copied() {
            let around = if head == 0 { BTreeSet::new() } else { walk(&next, [0], Some(head)) };
            let back = before[head].iter().copied().filter(|block| reached.contains(block) && !around.contains(block));
            let mut body = walk(&before, back, Some(head));
            if before[head].iter().any(|block| body.contains(block) || *block == head) {
                body.insert(head);
                loops.insert(head, body);
            }
        }
        let inner = |own: usize, body: &BTreeSet<usize>| loops.keys().all(|&head| head == own || !body.contains(&head));
        let counted = loops.iter().filter(|&(&own, body)| inner(own, body)).map(|(_, body)| {
            let body = body.iter().flat_map(|&block| &self.instructions[blocks[block].clone()]);
            body.fold(Loop::default(), |sum, instruction| Loop {
                instructions: sum.instructions + instruction.count,
                multiply_adds: sum.multiply_adds + instruction.multiply_adds,
            })
        });
        counted.filter(|body| body.multiply_adds > 0).max_by_key(|body| body.multiply_adds)
    }

    /// Returns the basic blocks: instructions that are entered at the first and left at the last.
    fn blocks(&self) -> Vec<Range<usize>> {
        let ends = |(at, instruction): (usize, &Instruction)| {
            (instruction.jump.is_some() || instruction.leaves).then_some(at + 1)
        };
        let mut cuts: BTreeSet<usize> = self.instructions.iter().enumerate().filter_map(ends).collect();
        cuts.extend(self.labels.values());
        cuts.extend([0, self.instructions.len()]);
        let cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= self.instructions.len()).collect();
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

/// Returns the blocks that are reached from these, themselves included, without one.
fn walk(
    next: &[Vec<usize>],
    from: impl IntoIterator<Item = usize>,
    without: Option<usize>,
) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<usize> = from.into_iter().collect();
    while let Some(block) = open.pop() {
        if Some(block) != without && reached.insert(block) {
            open.extend(&next[block]);
        }
    }
    reached
}

impl Loop {
    /// Returns the share of the multiply-adds, in percent.
    pub fn share(&self) -> f64 {
        100.0 * f64::from(self.multiply_adds) / f64::from(self.instructions)
    }
}

fn starts(name: &str, with: &[&str]) -> bool {
    with.iter().any(|start| name.starts_with(start))
}

/// Reads a line of ACO's: `v_fmac_f32_e32 v1, v2, v3 ; 56020702`, `BB2:`.
fn amd(line: &str, program: &mut Program) {
    let line = line.split(';').next().unwrap_or_default().trim();
    if let Some(label) = line.strip_suffix(':') {
        return program.label(label);
    }
    let Some(name) = line.split_whitespace().next().filter(|name| starts(name, &AMD_NAMES)) else { return };
    // An instruction of RDNA 3 for two: `v_dual_fmac_f32 .. :: v_dual_mul_f32 ..`.
    let halves = line.split("::").map(str::trim).map(|half| half.strip_prefix("v_dual_").unwrap_or(half));
    let multiply_adds = halves.clone().filter(|half| starts(half.strip_prefix("v_").unwrap_or(half), &AMD_MULTIPLY_ADDS));
    let load = starts(name, &["buffer_load", "global_load", "flat_load", "image_load"]).then(|| {
        let wide = |names: [&str; 2]| names.iter().any(|width| name.ends_with(width));
        match () {
            () if wide(["b128", "dwordx4"]) || wide(["b96", "dwordx3"]) || name.starts_with("image_load") => 128,
            () if wide(["b64", "dwordx2"]) => 64,
            () => 32,
        }
    });
    let wait = line.split("vmcnt(").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
    let jump = starts(name, &["s_branch", "s_cbranch"]).then(|| line.rsplit(' ').next().unwrap_or_default().to_owned());
    program.instructions.push(Instruction {
        count: halves.count() as u32,
        multiply_adds: multiply_adds.count() as u32,
        load,
        wait: wait.map(Wait::Until),
        jump,
        leaves: starts(name, &["s_branch", "s_endpgm"]),
        sets: None,
    });
}

/// The first letters of AMD's instructions.
const AMD_NAMES: [&str; 8] = ["v_", "s_", "ds_", "buffer_", "global_", "flat_", "image_", "scratch_"];
const AMD_MULTIPLY_ADDS: [&str; 5] = ["fma", "pk_fma", "mad_f", "mac_f", "dot"];

/// Reads a line of NAK's: `@!p1 r1 = ffma.ftz r2 r3 r4 // delay=1 wt=000101 wr:0`, `block.u 13 L20 [11, 12] -> {`.
fn nvidia(line: &str, program: &mut Program) {
    let mut halves = line.split("//");
    let words: Vec<&str> = halves.next().unwrap_or_default().split_whitespace().collect();
    if let [block, _, label, ..] = words[..]
        && block.starts_with("block")
    {
        return program.label(label);
    }
    let Some(schedule) = halves.next() else { return };
    let field = |name: &str| schedule.split_whitespace().find_map(|word| word.strip_prefix(name));
    let conditional = words.first().is_some_and(|word| word.starts_with('@'));
    let written = words.iter().position(|&word| word == "=").map(|at| at + 1);
    let at = written.unwrap_or(usize::from(conditional));
    let Some(name) = words.get(at) else { return };
    let wide = |widths: &[&str]| name.split('.').any(|part| widths.contains(&part));
    let load = starts(name, &["ld.global", "suld"]).then(|| match () {
        () if wide(&["b128"]) || name.starts_with("suld") => 128,
        () if wide(&["b64"]) => 64,
        () => 32,
    });
    let jumps = *name == "bra";
    program.instructions.push(Instruction {
        count: 1,
        multiply_adds: u32::from(starts(name, &["ffma", "hfma2", "idp4"])),
        load,
        wait: field("wt=").and_then(|bits| u32::from_str_radix(bits, 2).ok()).map(Wait::Barriers),
        jump: jumps.then(|| (*words.last().unwrap_or(name)).to_owned()),
        leaves: *name == "exit" || jumps && !conditional && words.get(at + 1) == Some(&"pT"),
        sets: field("wr:").and_then(|barrier| barrier.parse().ok()),
    });
}

/// Reads a line of ir3's: `(sy)(rpt1)mad.f32 r6.y, (r)r9.y, r7.y, (r)r6.y`, `l942:`.
fn adreno(line: &str, program: &mut Program) {
    if let Some(label) = line.strip_suffix(':').filter(|label| !label.contains(' ')) {
        return program.label(label);
    }
    let mut rest = line;
    let mut flags = Vec::new();
    while let Some((flag, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        flags.push(flag);
        rest = after;
    }
    let Some(name) = rest.split_whitespace().next().filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())) else {
        return;
    };
    let repeated = flags.iter().find_map(|flag| flag.strip_prefix("rpt")?.parse::<u32>().ok());
    let count = 1 + repeated.unwrap_or(0);
    let load = match name.split('.').next() {
        // A read through the texture unit names its components, `isam.v (u32)(xyzw)r9.x, ..`.
        Some("isam") => rest.split(['(', ')']).find(|part| !part.is_empty() && part.chars().all(|c| "xyzw".contains(c))),
        _ => None,
    };
    let components = match name.split('.').next() {
        Some("ldib") => name.split('.').find_map(|part| part.parse::<u32>().ok()),
        Some("ldg") => rest.rsplit(", ").next().and_then(|count| count.trim().parse().ok()),
        _ => load.map(|components| components.len() as u32),
    };
    let jump = rest.split_once('#').filter(|_| !rest.contains("s#")).map(|(_, label)| label.trim().to_owned());
    program.instructions.push(Instruction {
        count,
        multiply_adds: if starts(name, &["mad.f", "dp2acc", "dp4acc"]) { count } else { 0 },
        load: components.map(|components| 32 * components),
        wait: flags.contains(&"sy").then_some(Wait::Until(0)),
        jump,
        leaves: ["jump", "end"].contains(&name),
        sets: None,
    });
}
