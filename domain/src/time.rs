//! Instants.

mod text;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::time::Duration;

/// An instant in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// On the wire an RFC 3339 string in UTC with milliseconds (`2027-05-02T09:30:00.123Z`); in the databases the integer, because
/// text forms of instants do not compare and Postgres rounds to microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// 9999-12-31T23:59:59.999Z: the last instant with a four-digit year.
const MAX_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The instant `ms` milliseconds after the epoch, clamped to the years 1970 to 9999.
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(0, MAX_MS))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This instant moved forward, saturating at the end of the year 9999.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_ms(self.0.saturating_add(by))
    }

    /// The time from `earlier` to this instant; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::str::from_utf8(&text::write(self.0)).map_err(|_| fmt::Error).and_then(|text| f.write_str(text))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = text::write(self.0);
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an instant as RFC 3339, such as 2027-05-02T09:30:00Z")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                if let Some(ms) = text::read(text.as_bytes()) {
                    return Ok(Timestamp::from_ms(ms));
                }
                text.parse::<jiff::Timestamp>()
                    .map(|at| Timestamp::from_ms(at.as_millisecond()))
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form_is_rfc_3339_with_milliseconds() {
        let at = Timestamp::from_ms(1_809_336_600_123);
        assert_eq!(serde_json::to_string(&at).unwrap(), "\"2027-05-03T09:30:00.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>("\"2027-05-03T09:30:00.123Z\"").unwrap(), at);
        assert_eq!(serde_json::to_string(&Timestamp::from_ms(0)).unwrap(), "\"1970-01-01T00:00:00.000Z\"");
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}
