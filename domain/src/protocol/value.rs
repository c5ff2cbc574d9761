//! One JSON value out of either codec, with the limits that keep hostile bytes harmless.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::fmt;

/// Containers may nest this deep in a client's frame.
pub(crate) const DEPTH_MAX: usize = 32;

/// A JSON value read from JSON or MessagePack: a `bin` of 16 bytes becomes the UUID's string, integral floats become integers
/// (JavaScript encoders write large integers as floats), keys are unique strings, numbers finite.
pub(crate) struct Json(pub(crate) Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;

        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, array, string, finite number, boolean, null or 16-byte id")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Json, E> {
                Ok(Json(Value::Null))
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
                Json::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json(Value::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
                number(value).map(|number| Json(Value::Number(number))).ok_or_else(|| E::custom("numbers must be finite"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json(Value::String(value.to_owned())))
            }

            fn visit_string<E>(self, value: String) -> Result<Json, E> {
                Ok(Json(Value::String(value)))
            }

            fn visit_bytes<E: de::Error>(self, value: &[u8]) -> Result<Json, E> {
                let id = uuid::Uuid::from_slice(value).map_err(|_| E::invalid_length(value.len(), &"a `bin` of 16 bytes"))?;
                Ok(Json(Value::String(id.hyphenated().to_string())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                // No capacity from the size hint: a lying length must not allocate.
                let mut out = Vec::new();
                while let Some(Json(item)) = items.next_element()? {
                    out.push(item);
                }
                Ok(Json(Value::Array(out)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Json, A::Error> {
                let mut out = serde_json::Map::new();
                while let Some((key, Json(value))) = fields.next_entry::<String, Json>()? {
                    if out.contains_key(&key) {
                        return Err(de::Error::custom(format_args!("the key {key:?} appears twice")));
                    }
                    out.insert(key, value);
                }
                Ok(Json(Value::Object(out)))
            }
        }

        deserializer.deserialize_any(JsonVisitor)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked: integral and within 2^53")]
fn number(value: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

/// Reads exactly one value from MessagePack.
pub(crate) fn from_msgpack(bytes: &[u8]) -> Result<Value, String> {
    let mut deserializer = rmp_serde::Deserializer::new(std::io::Cursor::new(bytes));
    deserializer.set_max_depth(DEPTH_MAX);
    let Json(value) = Json::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    if deserializer.position() != bytes.len() as u64 {
        return Err("there are bytes after the frame".into());
    }
    Ok(value)
}

/// Reads exactly one value from JSON text: keys are unique, numbers finite, nesting ends at 32, integral floats become integers.
///
/// # Errors
/// A sentence that says what is wrong, with line and column where there is one.
pub fn from_json(bytes: &[u8]) -> Result<Value, String> {
    let Json(value) = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if depth(&value) > DEPTH_MAX {
        return Err(format!("it nests deeper than {DEPTH_MAX}"));
    }
    Ok(value)
}

/// How deep containers nest; bounded because serde_json itself stops at 128.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}
