//! Text that people write: trimmed, bounded in characters, without control characters.
//!
//! The bounds hold by type: whoever has a [`Line`] or a [`Text`] need not check it again. They are checked when a command is
//! read and again when stored events are, so a bound may be widened but never narrowed.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use thiserror::Error;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing is left after trimming.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character; in a [`Text`] tabs and line breaks are fine.
    #[error("must not contain control characters")]
    Control,
}

/// Trims and checks; `multi_line` allows tabs and line breaks, of which `\r\n` becomes `\n`.
fn clean(raw: &str, chars_max: usize, multi_line: bool) -> Result<String, TextError> {
    let trimmed = raw.trim();
    let text = if multi_line && trimmed.contains('\r') { trimmed.replace("\r\n", "\n") } else { trimmed.to_owned() };
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().any(|c| c.is_control() && !(multi_line && matches!(c, '\n' | '\t'))) {
        return Err(TextError::Control);
    }
    if text.chars().count() > chars_max {
        return Err(TextError::TooLong(chars_max));
    }
    Ok(text)
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $multi_line:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name<const MAX: usize>(Box<str>);

        impl<const MAX: usize> $name<MAX> {
            /// Trims and checks.
            ///
            /// # Errors
            /// [`TextError`] when the rest is empty, too long or contains control characters.
            pub fn new(raw: &str) -> Result<Self, TextError> {
                clean(raw, MAX, $multi_line).map(|text| Self(text.into_boxed_str()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<const MAX: usize> std::str::FromStr for $name<MAX> {
            type Err = TextError;
            fn from_str(raw: &str) -> Result<Self, TextError> {
                Self::new(raw)
            }
        }

        impl<const MAX: usize> fmt::Display for $name<MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<const MAX: usize> fmt::Debug for $name<MAX> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl<'de, const MAX: usize> Deserialize<'de> for $name<MAX> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor<const MAX: usize>;
                impl<const MAX: usize> de::Visitor<'_> for Visitor<MAX> {
                    type Value = $name<MAX>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "a text of 1 to {MAX} characters")
                    }
                    fn visit_str<E: de::Error>(self, raw: &str) -> Result<Self::Value, E> {
                        $name::new(raw).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

text!(
    /// One line of 1 to `MAX` characters.
    Line,
    false
);
text!(
    /// A text of 1 to `MAX` characters, line breaks included.
    Text,
    true
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_trimmed_and_bounded_in_characters() {
        assert_eq!(Line::<3>::new("  äöü ").unwrap().as_str(), "äöü");
        assert_eq!(Line::<3>::new("äöüß"), Err(TextError::TooLong(3)));
        assert_eq!(Line::<3>::new(" \n "), Err(TextError::Empty));
        assert_eq!(Line::<9>::new("a\nb"), Err(TextError::Control));
        assert_eq!(Text::<9>::new("a\r\nb").unwrap().as_str(), "a\nb");
        assert_eq!(Text::<9>::new("a\u{0}b"), Err(TextError::Control));
        assert_eq!(Text::<9>::new("a\rb"), Err(TextError::Control));
        let error = serde_json::from_str::<Line<3>>("\"long\"").unwrap_err().to_string();
        assert!(error.starts_with("must have at most 3 characters"), "{error}");
    }
}
