//! Dates and times as people plan them: a day, or a local time with its zone.
//!
//! An appointment keeps local time and IANA zone instead of an instant, so that it survives changes of a zone's rules. Zones are looked
//! up in the database that is compiled in, never in the machine's, so that a command is judged the same everywhere.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

macro_rules! text_form {
    ($name:ident, $expected:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(|NotCivil| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

/// A text that is not the date or time it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotCivil;

/// A day in the calendar, in the years 1900 to 9999: `2027-05-02`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(jiff::civil::Date);
text_form!(Date, "a date such as 2027-05-02, in the years 1900 to 9999");

impl Date {
    /// The day of a year (1900 to 9999), month and day of month.
    #[must_use]
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        if year < 1900 {
            return None;
        }
        jiff::civil::Date::new(year, month, day).ok().map(Self)
    }

    /// The day `days` later (earlier when negative); `None` outside the years 1900 to 9999.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Option<Self> {
        let date = self.0.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
        (date.year() >= 1900).then_some(Self(date))
    }

    /// How many days from `earlier` to this day.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i32 {
        i32::try_from(self.0.duration_since(earlier.0).as_hours() / 24).unwrap_or(0)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl FromStr for Date {
    type Err = NotCivil;
    fn from_str(text: &str) -> Result<Self, NotCivil> {
        let (year, month, day) = match text.as_bytes() {
            [y @ .., b'-', m1, m2, b'-', d1, d2] if y.len() == 4 => (number(y)?, number(&[*m1, *m2])?, number(&[*d1, *d2])?),
            _ => return Err(NotCivil),
        };
        Self::new(year, i8::try_from(month).map_err(|_| NotCivil)?, i8::try_from(day).map_err(|_| NotCivil)?).ok_or(NotCivil)
    }
}

/// A time on a clock on the wall, to the second: `2027-05-02T09:30` or `2027-05-02T09:30:15`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalTime {
    date: Date,
    time: jiff::civil::Time,
}
text_form!(LocalTime, "a local time such as 2027-05-02T09:30");

impl LocalTime {
    /// The day.
    #[must_use]
    pub const fn date(self) -> Date {
        self.date
    }

    /// The same time of day on another day.
    #[must_use]
    pub const fn on(self, date: Date) -> Self {
        Self { date, time: self.time }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{:02}:{:02}", self.date, self.time.hour(), self.time.minute())?;
        if self.time.second() != 0 { write!(f, ":{:02}", self.time.second()) } else { Ok(()) }
    }
}

impl FromStr for LocalTime {
    type Err = NotCivil;
    fn from_str(text: &str) -> Result<Self, NotCivil> {
        let (date, time) = text.split_once('T').ok_or(NotCivil)?;
        let (hour, minute, second) = match time.as_bytes() {
            [h1, h2, b':', m1, m2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, 0),
            [h1, h2, b':', m1, m2, b':', s1, s2] => (number(&[*h1, *h2])?, number(&[*m1, *m2])?, number(&[*s1, *s2])?),
            _ => return Err(NotCivil),
        };
        let part = |value: i16| i8::try_from(value).map_err(|_| NotCivil);
        let time = jiff::civil::Time::new(part(hour)?, part(minute)?, part(second)?, 0).map_err(|_| NotCivil)?;
        Ok(Self { date: date.parse()?, time })
    }
}

fn number(digits: &[u8]) -> Result<i16, NotCivil> {
    digits.iter().try_fold(0_i16, |value, digit| {
        if !digit.is_ascii_digit() {
            return Err(NotCivil);
        }
        value.checked_mul(10).and_then(|value| value.checked_add(i16::from(digit - b'0'))).ok_or(NotCivil)
    })
}

/// When something starts or ends: a whole day `{"date": "2027-05-02"}`, or a local time in a zone
/// `{"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "MomentFields", into = "MomentFields")]
pub enum Moment {
    /// The whole day.
    AllDay(Date),
    /// A time of day where the zone applies.
    At {
        /// What the clock on the wall shows.
        local: LocalTime,
        /// The IANA name of the zone, at most 64 characters. Whether there is such a zone is asked by [`Moment::known_zone`].
        tz: Box<str>,
    },
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MomentFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<LocalTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tz: Option<Box<str>>,
}

impl TryFrom<MomentFields> for Moment {
    type Error = &'static str;
    fn try_from(fields: MomentFields) -> Result<Self, Self::Error> {
        match fields {
            MomentFields { date: Some(date), local: None, tz: None } => Ok(Self::AllDay(date)),
            MomentFields { date: None, local: Some(local), tz: Some(tz) } if tz.len() <= 64 => Ok(Self::At { local, tz }),
            MomentFields { date: None, local: Some(_), tz: Some(_) } => Err("the name of a time zone has at most 64 characters"),
            MomentFields { .. } => Err("needs either `date`, or `local` and `tz`"),
        }
    }
}

impl From<Moment> for MomentFields {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::AllDay(date) => Self { date: Some(date), local: None, tz: None },
            Moment::At { local, tz } => Self { date: None, local: Some(local), tz: Some(tz) },
        }
    }
}

