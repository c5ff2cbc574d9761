//! The text of a view.

use crate::results::Second;
use crate::results::metrics::number;
use crate::show::{bytes, figure};
use std::collections::VecDeque;
use std::fmt::Write;

/// Seconds in a sparkline.
const SPARK_MAX: usize = 30;
/// Width of the bar of progress.
const BAR: u32 = 24;

/// The lines of a live view, with what they remember.
pub(super) struct Lines {
    scenario: String,
    seconds: f64,
    rates: VecDeque<f64>,
    acks: VecDeque<f64>,
    deliveries: VecDeque<f64>,
    /// The newest sample.
    last: Option<Second>,
}

impl Lines {
    pub(super) fn new(scenario: &str, seconds: f64) -> Self {
        Self {
            scenario: scenario.to_owned(),
            seconds,
            rates: VecDeque::new(),
            acks: VecDeque::new(),
            deliveries: VecDeque::new(),
            last: None,
        }
    }

    /// The lines while something else than load goes on; the last figures stay.
    pub(super) fn step(&self, what: &str) -> String {
        let figures = self.last.as_ref().map_or_else(String::new, |second| self.figures(second));
        format!("{} · {what}\n{figures}", self.scenario)
    }

    /// The lines after this sample, each with its end.
    pub(super) fn after(&mut self, second: Second) -> String {
        let rate = if second.deliveries_per_s > 0.0 { second.deliveries_per_s } else { second.acks_per_s.max(second.joins_per_s) };
        for (values, value) in [
            (&mut self.rates, rate),
            (&mut self.acks, second.ack_p99_ms.unwrap_or(0.0)),
            (&mut self.deliveries, second.delivery_p99_ms.unwrap_or(0.0)),
        ] {
            values.push_back(value);
            if values.len() > SPARK_MAX {
                values.pop_front();
            }
        }
        let Second { at_s, phase, .. } = &second;
        let (total, scenario) = (self.seconds, &self.scenario);
        let head = format!("{scenario} · {phase} · {at_s:.0} s of {total:.0} s  {}\n", bar(at_s / total));
        let text = head + &self.figures(&second);
        self.last = Some(second);
        text
    }

    fn figures(&self, second: &Second) -> String {
        let Second { commands_per_s, acks_per_s, deliveries_per_s, joins_per_s, .. } = second;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let [commands, acks, deliveries, joins] =
            [commands_per_s, acks_per_s, deliveries_per_s, joins_per_s].map(|rate| figure(rate.round()));
        let _ = writeln!(
            out,
            "  per s      deliveries {deliveries:>9}  commands {commands:>7}  acks {acks:>7}  joins {joins:>6}  {}",
            spark(&self.rates)
        );
        for (name, p50, p99, past) in [
            ("ack", second.ack_p50_ms, second.ack_p99_ms, &self.acks),
            ("delivery", second.delivery_p50_ms, second.delivery_p99_ms, &self.deliveries),
        ] {
            let [p50, p99] = [p50, p99].map(|ms| ms.map_or_else(|| "–".to_owned(), figure));
            let _ = writeln!(out, "  {name:<9}  p50 {p50:>7} ms  p99 {p99:>7} ms  {}", spark(past));
        }
        let (server, memory, lag) = costs(second);
        let _ = writeln!(
            out,
            "  costs      server {server} cores, {memory}  generator {:.2} cores, lag p99 {lag} ms  sockets {}",
            second.generator_cpu_cores,
            figure(number(second.sockets))
        );
        out
    }
}

/// A sample as one line.
pub(super) fn plain(second: &Second) -> String {
    let [ack, delivery] = [second.ack_p99_ms, second.delivery_p99_ms].map(|ms| ms.map_or_else(|| "–".to_owned(), figure));
    let (server, memory, lag) = costs(second);
    format!(
        "{:>6.0} s  {}: {} deliveries/s, {} commands/s, {} joins/s, ack p99 {ack} ms, delivery p99 {delivery} ms, server {server} cores {memory}, \
         generator {:.2} cores, lag p99 {lag} ms, {} sockets",
        second.at_s,
        second.phase,
        figure(second.deliveries_per_s.round()),
        figure(second.commands_per_s.round()),
        figure(second.joins_per_s.round()),
        second.generator_cpu_cores,
        figure(number(second.sockets)),
    )
}

/// The server's CPU and memory, and the generator's lag.
fn costs(second: &Second) -> (String, String, String) {
    let dash = || "–".to_owned();
    (
        second.server_cpu_cores.map_or_else(dash, |cores| format!("{cores:.2}")),
        second.server_resident_bytes.map_or_else(dash, |resident| bytes(number(resident))),
        second.lag_p99_ms.map_or_else(dash, figure),
    )
}

/// Values as a row of little bars, from zero to the highest.
fn spark(values: &VecDeque<f64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let high = values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let bar = |value: &f64| (1_u8..).zip(BARS).find(|(n, _)| *value <= high * f64::from(*n) / 8.0).map_or('█', |(_, bar)| bar);
    values.iter().map(bar).collect()
}

fn bar(share: f64) -> String {
    (1..=BAR).map(|n| if f64::from(n) <= share * f64::from(BAR) { '█' } else { '░' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn lines_show_rates_latencies_and_costs() {
        let mut lines = Lines::new("fan-out", 12.0);
        let series = sample::run(1_000).series;
        let mut text = String::new();
        for second in &series[..6] {
            text = lines.after(second.clone());
        }
        let expected = "\
fan-out · steady · 6 s of 12 s  ████████████░░░░░░░░░░░░
  per s      deliveries     2,050  commands     202  acks     201  joins      0  ██████
  ack        p50    1.20 ms  p99    6.00 ms  ▆▇█▅▁▇
  delivery   p50    1.70 ms  p99    8.00 ms  ▇██▆▇█
  costs      server 0.44 cores, 46.0 MiB  generator 0.20 cores, lag p99 0.200 ms  sockets 200
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let second = Second { at_s: 3.0, phase: "idle".into(), ..Second::default() };
        let expected = "     3 s  idle: 0 deliveries/s, 0 commands/s, 0 joins/s, ack p99 – ms, delivery p99 – ms, server – cores –, generator 0.00 cores, lag p99 – ms, 0 sockets";
        assert_eq!(plain(&second), expected);
        assert!(Lines::new("x", 0.0).after(second).contains("p50       – ms"));
    }

    #[test]
    fn a_sparkline_keeps_the_newest_and_goes_from_zero_to_the_highest() {
        assert_eq!(spark(&VecDeque::from([0.0, 1.0, 4.0, 7.9, 8.0])), "▁▁▄██");
        assert_eq!(spark(&VecDeque::from([0.0, 0.0])), "▁▁");
        let mut lines = Lines::new("x", 100.0);
        for n in 0..100_u32 {
            lines.after(Second { at_s: f64::from(n), deliveries_per_s: f64::from(n), ..Second::default() });
        }
        assert_eq!((lines.rates.len(), lines.rates[0]), (SPARK_MAX, 70.0));
    }
}
