//! Bounds of values, collected, so that a client learns of all mistakes at once.

use crate::http::problem::{FieldError, Problem};
use serde::{Deserialize, Deserializer};
use tripsync_domain::money::Currency;

/// Collects field errors.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    /// Notes a mistake unless `holds`.
    pub(crate) fn must(&mut self, holds: bool, pointer: &str, detail: &str) {
        if !holds {
            self.errors.push(FieldError::invalid(pointer, detail));
        }
    }

    /// Notes a mistake unless the text has `min..=max` characters and no control characters but line breaks and tabs.
    pub(crate) fn text(&mut self, pointer: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        self.must((min..=max).contains(&length), pointer, &format!("must have {min} to {max} characters"));
        self.must(!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')), pointer, "must not hold control characters");
    }

    /// All mistakes as one problem.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}

/// A field of a merge patch (RFC 7396): absent, null or a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Patch<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Empty it.
    Clear,
    /// Change it.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            Some(value) => Self::Set(value),
            None => Self::Clear,
        })
    }
}

impl<T> Patch<T> {
    pub(crate) fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    pub(crate) const fn set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

/// Trimmed and in lower case. `None` unless it looks like an address: one `@` between a local part of 1 to 64 characters and
/// a domain of letters, digits, dots and hyphens; at most 254 characters (RFC 5321 §4.5.3.1).
pub(crate) fn email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let local_good = (1..=64).contains(&local.chars().count())
        && !local.chars().any(|c| c.is_whitespace() || c.is_control() || "()<>[]:;,\\\"@".contains(c));
    let labels_good = domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    (local_good && labels_good && text.len() <= 254).then_some(text)
}

/// Trimmed and in lower case. `None` unless it has 3 to 32 of `a-z 0-9 . _ -` and begins with a letter or digit.
pub(crate) fn username(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    ((3..=32).contains(&text.len()) && text.starts_with(plain) && text.chars().all(|c| plain(c) || "._-".contains(c))).then_some(text)
}

/// Whether it is the name of a time zone (IANA), such as `Europe/Lisbon`.
pub(crate) fn is_time_zone(name: &str) -> bool {
    name.len() <= 64 && jiff::tz::TimeZone::get(name).is_ok()
}

/// Whether it looks like a language tag (BCP 47), such as `pt-BR`.
pub(crate) fn is_locale(tag: &str) -> bool {
    let mut parts = tag.split('-');
    parts.next().is_some_and(|language| (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic()))
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && tag.len() <= 35
}

/// Whether it is a currency (ISO 4217), such as `EUR`.
pub(crate) fn is_currency(code: &str) -> bool {
    Currency::new(code).is_some()
}

/// Whether it looks like a telephone number in international form (E.164).
pub(crate) fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or("");
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Whether it is an address that clients may show as a link: https, with a host, without user and password.
pub(crate) fn is_link(text: &str) -> bool {
    text.len() <= 500
        && text.parse::<http::Uri>().is_ok_and(|uri| {
            uri.scheme_str() == Some("https") && uri.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_normalised_or_refused() {
        assert_eq!(email(" Ann@Example.ORG ").unwrap(), "ann@example.org");
        assert_eq!(email("a+b@x.y-z.example").unwrap(), "a+b@x.y-z.example");
        for bad in ["", "ann", "@x.org", "ann@", "a@b@c.org", "a b@c.org", "a@-x.org", "a@x..org", "a@x.org.", "<a@x.org>"] {
            assert_eq!(email(bad), None, "{bad}");
        }
        assert_eq!(email(&format!("{}@x.org", "a".repeat(65))), None);
    }

    #[test]
    fn names_zones_and_codes() {
        assert_eq!(username("Ann_B.1").unwrap(), "ann_b.1");
        for bad in ["ab", ".ann", "ann@x", "änn", &"a".repeat(33)] {
            assert_eq!(username(bad), None, "{bad}");
        }
        assert!(is_time_zone("Europe/Lisbon") && is_time_zone("UTC") && !is_time_zone("Mars/Base") && !is_time_zone(""));
        assert!(is_locale("de") && is_locale("pt-BR") && is_locale("zh-Hant-TW") && !is_locale("x") && !is_locale("de_DE"));
        assert!(is_currency("EUR") && !is_currency("eur") && !is_currency("EURO") && !is_currency("ZZZ"));
        assert!(is_phone("+351210000000") && !is_phone("351210000000") && !is_phone("+12") && !is_phone("+1234567a"));
        assert!(is_link("https://social.example.org/@ann?x=1") && is_link("https://x.org"));
        for bad in ["", "http://x.org", "https://", "javascript:alert(1)", "https://ann:pw@x.org/", "https://x.org/a b", "/ann", "//x.org"]
        {
            assert!(!is_link(bad), "{bad}");
        }
        assert!(!is_link(&format!("https://x.org/{}", "a".repeat(500))));
    }
}