impl Moment {
    /// The day, as the clock on the wall has it.
    #[must_use]
    pub const fn date(&self) -> Date {
        match self {
            Self::AllDay(date) => *date,
            Self::At { local, .. } => local.date(),
        }
    }

    /// The same time of day `days` later (earlier when negative); `None` outside the calendar.
    #[must_use]
    pub fn plus_days(&self, days: i32) -> Option<Self> {
        let date = self.date().plus_days(days)?;
        Some(match self {
            Self::AllDay(_) => Self::AllDay(date),
            Self::At { local, tz } => Self::At { local: local.on(date), tz: tz.clone() },
        })
    }

    /// The same moment with the zone's name spelled as the database has it; `None` when there is no such zone.
    #[must_use]
    pub fn known_zone(&self) -> Option<Self> {
        match self {
            Self::AllDay(_) => Some(self.clone()),
            Self::At { local, tz } => {
                let zone = zone(tz)?;
                Some(Self::At { local: *local, tz: zone.iana_name()?.into() })
            }
        }
    }

    /// The instant of a timed moment; `None` for a whole day, an unknown zone and what is before 1970. For local times that a change of
    /// the clocks skips or repeats see [`Moment::not_after`].
    #[must_use]
    pub fn instant(&self) -> Option<crate::Timestamp> {
        match self {
            Self::AllDay(_) => None,
            Self::At { local, tz } => {
                let ms = instant(*local, tz)?.as_millisecond();
                (ms >= 0).then(|| crate::Timestamp::from_ms(ms))
            }
        }
    }

    /// Whether the end is not before the start: all-day moments by date, timed ones by instant, whatever their zones. `None` when one is
    /// all-day and the other is not, or a zone is unknown. A local time that a change of the clocks skips or repeats counts as RFC 5545 has
    /// it: skipped ones move forward, of repeated ones the first is meant.
    #[must_use]
    pub fn not_after(&self, end: &Self) -> Option<bool> {
        match (self, end) {
            (Self::AllDay(start), Self::AllDay(end)) => Some(start <= end),
            (Self::At { local: start, tz: from }, Self::At { local: end, tz: to }) => {
                if from == to && start <= end {
                    return Some(true);
                }
                Some(instant(*start, from)? <= instant(*end, to)?)
            }
            (Self::AllDay(_), Self::At { .. }) | (Self::At { .. }, Self::AllDay(_)) => None,
        }
    }
}

fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

