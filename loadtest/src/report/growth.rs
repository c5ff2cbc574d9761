//! Figures against a size.

use super::markup::{Cell, Markup, table};
use super::plot::{Line, Plot};
use super::scale::{Kind, Scale};
use super::sections::plain;
use crate::results::Growth;
use crate::results::metrics::unit;
use crate::show;
use std::collections::BTreeSet;

/// Sizes that lie further apart than this are shown by powers of ten.
const LOG_FROM: f64 = 30.0;

/// A plot per metric, and all of it as a table.
pub(super) fn growth(out: &mut Markup, growth: &Growth) {
    out.element("h3", "", &format!("By {}", growth.x.replace('_', " ")));
    if !growth.explanation.is_empty() {
        out.element("p", "", &growth.explanation);
    }
    let metrics: BTreeSet<&str> = growth.points.iter().flat_map(|point| point.figures.keys().map(String::as_str)).collect();
    let sizes = || growth.points.iter().map(|point| point.value);
    let (low, high) = sizes().fold((f64::INFINITY, 0.0_f64), |(low, high), size| (low.min(size), high.max(size)));
    let log = low > 0.0 && high / low >= LOG_FROM;
    out.raw("<div class=\"plots\">");
    for metric in &metrics {
        let points = growth.points.iter().map(|point| (point.value, point.figures.get(*metric).copied()));
        let plot = Plot {
            title: (*metric).to_owned(),
            x_label: growth.x.replace('_', " "),
            y_label: unit(metric).to_owned(),
            x: if log { Scale::over(Kind::Log, sizes()) } else { Scale::over(Kind::Linear, sizes()) },
            y: Kind::Linear,
            lines: vec![Line { name: (*metric).to_owned(), points: points.collect() }],
            begins: Vec::new(),
            dots: true,
        };
        plot.draw(out);
    }
    out.raw("</div>\n");
    let heads: Vec<String> = metrics.iter().map(|metric| format!("{metric} ({})", unit(metric))).collect();
    let heads: Vec<&str> = [growth.x.as_str()].into_iter().chain(heads.iter().map(String::as_str)).collect();
    let rows = growth.points.iter().map(|point| {
        let figures = metrics
            .iter()
            .map(|metric| point.figures.get(*metric).map_or_else(|| Cell::number("–"), |figure| Cell::number(&plain(metric, *figure))));
        [Cell::number(&size(point.value))].into_iter().chain(figures).collect()
    });
    table(out, &heads, rows.collect());
}

/// A size, which mostly is a whole number.
fn size(value: f64) -> String {
    if value.fract() == 0.0 && value < 1e9 { show::grouped(&format!("{value:.0}")) } else { show::figure(value) }
}
