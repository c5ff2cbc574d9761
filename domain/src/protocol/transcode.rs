//! MessagePack to JSON, without knowing types.
//!
//! For bytes that this server encoded itself: frames, records, views. A `bin` of 16 bytes becomes a UUID string.

use rmp::Marker;
use rmp::decode::{read_f32, read_f64, read_int, read_marker};
use thiserror::Error;

/// Bytes that are not MessagePack as this server writes it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not the MessagePack that this server writes: {0}")]
pub struct TranscodeError(&'static str);

const DEPTH_MAX: usize = 64;

/// The JSON text of exactly one MessagePack value.
///
/// # Errors
/// [`TranscodeError`] when the bytes end early, go on afterwards, nest deeper than 64, have keys that are not strings, a `bin` of
/// another length than 16, an extension, or a float that is not finite.
pub fn to_json(bytes: &[u8]) -> Result<Vec<u8>, TranscodeError> {
    let mut input = bytes;
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 2);
    value(&mut input, &mut out, DEPTH_MAX)?;
    if input.is_empty() { Ok(out) } else { Err(TranscodeError("bytes after the value")) }
}

/// The JSON text of a map whose last value is JSON already: `head` is the map up to its last key.
///
/// # Errors
/// As [`to_json`]; `last` is not looked at.
pub fn to_json_around(head: &[u8], last: &[u8]) -> Result<Vec<u8>, TranscodeError> {
    let mut input = head;
    let mut out = Vec::with_capacity(head.len() + head.len() / 2 + last.len());
    let marker = read_marker(&mut input).map_err(|_| ENDS)?;
    // FixMap has its length in the marker; Map16 and Map32 have it behind.
    let entries = match marker.to_u8() {
        fixed @ 0x80..=0x8f => usize::from(fixed & 0x0f),
        0xde | 0xdf => length(&mut input, marker)?,
        _ => return Err(TranscodeError("not a map")),
    };
    let before_last = entries.checked_sub(1).ok_or(TranscodeError("a map without entries"))?;
    out.push(b'{');
    for _ in 0..before_last {
        key(&mut input, &mut out)?;
        value(&mut input, &mut out, DEPTH_MAX - 1)?;
        out.push(b',');
    }
    key(&mut input, &mut out)?;
    out.extend_from_slice(last);
    out.push(b'}');
    if input.is_empty() { Ok(out) } else { Err(TranscodeError("bytes after the last key")) }
}

const ENDS: TranscodeError = TranscodeError("it ends early");

fn value(input: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), TranscodeError> {
    let before = *input;
    let marker = read_marker(input).map_err(|_| ENDS)?;
    match marker {
        Marker::Null => out.extend_from_slice(b"null"),
        Marker::True => out.extend_from_slice(b"true"),
        Marker::False => out.extend_from_slice(b"false"),
        Marker::FixPos(_)
        | Marker::FixNeg(_)
        | Marker::U8
        | Marker::U16
        | Marker::U32
        | Marker::U64
        | Marker::I8
        | Marker::I16
        | Marker::I32
        | Marker::I64 => {
            *input = before;
            let number: i128 = match read_int::<i64, _>(input) {
                Ok(number) => number.into(),
                Err(_) => {
                    *input = before;
                    read_int::<u64, _>(input).map_err(|_| ENDS)?.into()
                }
            };
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Marker::F32 => {
            *input = before;
            float(read_f32(input).map_err(|_| ENDS)?.into(), out)?;
        }
        Marker::F64 => {
            *input = before;
            float(read_f64(input).map_err(|_| ENDS)?, out)?;
        }
        Marker::FixStr(len) => text(take(input, len.into())?, out)?,
        Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let len = length(input, marker)?;
            text(take(input, len)?, out)?;
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            let len = length(input, marker)?;
            let id = uuid::Uuid::from_slice(take(input, len)?).map_err(|_| TranscodeError("a bin that is not 16 bytes"))?;
            out.push(b'"');
            out.extend_from_slice(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).as_bytes());
            out.push(b'"');
        }
        Marker::FixArray(len) => array(input, out, len.into(), depth)?,
        Marker::Array16 | Marker::Array32 => {
            let len = length(input, marker)?;
            array(input, out, len, depth)?;
        }
        Marker::FixMap(len) => map(input, out, len.into(), depth)?,
        Marker::Map16 | Marker::Map32 => {
            let len = length(input, marker)?;
            map(input, out, len, depth)?;
        }
        Marker::Reserved
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32
        | Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16 => return Err(TranscodeError("an extension")),
    }
    Ok(())
}

