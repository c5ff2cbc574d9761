//! Axes: where a value lies, and which values are marked.

use crate::show;

/// How values become positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// From zero, evenly.
    Linear,
    /// By powers of ten; values must be above zero.
    Log,
    /// Percentiles as HdrHistogram plots them: each further nine takes the same width. Values are shares below 1.
    Nines,
}

/// An axis over a range of values.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
}

impl Scale {
    /// The axis on which all these values have a place.
    pub(super) fn over(kind: Kind, values: impl Iterator<Item = f64>) -> Self {
        let usable = |value: &f64| value.is_finite() && (kind != Kind::Log || *value > 0.0);
        let (low, high) =
            values.filter(usable).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low > high { (1.0, 1.0) } else { (low, high) };
        let (low, high) = match kind {
            // A little air, so that the highest mark does not touch what stands above.
            Kind::Linear => (low.min(0.0), if high > 0.0 { high * 1.06 } else { 1.0 }),
            // At least a factor of ten, so that noise does not look like mountains.
            Kind::Log => {
                let (low, high) = (low * 0.95, high * 1.05);
                let widen = (10.0 * low / high).max(1.0).sqrt();
                (low / widen, high * widen)
            }
            Kind::Nines => (0.0, high.max(0.9)),
        };
        Self { kind, low, high }
    }

    /// The same axis from the first value to the last, not from zero.
    pub(super) fn between(low: f64, high: f64) -> Self {
        Self { kind: Kind::Linear, low, high: if high > low { high } else { low + 1.0 } }
    }

    /// Where a value lies, from 0 to 1; `None` where it has no place.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        let place = |value: f64| match self.kind {
            Kind::Linear => value,
            Kind::Log => value.log10(),
            Kind::Nines => -(1.0 - value).log10(),
        };
        let at = (place(value) - place(self.low)) / (place(self.high) - place(self.low));
        at.is_finite().then(|| at.clamp(0.0, 1.0))
    }

    /// The values to mark, with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let inside = |value: &f64| (self.low..=self.high).contains(value);
        match self.kind {
            Kind::Linear => {
                let step = round_step((self.high - self.low) / 5.0);
                let first = (self.low / step).ceil();
                let values = (0..=8_u32).map(|n| (first + f64::from(n)) * step).filter(|value| inside(value));
                values.map(|value| (value, short(value))).collect()
            }
            Kind::Log => {
                let decades = (self.high / self.low).log10();
                let steps: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
                let every = if decades > 6.0 { 2 } else { 1 };
                let powers = (-9..=12_i32).step_by(every).map(|power| 10_f64.powi(power));
                let values = powers.flat_map(|power| steps.iter().map(move |step| step * power)).filter(inside);
                values.map(|value| (value, short(value))).collect()
            }
            Kind::Nines => [
                (0.0, "0 %"),
                (0.5, "50 %"),
                (0.9, "90 %"),
                (0.99, "99 %"),
                (0.999, "99.9 %"),
                (0.999_9, "99.99 %"),
                (0.999_99, "99.999 %"),
            ]
            .into_iter()
            .filter(|(value, _)| inside(value))
            .map(|(value, label)| (value, label.to_owned()))
            .collect(),
        }
    }
}

/// The step of 1, 2 or 5 times a power of ten that is at least this.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= least * 0.999_999).unwrap_or(least)
}

/// A label that fits beside an axis.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = show::figure(scaled);
    let trimmed = if digits.contains('.') && !digits.contains('e') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{trimmed}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> String {
        scale.ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_inside() {
        for (kind, values, expected) in [
            (Kind::Linear, vec![3.0, 17.0], "0 5 10 15"),
            (Kind::Linear, vec![0.0, 80_000.0], "0 20k 40k 60k 80k"),
            (Kind::Linear, vec![0.2, 0.73], "0 0.2 0.4 0.6"),
            (Kind::Linear, vec![0.0], "0 0.2 0.4 0.6 0.8 1"),
            (Kind::Linear, vec![], "0 0.5 1"),
            (Kind::Log, vec![0.3, 60.0], "0.5 1 2 5 10 20 50"),
            (Kind::Log, vec![0.3, 6_000.0], "1 10 100 1,000"),
            (Kind::Log, vec![5.0], "2 5 10"),
            (Kind::Nines, vec![0.0, 0.999], "0 % 50 % 90 % 99 % 99.9 %"),
        ] {
            assert_eq!(labels(&Scale::over(kind, values.iter().copied())), expected, "{kind:?} {values:?}");
        }
    }

    #[test]
    fn places_lie_between_the_ends() {
        let log = Scale::over(Kind::Log, [1.0, 1_000.0].into_iter());
        assert!((log.at((1_000_f64).sqrt()).unwrap() - 0.5).abs() < 0.01);
        assert_eq!((log.at(0.0), log.at(-1.0), log.at(f64::NAN)), (None, None, None));
        let nines = Scale::over(Kind::Nines, [0.999].into_iter());
        assert!((nines.at(0.9).unwrap() - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(nines.at(1.0), None);
        assert_eq!(Scale::between(5.0, 5.0).at(5.0), Some(0.0));
    }
}
