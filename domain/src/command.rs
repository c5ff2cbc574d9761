//! Reading commands: from one JSON value to a typed command, the same way for every surface.
//!
//! A command is an object with its `type` and its fields side by side: `{"type": "add_place", "name": "Louvre", …}`.

mod strict;

use crate::{ErrorCode, Rejection};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
pub use strict::Strict;

/// A command's fingerprint, by which the same number with another body is recognised.
///
/// FNV-1a, 64 bits, over the command's canonical JSON (keys sorted, no spaces). Not a defence against a forger: a client can
/// only collide with itself.
#[must_use]
pub fn fingerprint(command: &Value) -> u64 {
    let text = command.to_string();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads an externally tagged command enum from the wire form.
///
/// # Errors
/// `malformed` when the value is no object or has no `type`; `unknown_command`, `unknown_field` or `invalid` otherwise, with a
/// pointer to the place.
pub fn parse<C: DeserializeOwned>(value: &Value) -> Result<C, Rejection> {
    let Value::Object(fields) = value else {
        return Err(Rejection::new(ErrorCode::Malformed, "a command is an object with a `type`"));
    };
    let Some(Value::String(tag)) = fields.get("type") else {
        return Err(Rejection {
            pointer: Some("/type".into()),
            ..Rejection::new(ErrorCode::Malformed, "a command needs its `type` as a string")
        });
    };
    let body: serde_json::Map<_, _> = fields.iter().filter(|(key, _)| *key != "type").map(|(k, v)| (k.clone(), v.clone())).collect();
    let tagged = Value::Object([(tag.clone(), Value::Object(body))].into_iter().collect());
    serde_path_to_error::deserialize(Strict(&tagged)).map_err(|error| rejection(&error, tag))
}

/// Reads a struct (not a command) strictly from a JSON value.
///
/// # Errors
/// `unknown_field` or `invalid`, with a pointer to the place.
pub fn parse_fields<T: DeserializeOwned>(value: &Value) -> Result<T, Rejection> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| rejection(&error, ""))
}

/// Reads a field that is there; `null` is a value only where the field's type has one.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The wire form of a command: what [`parse`] reads.
#[must_use]
pub fn to_wire<C: Serialize>(command: &C) -> Value {
    let Ok(Value::Object(tagged)) = serde_json::to_value(command) else { return Value::Null };
    let Some((tag, body)) = tagged.into_iter().next() else { return Value::Null };
    let mut fields = match body {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => serde_json::Map::new(),
    };
    fields.insert("type".into(), Value::String(tag));
    Value::Object(fields)
}

fn rejection(error: &serde_path_to_error::Error<serde_json::Error>, tag: &str) -> Rejection {
    let text = error.inner().to_string();
    let pointer = pointer(error.path(), tag);
    if text.starts_with("unknown variant") && pointer.is_none() {
        return Rejection { pointer: Some("/type".into()), ..Rejection::new(ErrorCode::UnknownCommand, text) };
    }
    let code = if text.starts_with("unknown field") { ErrorCode::UnknownField } else { ErrorCode::Invalid };
    Rejection { pointer, ..Rejection::new(code, text) }
}

/// The path as a JSON pointer into the wire form, which does not have the level of the tag; `None` for the command itself.
fn pointer(path: &serde_path_to_error::Path, tag: &str) -> Option<String> {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for (depth, segment) in path.iter().enumerate() {
        let part = match segment {
            Segment::Map { key } | Segment::Enum { variant: key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Seq { index } => index.to_string(),
            Segment::Unknown => "?".into(),
        };
        if depth == 0 && part == tag {
            continue;
        }
        out.push('/');
        out.push_str(&part);
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Sample {
        AddPlace(AddPlace),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct AddPlace {
        name: String,
        at: Point,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Point {
        lat: f64,
    }

    fn refused(value: &Value) -> (ErrorCode, Option<String>) {
        let rejection = parse::<Sample>(value).unwrap_err();
        (rejection.code, rejection.pointer)
    }

    #[test]
    fn reads_the_wire_form() {
        let value = json!({"type": "add_place", "name": "Louvre", "at": {"lat": 48.86}});
        let expected = Sample::AddPlace(AddPlace { name: "Louvre".into(), at: Point { lat: 48.86 } });
        assert_eq!(parse::<Sample>(&value).unwrap(), expected);
    }

    #[test]
    fn says_where_it_went_wrong() {
        assert_eq!(refused(&json!([])), (ErrorCode::Malformed, None));
        assert_eq!(refused(&json!({"name": "x"})), (ErrorCode::Malformed, Some("/type".into())));
        assert_eq!(refused(&json!({"type": "fly"})), (ErrorCode::UnknownCommand, Some("/type".into())));
        let typo = json!({"type": "add_place", "name": "x", "at": {"lat": 1.0, "lon": 2}});
        assert_eq!(refused(&typo), (ErrorCode::UnknownField, Some("/at/lon".into())));
        let wrong = json!({"type": "add_place", "name": 3, "at": {"lat": 1.0}});
        assert_eq!(refused(&wrong), (ErrorCode::Invalid, Some("/name".into())));
        let positional = json!({"type": "add_place", "name": "x", "at": [1.0]});
        assert_eq!(refused(&positional), (ErrorCode::Invalid, Some("/at".into())));
    }

    #[test]
    fn fingerprint_ignores_the_order_of_fields_only() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":2}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":2,"a":1}"#).unwrap();
        assert_eq!(fingerprint(&one), fingerprint(&two));
        assert_ne!(fingerprint(&one), fingerprint(&json!({"a": 1, "b": 3})));
    }
}
