//! What a self-test found.

use std::fmt;

/// What a self-test found on an adapter.
#[derive(Clone, Debug)]
pub struct Report {
    /// The adapter and its driver.
    pub adapter: wgpu::AdapterInfo,
    /// The tiers that were run.
    pub tiers: Vec<&'static str>,
    /// One for each operation.
    pub ops: Vec<OpReport>,
}

/// What it found of one operation.
#[derive(Clone, Debug)]
pub struct OpReport {
    /// The operation.
    pub op: &'static str,
    /// How many cases were run.
    pub cases: usize,
    /// How many different kernels: shaders with their constants and the places of their tensors, over all tiers.
    pub kernels: usize,
    /// The largest error, as a part of what is tolerated there: 1 is as much as that.
    pub worst: f64,
    /// What was wrong, at most a hundred.
    pub failures: Vec<Failure>,
    /// How often something was wrong.
    pub failed: usize,
}

/// A case that didn't come out right.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The case.
    pub case: String,
    /// The tier.
    pub tier: &'static str,
    /// The kernel, or that it was the planner's choice.
    pub kernel: String,
    /// What was wrong.
    pub problem: String,
}

impl Report {
    /// Whether something ran, and all came out right.
    pub fn passed(&self) -> bool {
        !self.ops.is_empty() && self.ops.iter().all(OpReport::passed)
    }
}

impl OpReport {
    /// Whether something ran, and all came out right.
    pub fn passed(&self) -> bool {
        self.cases > 0 && self.failed == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ops.iter().try_for_each(|op| writeln!(f, "{op}"))?;
        let failed: Vec<&str> = self.ops.iter().filter(|op| !op.passed()).map(|op| op.op).collect();
        let cases: usize = self.ops.iter().map(|op| op.cases).sum();
        let kernels: usize = self.ops.iter().map(|op| op.kernels).sum();
        write!(f, "{} operations, {cases} cases, {kernels} kernels: ", self.ops.len())?;
        match failed[..] {
            [] => f.write_str("passed"),
            _ => write!(f, "FAILED in {}", failed.join(", ")),
        }
    }
}

impl fmt::Display for OpReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        let (cases, kernels, worst) = (self.cases, self.kernels, 100.0 * self.worst);
        write!(
            f,
            "{:<20} {cases:>4} cases {kernels:>4} kernels   worst {worst:>5.1} % of tolerance   {verdict}",
            self.op
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
