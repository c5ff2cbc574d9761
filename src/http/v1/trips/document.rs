//! What all operations on trips have in common in the OpenAPI document, said once: who may call, what the address holds, conditions,
//! the problems that the room and its rules can answer with.

use super::schema;
use crate::http::openapi::{BEARER, problem};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Header, OpenApi, RefOr, Required, ResponseBuilder, Schema};

/// Completes the routes of this module.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let of_trip = path.contains("{trip}");
        let writes = [(&mut item.post, true), (&mut item.put, false), (&mut item.patch, false), (&mut item.delete, false)];
        for (operation, is_post) in writes {
            let Some(operation) = operation else { continue };
            common(path, operation);
            problem(operation, "409", "The trip's rules do not allow it now; see `code`.");
            problem(operation, "412", "`If-Match` names a version that the trip is not at.");
            problem(operation, "422", "A field or parameter is unknown or not allowed; see `errors`.");
            if of_trip {
                problem(operation, "403", "The caller's role does not allow it.");
                conditional_write(operation);
            }
            if is_post && !of_trip {
                etag(operation);
                header(operation, "201", "Location", "The trip's address.");
            }
        }
        if let Some(operation) = &mut item.get {
            common(path, operation);
            if operation.parameters.as_ref().is_some_and(|all| all.iter().any(is_query)) {
                problem(operation, "422", "A parameter is unknown or not allowed; see `errors`.");
            }
            if of_trip {
                conditional_read(operation);
            }
        }
    }
    let schemas = &mut document.components.get_or_insert_default().schemas;
    schemas.extend(schema::named().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
}

fn common(path: &str, operation: &mut Operation) {
    operation.tags = Some(vec!["trips".to_owned()]);
    operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        let parameter = match name {
            "emoji" => parameter.schema(Some(<schema::Emoji as utoipa::PartialSchema>::schema())),
            _ => parameter.schema(Some(ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into()))))),
        };
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    }
    if path.contains("{trip}") {
        problem(operation, "404", "There is no such trip or thing in it, or none that the caller may know of.");
    }
    problem(operation, "429", "Too many requests; try again after `Retry-After`.");
}

fn is_query(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

fn conditional_write(operation: &mut Operation) {
    let parameters = operation.parameters.get_or_insert_default();
    let about = "One `ETag`: the write is refused unless the trip is at exactly this version.";
    parameters.push(parameter("If-Match", ParameterIn::Header, about, text()));
    let about = "The seq that the author had seen: values that others changed since and this overwrites are told in `conflicts`.";
    let seq = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    parameters.push(parameter("base", ParameterIn::Query, about, seq));
    etag(operation);
}

fn conditional_read(operation: &mut Operation) {
    let about = "`ETag`s that the caller has.";
    operation.parameters.get_or_insert_default().push(parameter("If-None-Match", ParameterIn::Header, about, text()));
    etag(operation);
    let mut unchanged = ResponseBuilder::new().description("The caller has this version.").build();
    unchanged.headers.insert("ETag".to_owned(), RefOr::T(etag_header()));
    operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
}

fn parameter(name: &str, place: ParameterIn, about: &str, schema: ObjectBuilder) -> RefOr<utoipa::openapi::path::Parameter> {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False).description(Some(about));
    RefOr::T(parameter.schema(Some(Schema::from(schema))).build())
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples(["\"42\""])
}

fn etag(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            response.headers.insert("ETag".to_owned(), RefOr::T(etag_header()));
        }
    }
    header(operation, "201", "Location", "The address of what was made.");
}

fn etag_header() -> Header {
    let mut header = Header::new(text());
    header.description = Some("The trip's version: its seq in quotes.".to_owned());
    header
}

fn header(operation: &mut Operation, status: &str, name: &str, about: &str) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
        let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
        header.description = Some(about.to_owned());
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
}
