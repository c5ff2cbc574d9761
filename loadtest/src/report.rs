//! A result as one HTML file that needs nothing else: no network, no script, light and dark as the reader has it.
//!
//! Owns how a result is shown; what the figures mean is in [`crate::results`]. Promises that every text of a result is escaped.

mod growth;
mod markup;
mod plot;
mod scale;
mod sections;
mod series;
mod style;
#[cfg(test)]
mod tests;

use crate::results::RunResult;
use anyhow::Context;
use markup::{Cell, Markup, table};
use std::path::{Path, PathBuf};

/// What `report` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Results of runs.
    #[arg(required = true)]
    pub results: Vec<PathBuf>,
    /// The page to write.
    #[arg(short, long, default_value = "report.html")]
    pub output: PathBuf,
}

/// Runs the subcommand.
///
/// # Errors
/// When a result cannot be read, or the page not be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let read = |path: &PathBuf| Ok((name(path), RunResult::read(path)?));
    let results = options.results.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    std::fs::write(&options.output, html(&results)).with_context(|| format!("cannot write {}", options.output.display()))
}

/// The page of some results, each with the name of its file.
#[must_use]
pub fn html(results: &[(String, RunResult)]) -> String {
    let title = match results {
        [(_, one)] => format!("{}: {}", one.scenario.name, one.outcome.exit_code.title()),
        several => format!("{} load tests", several.len()),
    };
    let mut body = Markup::default();
    if results.len() > 1 {
        body.element("h1", "", &title);
        overview(&mut body, results);
    }
    for (index, (file, result)) in results.iter().enumerate() {
        body.raw(&format!("<article id=\"r{index}\">"));
        sections::result(&mut body, file, result);
        body.raw("</article>");
    }
    style::page(&title, &body)
}

/// One line a result.
fn overview(out: &mut Markup, results: &[(String, RunResult)]) {
    let rows = results.iter().enumerate().map(|(index, (file, result))| {
        let metrics = result.metrics();
        let mut row =
            vec![Cell::link(format!("#r{index}"), file), Cell::text(&result.scenario.name), sections::badge(result.outcome.exit_code)];
        row.extend(
            sections::HEADLINES
                .map(|(metric, _)| metrics.get(metric).map_or_else(|| Cell::number("–"), |figure| sections::shown(metric, *figure))),
        );
        row
    });
    let heads = ["file", "scenario", "verdict"].into_iter().chain(sections::HEADLINES.map(|(_, title)| title));
    table(out, &heads.collect::<Vec<_>>(), rows.collect());
}

fn name(path: &Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}
