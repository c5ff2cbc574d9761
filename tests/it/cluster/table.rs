//! What a campaign found, as a row of a table.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verdict::Verdict;

/// The head of the table.
const HEAD: &str = "| fault | rounds | commands acknowledged | lost | by an old epoch | doubled | gaps, reorders | stuck | pauses | p50 | p99 | longest | REST calls | repeated | failed |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// A row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) fault: &'static str,
    pub(super) rounds: usize,
    pub(super) verdict: Verdict,
    /// Of rooms that the fault concerned.
    pub(super) pauses: Vec<Duration>,
    /// From a command's making to its acknowledgement.
    pub(super) latencies: Vec<Duration>,
    pub(super) took: Duration,
    pub(super) reconnects: u32,
    pub(super) calls: u64,
    pub(super) repeated: u64,
    pub(super) failed: Vec<String>,
    pub(super) noted: BTreeMap<String, u64>,
}

impl Row {
    /// Prints it, and what stands behind it.
    pub(super) fn show(&self) {
        let (verdict, pauses) = (&self.verdict, sorted(&self.pauses));
        eprintln!("{HEAD}");
        eprintln!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            self.fault,
            self.rounds,
            self.latencies.len(),
            verdict.lost,
            verdict.old_epoch,
            verdict.doubled,
            verdict.order,
            verdict.stuck,
            pauses.len(),
            ms(&pauses, 50),
            ms(&pauses, 99),
            ms(&pauses, 100),
            self.calls,
            self.repeated,
            self.failed.len(),
        );
        let latencies = sorted(&self.latencies);
        eprintln!(
            "{}: {:.0?}, {:.0} commands/s; acknowledged after p50 {}, p99 {}, at most {}; {} connections; refusals and the like: {:?}",
            self.fault,
            self.took,
            latencies.len() as f64 / self.took.as_secs_f64().max(0.001),
            ms(&latencies, 50),
            ms(&latencies, 99),
            ms(&latencies, 100),
            self.reconnects,
            self.noted,
        );
        for example in verdict.examples.iter().take(20) {
            eprintln!("{}: {}", self.fault, example.chars().take(600).collect::<String>());
        }
        for failed in self.failed.iter().take(5) {
            eprintln!("{}: a REST call failed: {}", self.fault, failed.chars().take(400).collect::<String>());
        }
    }
}

fn sorted(times: &[Duration]) -> Vec<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
}

/// A percentile of sorted times in milliseconds.
fn ms(sorted: &[Duration], percent: usize) -> String {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or_else(|| "–".to_owned(), |time| format!("{} ms", time.as_millis()))
}
