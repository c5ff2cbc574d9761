//! A short way to write schemas.

use serde_json::{Value, json};
use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};

/// A schema or a reference to one.
pub(in crate::http::v1) type Made = RefOr<Schema>;

/// A field of an object.
#[derive(Clone)]
pub(in crate::http::v1) struct Field {
    pub(in crate::http::v1) name: &'static str,
    schema: Made,
    required: bool,
}

/// A field that is always there.
pub(in crate::http::v1) fn required(name: &'static str, about: &str, schema: Made) -> Field {
    Field { name, schema: described(schema, about), required: true }
}

/// A field that may be absent.
pub(in crate::http::v1) fn optional(name: &'static str, about: &str, schema: Made) -> Field {
    Field { name, schema: described(schema, about), required: false }
}

fn described(schema: Made, about: &str) -> Made {
    let text = about.to_owned();
    let about = Some(about.to_owned());
    match schema {
        RefOr::Ref(mut reference) => {
            reference.description = text;
            RefOr::Ref(reference)
        }
        RefOr::T(Schema::Object(mut object)) => {
            object.description = about;
            object.into()
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = about;
            array.into()
        }
        RefOr::T(Schema::OneOf(mut one)) => {
            one.description = about;
            RefOr::T(Schema::OneOf(one))
        }
        other @ RefOr::T(_) => other,
    }
}

/// An object in an answer: clients ignore fields that they do not know.
pub(in crate::http::v1) fn object(about: &str, fields: Vec<Field>, example: Value) -> Made {
    build(about, fields).examples([example]).build().into()
}

/// An object in a request: unknown fields are refused.
pub(in crate::http::v1) fn strict(about: &str, fields: Vec<Field>) -> ObjectBuilder {
    build(about, fields).additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn build(about: &str, fields: Vec<Field>) -> ObjectBuilder {
    let start = ObjectBuilder::new().schema_type(Type::Object).description(Some(about));
    fields.into_iter().fold(start, |object, field| {
        let object = if field.required { object.required(field.name) } else { object };
        object.property(field.name, field.schema)
    })
}

/// A schema by its name.
pub(in crate::http::v1) fn reference(name: &str) -> Made {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// The same, or null.
pub(in crate::http::v1) fn or_null(schema: Made) -> Made {
    match schema {
        RefOr::T(Schema::Object(mut object)) if object.enum_values.is_none() => {
            if let SchemaType::Type(one) = object.schema_type {
                object.schema_type = SchemaType::Array(vec![one, Type::Null]);
            }
            object.into()
        }
        other @ (RefOr::Ref(_) | RefOr::T(_)) => {
            RefOr::T(Schema::OneOf(OneOfBuilder::new().item(other).item(ObjectBuilder::new().schema_type(Type::Null)).build()))
        }
    }
}

/// 1 to `max` characters.
pub(in crate::http::v1) fn text(max: usize) -> Made {
    string().min_length(Some(1)).max_length(Some(max)).build().into()
}

/// A text out of a closed set.
pub(in crate::http::v1) fn tags<'a>(about: &str, all: impl Iterator<Item = &'a str>) -> Made {
    string().description(Some(about)).enum_values(Some(all)).build().into()
}

pub(in crate::http::v1) fn uuid() -> Made {
    string().format(Some(SchemaFormat::Custom("uuid".into()))).build().into()
}

pub(in crate::http::v1) fn instant() -> Made {
    string().format(Some(SchemaFormat::Custom("date-time".into()))).examples([json!("2027-05-02T09:30:00.123Z")]).build().into()
}

pub(in crate::http::v1) fn date() -> Made {
    string().format(Some(SchemaFormat::Custom("date".into()))).examples([json!("2027-05-02")]).build().into()
}

pub(in crate::http::v1) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

pub(in crate::http::v1) fn flag() -> Made {
    ObjectBuilder::new().schema_type(Type::Boolean).build().into()
}

/// A whole number within bounds.
pub(in crate::http::v1) fn integer(min: i64, max: i64) -> Made {
    let format = SchemaFormat::Custom("int64".into());
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(min)).maximum(Some(max)).build().into()
}

/// A seq or another number that counts up.
pub(in crate::http::v1) fn count() -> Made {
    let format = SchemaFormat::Custom("int64".into());
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0)).build().into()
}

/// A list of at most `max` items.
pub(in crate::http::v1) fn list(items: Made, max: usize) -> Made {
    ArrayBuilder::new().items(items).max_items(Some(max)).build().into()
}

/// A list whose length follows from what it tells.
pub(in crate::http::v1) fn any_list(items: Made) -> Made {
    ArrayBuilder::new().items(items).build().into()
}

/// A list of different items.
pub(in crate::http::v1) fn set(items: Made, max: usize) -> Made {
    ArrayBuilder::new().items(items).max_items(Some(max)).unique_items(true).build().into()
}

/// An object whose keys are data.
pub(in crate::http::v1) fn map(values: Made) -> Made {
    ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(values)).build().into()
}

/// An object of the client's making.
pub(in crate::http::v1) fn any_object() -> Made {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(true)))
        .build()
        .into()
}

/// Any value.
pub(in crate::http::v1) fn anything() -> Made {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

/// Exactly one of several.
pub(in crate::http::v1) fn one_of(about: &str, all: impl IntoIterator<Item = Made>) -> Made {
    RefOr::T(Schema::OneOf(all.into_iter().fold(OneOfBuilder::new().description(Some(about)), OneOfBuilder::item).build()))
}
