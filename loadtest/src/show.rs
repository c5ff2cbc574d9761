//! How numbers are shown.

use std::io::{ErrorKind, Write};

/// Writes to standard output; whoever has stopped reading it is no error.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A figure with about three digits that count: `0.123`, `4.56`, `78.9`, `1,234`.
#[must_use]
pub fn figure(figure: f64) -> String {
    let size = figure.abs();
    match size {
        _ if !figure.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        _ if size < 0.001 => format!("{figure:.1e}"),
        _ if size < 1.0 => format!("{figure:.3}"),
        _ if size < 10.0 => format!("{figure:.2}"),
        _ if size < 100.0 => format!("{figure:.1}"),
        _ => grouped(&format!("{figure:.0}")),
    }
}

/// A count with separators: `1,234,567`.
#[must_use]
pub fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// Bytes in the unit that fits: `512 B`, `40.0 MiB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    let (scale, unit) = match bytes.abs() {
        size if size < 1_024.0 => return format!("{bytes:.0} B"),
        size if size < 1_048_576.0 => (1_024.0, "KiB"),
        size if size < 1_073_741_824.0 => (1_048_576.0, "MiB"),
        _ => (1_073_741_824.0, "GiB"),
    };
    format!("{:.1} {unit}", bytes / scale)
}

/// Digits with a separator after every three.
pub(crate) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits() {
        for (number, shown) in [
            (0.0, "0"),
            (0.000_12, "1.2e-4"),
            (0.123_4, "0.123"),
            (4.561, "4.56"),
            (78.91, "78.9"),
            (999.4, "999"),
            (1_234.4, "1,234"),
            (-1_234_567.0, "-1,234,567"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(figure(number), shown);
        }
        assert_eq!((count(0), count(1_000), count(999)), ("0".into(), "1,000".into(), "999".into()));
        assert_eq!([12.0, 2_048.0, 5.5 * 1_048_576.0, 3e9].map(bytes), ["12 B", "2.0 KiB", "5.5 MiB", "2.8 GiB"]);
    }
}
