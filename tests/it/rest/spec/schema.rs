//! JSON Schema as far as the document uses it, except patterns. Stricter in one way: a field that is not described is an error,
//! because answers are to be documented in full.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::DOCUMENT;

/// Whether a value is as a schema says; else the first difference.
pub(in crate::rest) fn conforms(schema: &Value, value: &Value) -> Result<(), String> {
    check(schema, value, "")
}

fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{at:?} {what}"));
    if let Some(target) = target(schema) {
        check(target, value, at)?;
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|wanted| is(wanted, value)) {
        return wrong(&format!("is not of type {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return wrong("is none of the enum's values");
    }
    if let Some(parts) = schema["allOf"].as_array() {
        check(&merged(parts), value, at)?;
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let results: Vec<_> = choices.iter().map(|choice| check(choice, value, at)).collect();
        if results.iter().filter(|result| result.is_ok()).count() != 1 {
            return wrong(&format!("is not exactly one of the choices: {results:?}"));
        }
    }
    match value {
        Value::Object(fields) => object(schema, fields, at),
        Value::Array(items) => array(schema, items, at),
        Value::String(text) => string(schema, text).or_else(|what| wrong(&what)),
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
            let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
            if below || above { wrong("is outside its bounds") } else { Ok(()) }
        }
        Value::Null | Value::Bool(_) => Ok(()),
    }
}

/// Where a `$ref` leads.
fn target(schema: &Value) -> Option<&'static Value> {
    let reference = schema["$ref"].as_str()?;
    Some(DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference} leads nowhere")))
}

/// One object schema out of several, so that a field that none describes is found.
fn merged(parts: &[Value]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let part = target(part).unwrap_or(part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn is(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the document uses the type {other}, which this check does not know"),
    }
}

fn object(schema: &Value, fields: &Map<String, Value>, at: &str) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{at:?} has no {name}"));
        }
    }
    for (name, value) in fields {
        let at = format!("{at}/{name}");
        if let Some(described) = schema["properties"].get(name) {
            check(described, value, &at)?;
        } else if schema["additionalProperties"].is_object() {
            check(&schema["additionalProperties"], value, &at)?;
        } else if schema["properties"].is_object() && schema["additionalProperties"] != true {
            return Err(format!("{at:?} is not described"));
        }
    }
    Ok(())
}

fn array(schema: &Value, items: &[Value], at: &str) -> Result<(), String> {
    if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
        return Err(format!("{at:?} has too many items"));
    }
    if schema["uniqueItems"] == true && items.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() != items.len() {
        return Err(format!("{at:?} has an item twice"));
    }
    items.iter().enumerate().try_for_each(|(index, item)| check(&schema["items"], item, &format!("{at}/{index}")))
}

fn string(schema: &Value, text: &str) -> Result<(), String> {
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least) || schema["maxLength"].as_u64().is_some_and(|most| length > most) {
        return Err("has the wrong length".to_owned());
    }
    let fits = match schema["format"].as_str() {
        Some("uuid") => text.len() == 36 && text.parse::<uuid::Uuid>().is_ok(),
        Some("date") => text.parse::<tripsync_domain::civil::Date>().is_ok(),
        Some("date-time") => text.ends_with('Z') && text.len() >= 20 && text.as_bytes()[10] == b'T',
        _ => true,
    };
    if fits { Ok(()) } else { Err(format!("is no {}", schema["format"])) }
}

#[test]
fn differences_are_found() {
    let thing = json!({
        "type": "object", "required": ["id"], "properties": {
            "id": {"type": "string", "format": "uuid"},
            "n": {"type": ["integer", "null"], "minimum": 0},
            "list": {"type": "array", "maxItems": 2, "items": {"oneOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]}},
        }
    });
    let id = "01920000-0000-7000-8000-0000000000ff";
    assert_eq!(conforms(&thing, &json!({"id": id, "n": null, "list": ["a", null]})), Ok(()));
    for (value, at) in [
        (json!([]), "\"\""),
        (json!({}), "no id"),
        (json!({"id": "x"}), "/id"),
        (json!({"id": id, "n": 1.5}), "/n"),
        (json!({"id": id, "n": -1}), "/n"),
        (json!({"id": id, "list": ["a", "b", "c"]}), "/list"),
        (json!({"id": id, "list": ["abc"]}), "/list/0"),
        (json!({"id": id, "more": 1}), "/more"),
    ] {
        let difference = conforms(&thing, &value).unwrap_err();
        assert!(difference.contains(at), "{value}: {difference}");
    }
}
