//! Groups of people, such as a college or a company.

use crate::text::{Line, TextError};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Characters of a group's name.
pub const GROUP_CHARS_MAX: usize = 100;

/// A group by its name; in small letters, so that it has one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Group(Line<GROUP_CHARS_MAX>);

impl Group {
    /// Trims, lowers and checks.
    ///
    /// # Errors
    /// [`TextError`] when the rest is empty, too long or contains control characters.
    pub fn new(raw: &str) -> Result<Self, TextError> {
        Line::new(&raw.to_lowercase()).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = String::deserialize(deserializer)?;
        Self::new(&raw).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        assert_eq!(Group::new(" TU Łódź ").unwrap(), serde_json::from_str("\"tu łódź\"").unwrap());
        assert!(Group::new(" ").is_err() && Group::new(&"x".repeat(101)).is_err());
    }
}
