//! A refused command: a normal answer, after which the room is unchanged.

use crate::ErrorCode;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Why a command was refused, in words for a person and a code for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The stable code; the same on every surface.
    pub code: ErrorCode,
    /// One sentence that says what to change.
    pub message: Cow<'static, str>,
    /// JSON pointer (RFC 6901) into the command to what was wrong, where one place was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Milliseconds after which trying again may help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What a program needs beyond the code, such as `{"seats_left": 1}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<serde_json::Value>>,
}

impl Rejection {
    /// A rejection with a code and a sentence.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), pointer: None, retry_after_ms: None, details: None }
    }

    /// A value that is not allowed, at a JSON pointer into the command (`/title`).
    pub fn invalid(pointer: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { pointer: Some(pointer.into()), ..Self::new(ErrorCode::Invalid, message) }
    }

    /// A role that may not do this.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// Something that the command names and the room does not hold.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// The same, with what a program needs beyond the code: a JSON object.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The same, with a hint when to try again.
    #[must_use]
    pub const fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Rejection {}
