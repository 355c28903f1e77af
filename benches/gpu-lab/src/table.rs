//! A machine's table: a row for each kernel, as text, so that tables of earlier versions can be compared.

use crate::Result;
use crate::assembly::{Counts, Program};
use crate::driver::Compiled;
use std::collections::BTreeMap;

/// The columns after the kernel's name and its constants. docs/gpu-lab.md explains them.
const COLUMNS: [&str; 12] = [
    "registers",
    "spills",
    "scratch",
    "workgroup_memory",
    "waves",
    "instructions",
    "multiply_adds",
    "share",
    "loads_32",
    "loads_64",
    "loads_128",
    "lone_waits",
];

/// A table as it is in a file.
#[derive(Debug, Default)]
pub struct Table {
    /// The first line: the machine, its driver and the driver's version.
    pub title: String,
    rows: BTreeMap<String, Vec<String>>,
}

impl Table {
    /// Creates an empty table.
    pub fn new(title: String) -> Table {
        Table { title, ..Table::default() }
    }

    /// Adds the row of a kernel.
    pub fn add(&mut self, kernel: &str, workgroup_memory: u32, compiled: &Compiled) {
        let sum = |names: &[&str]| {
            let found = compiled.statistics.iter().filter(|(name, _)| names.contains(&name.as_str()));
            found.map(|&(_, value)| value).reduce(|a, b| a + b)
        };
        // Apple's compiler reports the invocations that a core has room for.
        let waves = sum(&["Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core"]);
        let waves = waves.or_else(|| sum(&["Threads"]).map(|threads| threads / 32));
        let counts = Program::read(&compiled.texts).map(|program| program.counts());
        let main_loop = counts.and_then(|counts| counts.main_loop);
        let count = |count: fn(&Counts) -> u32| cell(counts.as_ref().map(count));
        let row = vec![
            cell(sum(&["VGPRs", "Number of GPRs", "GPRs", "Registers used"])),
            cell(sum(&["Spilled SGPRs", "Spilled VGPRs", "Spills to memory", "Spills", "STP Count", "LDP Count"])),
            cell(sum(&["Scratch size", "SLM size", "Scratch"])),
            workgroup_memory.to_string(),
            cell(waves),
            cell(sum(&["Instructions", "Instruction count", "Instruction Count"])),
            cell(main_loop.map(|body| body.multiply_adds)),
            cell(main_loop.map(|body| format!("{:.1}", body.share()))),
            count(|counts| counts.loads[0]),
            count(|counts| counts.loads[1]),
            count(|counts| counts.loads[2]),
            count(|counts| counts.lone_waits),
        ];
        self.rows.insert(kernel.to_owned(), row);
    }

    /// Returns true if the table has no kernel.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the table's text, tab-separated.
    pub fn text(&self) -> String {
        let mut text = format!("# {}\nkernel\tconstants\t{}\n", self.title, COLUMNS.join("\t"));
        for (kernel, row) in &self.rows {
            let (name, constants) = kernel.split_once(' ').unwrap_or((kernel, ""));
            text.push_str(&format!("{name}\t{constants}\t{}\n", row.join("\t")));
        }
        text
    }

    /// Reads a table's text. An empty text is an empty table.
    pub fn read(text: &str) -> Result<Table> {
        let mut lines = text.lines();
        let title = lines.next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let mut table = Table::new(title);
        for line in lines.skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [name, constants, row @ ..] = &cells[..] else { return Err(format!("no row: {line}").into()) };
            if row.len() != COLUMNS.len() {
                return Err(format!("{} columns instead of {}: {line}", row.len(), COLUMNS.len()).into());
            }
            let kernel = format!("{name} {constants}").trim_end().to_owned();
            table.rows.insert(kernel, row.iter().map(|&cell| cell.to_owned()).collect());
        }
        Ok(table)
    }

    /// Compares this table with an earlier one: a report, and the number of kernels that are worse, 0 for tables of
    /// different drivers.
    pub fn compare(&self, before: &Table) -> (String, usize) {
        let many = |column: &str| self.rows.values().filter(|row| value(row, column) > Some(0.0)).count();
        let mut report = format!(
            "{}: {} kernels, {} with spills, {} with scratch memory\n",
            self.title,
            self.rows.len(),
            many("spills"),
            many("scratch")
        );
        let same = self.title == before.title;
        if !same && !before.rows.is_empty() {
            report.push_str(&format!("  the committed table is of {}: not judged\n", before.title));
        }
        let (mut worse, mut new) = (0, 0);
        for (kernel, row) in &self.rows {
            let earlier = before.rows.get(kernel);
            new += usize::from(earlier.is_none());
            let mut changes = Vec::new();
            let mut bad = false;
            for (i, column) in COLUMNS.iter().enumerate() {
                let was = earlier.map(|row| row[i].as_str());
                let now = value(row, column);
                let is_worse = worse_by(column, earlier.and_then(|row| value(row, column)), now)
                    || now.is_some_and(|now| now < floor(&self.title, kernel, column));
                bad |= is_worse;
                if was.is_some_and(|was| was != row[i]) || is_worse {
                    let mark = if is_worse { ", worse" } else { "" };
                    changes.push(format!("{column} {} -> {}{mark}", was.unwrap_or_default(), row[i]));
                }
            }
            if !before.rows.is_empty() && !changes.is_empty() {
                report.push_str(&format!("  {kernel}: {}\n", changes.join("; ")));
                worse += usize::from(bad && same);
            }
        }
        if !before.rows.is_empty() {
            let gone = before.rows.keys().filter(|kernel| !self.rows.contains_key(*kernel)).count();
            report.push_str(&format!("  {new} new kernels, {gone} gone, {worse} worse\n"));
        }
        (report, worse)
    }
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn value(row: &[String], column: &str) -> Option<f64> {
    let at = COLUMNS.iter().position(|name| *name == column)?;
    row[at].parse().ok()
}

