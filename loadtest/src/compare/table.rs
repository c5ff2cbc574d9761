//! A comparison as text.

use super::{Change, Compared, Comparison};
use crate::results::metrics::unit;
use crate::show::figure;
use std::fmt::Write;

/// A table of what is judged; with `all`, of every metric. The worst come first.
#[must_use]
pub fn text(comparison: &Comparison, all: bool) -> String {
    let mut rows: Vec<&Compared> =
        comparison.metrics.iter().filter(|row| all || matches!(row.change, Change::Better | Change::Worse)).collect();
    rows.sort_by_key(|row| (order(row.change), row.metric.as_str()));
    let mut out = String::new();
    let cells: Vec<[String; 7]> = rows.iter().map(|row| cells(row)).collect();
    if !cells.is_empty() {
        let heads = ["metric", "before", "after", "change", "chance", "corrected", ""].map(str::to_owned);
        let width = |column: usize| cells.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        for row in [&heads].into_iter().chain(&cells) {
            let mut line = String::new();
            for ((column, cell), width) in (0..).zip(row).zip(widths) {
                // Writing to a string cannot fail; so below.
                let _ = if column == 0 || column == 6 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    for note in &comparison.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let count = |change| comparison.metrics.iter().filter(|row| row.change == change).count();
    let (better, worse, same) = (count(Change::Better), count(Change::Worse), count(Change::Same));
    let _ = writeln!(
        out,
        "{}: {worse} worse, {better} better, {same} without a difference",
        if comparison.worse { "worse" } else { "not worse" }
    );
    out
}

fn order(change: Change) -> u8 {
    match change {
        Change::Worse => 0,
        Change::Better => 1,
        Change::Same => 2,
        Change::Information => 3,
        Change::Unjudged => 4,
    }
}

fn cells(row: &Compared) -> [String; 7] {
    let side = |spread: &crate::results::Spread| {
        let median = figure(spread.median);
        if spread.count > 1 { format!("{median} [{} to {}]", figure(spread.min), figure(spread.max)) } else { median }
    };
    let unit = unit(&row.metric);
    [
        if unit.is_empty() { row.metric.clone() } else { format!("{} ({unit})", row.metric) },
        side(&row.before),
        side(&row.after),
        row.change_percent.map_or_else(|| "from 0".into(), |percent| format!("{percent:+.1} %")),
        row.chance.map_or_else(|| "?".into(), |chance| format!("{chance:.3}")),
        row.corrected.map_or_else(String::new, |chance| format!("{chance:.3}")),
        word(row.change).into(),
    ]
}

/// What a change is called.
fn word(change: Change) -> &'static str {
    match change {
        Change::Better => "better",
        Change::Worse => "WORSE",
        Change::Same => "no difference",
        Change::Information => "for information",
        Change::Unjudged => "not judged",
    }
}
