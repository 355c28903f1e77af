//! The report of a self-test.

use std::fmt;

/// The results of a self-test on an adapter.
#[derive(Clone, Debug)]
pub struct Results {
    /// The adapter and its driver.
    pub adapter: wgpu::AdapterInfo,
    /// The tiers that were run.
    pub tiers: Vec<&'static str>,
    /// The results of each operation.
    pub ops: Vec<OpReport>,
}

/// The results of one operation.
#[derive(Clone, Debug)]
pub struct OpReport {
    /// The operation.
    pub op: &'static str,
    /// The number of cases that were run.
    pub cases: usize,
    /// The number of different kernels: shaders with their constants and the layouts of their tensors, over all tiers.
    pub kernels: usize,
    /// The number of cases that ran a kernel with values stored as `f16`.
    pub in_f16: usize,
    /// The number of cases that ran a kernel for the device's matrix units.
    pub in_matrix_units: usize,
    /// The largest error, as a part of the tolerance at that element: 1 is the whole tolerance.
    pub worst: f64,
    /// The failures, at most a hundred.
    pub failures: Vec<Failure>,
    /// The number of failures.
    pub failed: usize,
}

/// A case with a wrong result.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case.
    pub case: String,
    /// The tier.
    pub tier: &'static str,
    /// The kernel, or `as planned` if the planner chose it.
    pub kernel: String,
    /// The problem.
    pub problem: String,
}

impl Results {
    /// Returns true if something ran, and every result was right.
    pub fn passed(&self) -> bool {
        !self.ops.is_empty() && self.ops.iter().all(OpReport::passed)
    }
}

impl OpReport {
    /// Returns true if something ran, and every result was right.
    pub fn passed(&self) -> bool {
        self.cases > 0 && self.failed == 0
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))?;
        let failed: Vec<&str> = self.ops.iter().filter(|op| !op.passed()).map(|op| op.op).collect();
        let sum = |of: fn(&OpReport) -> usize| self.ops.iter().map(of).sum::<usize>();
        let (cases, kernels) = (sum(|op| op.cases), sum(|op| op.kernels));
        let (halves, matrix) = (sum(|op| op.in_f16), sum(|op| op.in_matrix_units));
        let ops = self.ops.len();
        write!(f, "{ops} operations, {cases} cases ({halves} in f16, {matrix} in matrix units), {kernels} kernels: ")?;
        match failed[..] {
            [] => f.write_str("passed"),
            _ => write!(f, "FAILED in {}", failed.join(", ")),
        }
    }
}

impl fmt::Display for OpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        let OpReport { op, cases, in_f16, in_matrix_units, kernels, .. } = self;
        let worst = 100.0 * self.worst;
        write!(
            f,
            "{op:<20} {cases:>4} cases {in_f16:>4} in f16 {in_matrix_units:>4} in matrix units {kernels:>4} kernels   \
             worst {worst:>5.1} % of tolerance   {verdict}",
        )?;
        for failure in self.failures.iter().take(5) {
            write!(f, "\n    {failure}")?;
        }
        match self.failed {
            0..=5 => Ok(()),
            more => write!(f, "\n    and {} more", more - 5),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case \"{}\", tier {}, {}: {}", self.case, self.tier, self.kernel, self.problem)
    }
}