/// Returns what a kernel for matrix units must reach: eight waves; on AMD the share of the largest tile, of values in f16,
/// whose k fills it, and of attention's largest tile of heads of 64.
fn floor(title: &str, kernel: &str, column: &str) -> f64 {
    let has = |what: &[&str]| what.iter().all(|what| kernel.contains(what));
    let largest = has(&["BLOCKS_N=4 SPAN_M=4 ", " WHOLE=1 ", " f16=[1, 2"]) && title.starts_with("navi31");
    match column {
        "waves" if has(&["_matrix "]) => 8.0,
        "share"
            if title.starts_with("navi31") && has(&["attention_matrix ", " SPAN_M=2 ", " DEPTH=64 ", " f16=[1, 2"]) =>
        {
            12.0
        }
        "share" if largest && has(&[" POINT=1 "]) && !has(&["W_ROWS=1"]) => 71.0,
        "share" if largest && !has(&["W_ROWS=1"]) => 68.0,
        _ => 0.0,
    }
}

/// Returns true if a value is worse than before: more spills or scratch memory, also of a new kernel; a share of
/// multiply-adds lower by two points; fewer waves.
fn worse_by(column: &str, before: Option<f64>, now: Option<f64>) -> bool {
    match (column, before, now) {
        ("spills" | "scratch", before, Some(now)) => now > before.unwrap_or(0.0),
        ("share", Some(before), now) => now.unwrap_or(0.0) <= before - 2.0,
        ("waves", Some(before), Some(now)) => now < before,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(title: &str, spills: &str, waves: &str, share: &str) -> Table {
        let text = format!("# {title}\nkernel\n");
        let row = format!("gemm\tTILE_M=32 POINT=1\t60\t{spills}\t0\t5120\t{waves}\t726\t16\t{share}\t0\t0\t9\t1\n");
        Table::read(&(text + &row)).expect("it is a table")
    }

    #[test]
    fn a_table_is_read_as_it_is_written() {
        let written = table("a", "0", "12", "51.6").text();
        assert_eq!(Table::read(&written).expect("it is a table").text(), written);
    }

    #[test]
    fn only_worse_kernels_of_the_same_driver_count() {
        let before = table("a", "0", "12", "51.6");
        for (title, spills, waves, share, worse) in [
            ("a", "0", "12", "51.6", 0),
            ("a", "0", "14", "49.7", 0),
            ("a", "0", "12", "49.6", 1),
            ("a", "0", "12", "", 1),
            ("a", "2", "12", "51.6", 1),
            ("a", "0", "10", "51.6", 1),
            ("b", "2", "10", "40.0", 0),
        ] {
            let (report, found) = table(title, spills, waves, share).compare(&before);
            assert_eq!(found, worse, "{report}");
        }
        assert_eq!(table("a", "2", "10", "1.0").compare(&Table::default()).1, 0);
    }

    #[test]
    fn kernels_for_matrix_units_have_floors() {
        let whole = "gemm_matrix BLOCKS_M=2 BLOCKS_N=4 SPAN_M=4 SPAN_N=2 WHOLE=1 POINT=1 f16=[1, 2, 4]";
        assert_eq!(floor("navi31: radv", whole, "share"), 71.0);
        assert_eq!(floor("navi31: radv", &whole.replace("POINT=1", "POINT=0"), "share"), 68.0);
        for (title, kernel) in [("ga102: nvk", whole), ("navi31: radv", "gemm_matrix BLOCKS_N=4 SPAN_M=4 f16=[2]")] {
            assert_eq!((floor(title, kernel, "share"), floor(title, kernel, "waves")), (0.0, 8.0));
        }
        let attention =
            "attention_matrix SIDE=16 SPAN_M=2 SPAN_K=1 SPAN_V=2 DEPTH=64 LANES=256 VARYING=1 f16=[1, 2, 3, 4, 6]";
        assert_eq!((floor("navi31: radv", attention, "share"), floor("ga102: nvk", attention, "waves")), (12.0, 8.0));
        assert_eq!(floor("navi31: radv", "gemm TILE_M=32", "waves"), 0.0);
    }
}