fn instant(local: LocalTime, tz: &str) -> Option<jiff::Timestamp> {
    zone(tz)?.to_timestamp(local.date.0.to_datetime(local.time)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(local: &str, tz: &str) -> Moment {
        serde_json::from_value(json!({"local": local, "tz": tz})).unwrap()
    }

    #[test]
    fn dates_and_times_have_one_spelling() {
        for good in ["2027-05-02", "1900-01-01", "9999-12-31", "2028-02-29"] {
            assert_eq!(good.parse::<Date>().unwrap().to_string(), good);
        }
        for bad in ["2027-5-2", "2027-02-29", "1899-12-31", "20270502", "2027-05-02T10:00", "+2027-05-02", "", "2027-05-0ä"] {
            assert_eq!(bad.parse::<Date>(), Err(NotCivil), "{bad}");
        }
        assert_eq!("2027-05-02T09:30:00".parse::<LocalTime>().unwrap().to_string(), "2027-05-02T09:30");
        assert_eq!("2027-05-02T09:30:05".parse::<LocalTime>().unwrap().to_string(), "2027-05-02T09:30:05");
        for bad in ["2027-05-02", "2027-05-02T24:00", "2027-05-02T09:30Z", "2027-05-02 09:30", "2027-05-02T9:30"] {
            assert_eq!(bad.parse::<LocalTime>(), Err(NotCivil), "{bad}");
        }
    }

    #[test]
    fn days_are_counted() {
        let day = Date::new(2028, 2, 28).unwrap();
        assert_eq!(day.plus_days(2), Date::new(2028, 3, 1));
        assert_eq!(Date::new(2028, 3, 1).unwrap().days_since(day), 2);
        assert_eq!(day.days_since(Date::new(2028, 3, 1).unwrap()), -2);
        assert_eq!(Date::new(9999, 12, 31).unwrap().plus_days(1), None);
        assert_eq!(day.plus_days(i32::MAX), None);
    }

    #[test]
    fn a_moment_is_a_day_or_a_time_with_a_zone() {
        let day: Moment = serde_json::from_value(json!({"date": "2027-05-02"})).unwrap();
        assert_eq!(serde_json::to_value(&day).unwrap(), json!({"date": "2027-05-02"}));
        assert_eq!(at("2027-05-02T09:30", "europe/lisbon").known_zone(), Some(at("2027-05-02T09:30", "Europe/Lisbon")));
        assert_eq!(at("2027-05-02T09:30", "Europe/Atlantis").known_zone(), None);
        for bad in [json!({}), json!({"local": "2027-05-02T09:30"}), json!({"date": "2027-05-02", "tz": "UTC"})] {
            assert!(serde_json::from_value::<Moment>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_timed_moment_has_an_instant() {
        let text = |moment: Moment| moment.instant().map(|at| at.to_string());
        assert_eq!(text(at("2027-05-02T09:30", "Europe/Berlin")).as_deref(), Some("2027-05-02T07:30:00.000Z"));
        // Skipped: an hour on; repeated: the first.
        assert_eq!(text(at("2027-03-28T02:30", "Europe/Berlin")).as_deref(), Some("2027-03-28T01:30:00.000Z"));
        assert_eq!(text(at("2027-10-31T02:30", "Europe/Berlin")).as_deref(), Some("2027-10-31T00:30:00.000Z"));
        assert_eq!(text(at("2027-05-02T09:30", "Europe/Atlantis")), None);
        assert_eq!(text(at("1960-05-02T09:30", "UTC")), None);
        assert_eq!(text(Moment::AllDay(Date::new(2027, 5, 2).unwrap())), None);
    }

    #[test]
    fn order_holds_across_zones() {
        // 20 minutes from Lisbon to Madrid: the clock on the wall shows more than an hour.
        assert_eq!(at("2027-05-02T09:00", "Europe/Lisbon").not_after(&at("2027-05-02T10:20", "Europe/Madrid")), Some(true));
        assert_eq!(at("2027-05-02T09:00", "Europe/Lisbon").not_after(&at("2027-05-02T09:59", "Europe/Madrid")), Some(false));
        // Over the date line the clock goes back.
        assert_eq!(at("2027-05-02T22:00", "Pacific/Auckland").not_after(&at("2027-05-02T14:00", "America/Los_Angeles")), Some(true));
        // The night when the clocks go forward has no 02:30.
        assert_eq!(at("2027-03-28T02:30", "Europe/Berlin").not_after(&at("2027-03-28T03:10", "Europe/Berlin")), Some(true));
        assert_eq!(Moment::AllDay(Date::new(2027, 5, 2).unwrap()).not_after(&at("2027-05-02T14:00", "UTC")), None);
    }
}
