//! Adds up what the test binaries report.

use std::fmt;

/// Reads libtest's output line by line.
#[derive(Debug, Default)]
pub(super) struct Summary {
    totals: Totals,
    /// Tests of the binary that runs now, until its result line comes.
    pending: u64,
}

/// The sums. Displayed as the last lines of a test run, `N passed, N failed` alone on its line at the end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) passed: u64,
    /// Includes the tests of a binary that ended without a result (crash, kill), all of them.
    pub(super) failed: u64,
    pub(super) ignored: u64,
    /// Cargo failed without a failed test: the build, or a binary outside its tests. Counted in `failed` as one.
    pub(super) outside: bool,
}

impl Summary {
    /// Takes one line of output.
    pub(super) fn read(&mut self, line: &str) {
        if let Some(tests) = started(line) {
            self.totals.failed += self.pending;
            self.pending = tests;
        } else if let Some(result) = line.trim_end().strip_prefix("test result: ") {
            self.totals.passed += count(result, "passed");
            self.totals.failed += count(result, "failed");
            self.totals.ignored += count(result, "ignored");
            self.pending = 0;
        }
    }

    /// The sums, when the output has ended and it is known whether cargo was content.
    pub(super) fn finish(mut self, success: bool) -> Totals {
        self.totals.failed += self.pending;
        if !success && self.totals.failed == 0 {
            self.totals.outside = true;
            self.totals.failed = 1;
        }
        self.totals
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.outside {
            writeln!(f, "cargo failed though no test did (see above); counted as one failure")?;
        }
        if self.ignored > 0 {
            writeln!(f, "ignored and not run: {}", self.ignored)?;
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `running 12 tests`
fn started(line: &str) -> Option<u64> {
    let rest = line.trim_end().strip_prefix("running ")?;
    rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test"))?.parse().ok()
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s`
fn count(result: &str, what: &str) -> u64 {
    result.split([';', '.']).find_map(|part| part.trim().strip_suffix(what)?.trim_end().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(output: &str, success: bool) -> Totals {
        let mut summary = Summary::default();
        output.lines().for_each(|line| summary.read(line));
        summary.finish(success)
    }

    #[test]
    fn adds_up_binaries() {
        let output = "\
running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s

running 1 test
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 12.34s
";
        let totals = totals(output, false);
        assert_eq!(totals, Totals { passed: 2, failed: 1, ignored: 1, outside: false });
        assert_eq!(totals.to_string(), "ignored and not run: 1\n2 passed, 1 failed");
    }

    #[test]
    fn a_binary_that_died_counts_as_failed() {
        let died = "running 5 tests\ntest a ... ok\nrunning 1 test\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(totals(died, false), Totals { passed: 1, failed: 5, ..Totals::default() });
        assert_eq!(totals("running 2 tests\n", false).failed, 2);
    }

    #[test]
    fn a_failed_build_counts_as_one_failure() {
        let totals = totals("", false);
        assert_eq!(totals, Totals { failed: 1, outside: true, ..Totals::default() });
        assert!(totals.to_string().ends_with("\n0 passed, 1 failed"));
    }

    #[test]
    fn nothing_to_run_is_no_failure() {
        assert_eq!(totals("running 0 tests\n", true).to_string(), "0 passed, 0 failed");
    }
}
