//! Instants as text, by hand: an event, a presence and a state are full of them, and formatting by way of a general library was
//! a large part of what encoding an event cost (`docs/BENCHMARKS.md`).
//!
//! Days are counted by H. Hinnant's `days_from_civil` (`https://howardhinnant.github.io/date_algorithms.html`), in eras of 400 years that
//! begin in March, so that the leap day is a year's last.

/// Length of `2027-05-02T09:30:00.123Z`.
pub(super) const LEN: usize = 24;

const DAY_MS: i64 = 86_400_000;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;
const ERA: i64 = 146_097;

/// The text of an instant of the years 0 to 9999, in milliseconds since 1970.
pub(super) fn write(ms: i64) -> [u8; LEN] {
    let (day, ms) = (ms.div_euclid(DAY_MS) + EPOCH, ms.rem_euclid(DAY_MS));
    let (era, of_era) = (day.div_euclid(ERA), day.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);

    let mut out = *b"0000-00-00T00:00:00.000Z";
    put(&mut out[0..4], year);
    put(&mut out[5..7], month);
    put(&mut out[8..10], day);
    put(&mut out[11..13], ms / 3_600_000);
    put(&mut out[14..16], ms / 60_000 % 60);
    put(&mut out[17..19], ms / 1_000 % 60);
    put(&mut out[20..23], ms % 1_000);
    out
}

/// The instant of a text of exactly that shape; `None` for every other, which may be an instant all the same.
pub(super) fn read(text: &[u8]) -> Option<i64> {
    let text: &[u8; LEN] = text.try_into().ok()?;
    let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if shape.iter().any(|(at, byte)| text[*at] != *byte) {
        return None;
    }
    let (year, month, day) = (take(&text[0..4])?, take(&text[5..7])?, take(&text[8..10])?);
    let (hour, minute, second, ms) = (take(&text[11..13])?, take(&text[14..16])?, take(&text[17..19])?, take(&text[20..23])?);
    if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + of_year;
    Some((era * ERA + of_era - EPOCH) * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + ms)
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Writes a number right-aligned.
fn put(out: &mut [u8], mut value: i64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Reads digits and nothing else.
fn take(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn text(ms: i64) -> String {
        String::from_utf8(write(ms).to_vec()).unwrap()
    }

    #[test]
    fn days_are_those_that_the_calendar_library_says() {
        // Every day until 2101, then some of every year until 9993; the library ends before the year 9999 does.
        for day in (0..48_000).chain((48_000..8_025 * 365).step_by(61)) {
            let ms = day * DAY_MS + day * 7_919 % DAY_MS;
            let known = format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap());
            assert_eq!(text(ms), known);
            assert_eq!(read(known.as_bytes()), Some(ms));
        }
    }

    #[test]
    fn the_last_instant_can_be_written_and_read() {
        let last = Timestamp::from_ms(i64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(serde_json::from_str::<Timestamp>("\"9999-12-31T23:59:59.999Z\"").unwrap(), last);
    }

    #[test]
    fn other_shapes_are_left_to_the_library() {
        for other in [
            "2027-02-29T00:00:00.000Z",
            "2027-13-01T00:00:00.000Z",
            "2027-01-01T24:00:00.000Z",
            "2027-01-01 00:00:00.000Z",
            "2027-01-01T00:00:00.00zZ",
            "2027-00-01T00:00:00.000Z",
            "2027-01-00T00:00:00.000Z",
            "2027-01-01T00:60:00.000Z",
            "",
        ] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
        // As an instant it reads the same with and without the shape.
        for (other, same) in
            [("2027-01-01T01:00:00+01:00", "2027-01-01T00:00:00.000Z"), ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z")]
        {
            let read = |text: &str| serde_json::from_str::<Timestamp>(&format!("\"{text}\"")).unwrap();
            assert_eq!(read(other), read(same));
        }
        assert!(serde_json::from_str::<Timestamp>("\"2027-02-29T00:00:00.000Z\"").is_err());
    }
}