fn float(value: f64, out: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let number = serde_json::Number::from_f64(value).ok_or(TranscodeError("a float that is not finite"))?;
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

fn text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TranscodeError("a string that is not UTF-8"))?;
    serde_json::to_writer(out, text).map_err(|_| TranscodeError("a string"))
}

fn array(input: &mut &[u8], out: &mut Vec<u8>, len: usize, depth: usize) -> Result<(), TranscodeError> {
    let depth = depth.checked_sub(1).ok_or(TranscodeError("it nests too deep"))?;
    out.push(b'[');
    for index in 0..len {
        if index > 0 {
            out.push(b',');
        }
        value(input, out, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn map(input: &mut &[u8], out: &mut Vec<u8>, len: usize, depth: usize) -> Result<(), TranscodeError> {
    let depth = depth.checked_sub(1).ok_or(TranscodeError("it nests too deep"))?;
    out.push(b'{');
    for index in 0..len {
        if index > 0 {
            out.push(b',');
        }
        key(input, out)?;
        value(input, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

/// A map's key, and the colon after it.
fn key(input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), TranscodeError> {
    // Strings are FixStr (0xa0 to 0xbf) or Str8, Str16, Str32 (0xd9 to 0xdb); a UUID key is written as its string.
    match input.first() {
        Some(0xa0..=0xbf | 0xd9..=0xdb | 0xc4) => value(input, out, 0)?,
        _ => return Err(TranscodeError("a key that is not a string")),
    }
    out.push(b':');
    Ok(())
}

/// The big-endian length that follows a marker with a length of 1, 2 or 4 bytes.
fn length(input: &mut &[u8], marker: Marker) -> Result<usize, TranscodeError> {
    let width = match marker.to_u8() {
        0xc4 | 0xd9 => 1,
        0xc5 | 0xda | 0xdc | 0xde => 2,
        _ => 4,
    };
    Ok(take(input, width)?.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)))
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], TranscodeError> {
    let (head, rest) = input.split_at_checked(len).ok_or(ENDS)?;
    *input = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e15..1.0e15).prop_map(|x: f64| Value::from(x)),
            ".{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                prop::collection::hash_map(".{0,8}", inner, 0..20).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_says_the_same(value in any_value()) {
            let packed = rmp_serde::to_vec_named(&value).unwrap();
            let json: Value = serde_json::from_slice(&to_json(&packed).unwrap()).unwrap();
            prop_assert_eq!(json, value);
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = to_json(&bytes);
            let _ = to_json_around(&bytes, b"null");
        }

        #[test]
        fn a_last_value_that_is_json_already_makes_no_difference(entries in 0..40_usize, value in any_value()) {
            let mut map: Vec<(String, Value)> = (0..entries).map(|n| (format!("k{n}"), value.clone())).collect();
            map.push(("last".to_owned(), value.clone()));
            let mut packed = Vec::new();
            rmp::encode::write_map_len(&mut packed, u32::try_from(map.len()).unwrap()).unwrap();
            for (key, value) in &map {
                rmp::encode::write_str(&mut packed, key).unwrap();
                packed.extend(rmp_serde::to_vec_named(value).unwrap());
            }
            let last = rmp_serde::to_vec_named(&value).unwrap();
            let head = &packed[..packed.len() - last.len()];
            prop_assert_eq!(to_json_around(head, &to_json(&last).unwrap()).unwrap(), to_json(&packed).unwrap());
            prop_assert!(to_json_around(&packed, b"null").is_err());
        }
    }

    #[test]
    fn ids_become_strings() {
        let id = crate::RoomId(uuid::Uuid::from_u128(1));
        let json = to_json(&rmp_serde::to_vec_named(&(id, 1)).unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), json!(["00000000-0000-0000-0000-000000000001", 1]));
        assert!(to_json(&[0xc4, 1, 0]).is_err());
        assert!(to_json(&[0x91]).is_err());
    }
}
