//! What all operations on rooms of a kind have in common in the OpenAPI document, said once: who may call, what the address holds, conditions,
//! the problems that the room and its rules can answer with.

use super::schema;
use crate::http::openapi::{BEARER, problem};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Header, OpenApi, RefOr, Required, ResponseBuilder, Schema};

/// What the document says of the resources of a kind.
#[derive(Clone, Copy)]
pub(in crate::http::v1) struct About {
    /// The tag of the operations.
    pub(in crate::http::v1) tag: &'static str,
    /// What a room of the kind is called.
    pub(in crate::http::v1) noun: &'static str,
    /// Whether an address is about one room, rather than about all of them.
    pub(in crate::http::v1) of_one: fn(&str) -> bool,
    /// Whether what is at an address has the room's version.
    pub(in crate::http::v1) versioned: fn(&str) -> bool,
    /// The schema of a parameter of the address; a UUID unless said otherwise.
    pub(in crate::http::v1) parameter: fn(&str) -> Option<RefOr<Schema>>,
    /// The schemas that the operations use.
    pub(in crate::http::v1) schemas: fn() -> Vec<(&'static str, RefOr<Schema>)>,
}

/// Completes the routes of a kind.
pub(in crate::http::v1) fn complete(document: &mut OpenApi, about: About) {
    let noun = about.noun;
    for (path, item) in &mut document.paths.paths {
        let (of_one, versioned) = ((about.of_one)(path), (about.versioned)(path));
        let writes = [(&mut item.post, true), (&mut item.put, false), (&mut item.patch, false), (&mut item.delete, false)];
        for (operation, is_post) in writes {
            let Some(operation) = operation else { continue };
            about.common(path, operation);
            problem(operation, "409", &format!("The {noun}'s rules do not allow it now; see `code`."));
            problem(operation, "422", "A field or parameter is unknown or not allowed; see `errors`.");
            if of_one {
                problem(operation, "403", "The caller's role does not allow it.");
            }
            let makes = is_post && !of_one;
            if makes || versioned {
                problem(operation, "412", &format!("`If-Match` names a version that the {noun} is not at."));
            }
            if versioned {
                about.conditional_write(operation);
            }
            if makes {
                about.etag(operation);
                header(operation, "201", "Location", &format!("The {noun}'s address."));
            }
        }
        if let Some(operation) = &mut item.get {
            about.common(path, operation);
            if operation.parameters.as_ref().is_some_and(|all| all.iter().any(is_query)) {
                problem(operation, "422", "A parameter is unknown or not allowed; see `errors`.");
            }
            if versioned {
                about.conditional_read(operation);
            }
        }
    }
    let schemas = &mut document.components.get_or_insert_default().schemas;
    let named = (about.schemas)().into_iter().chain(schema::named());
    schemas.extend(named.map(|(name, schema)| (name.to_owned(), schema)));
}

impl About {
    fn common(self, path: &str, operation: &mut Operation) {
        operation.tags = Some(vec![self.tag.to_owned()]);
        operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let uuid = || ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into()))).build().into();
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
            let parameter = parameter.schema(Some((self.parameter)(name).unwrap_or_else(uuid)));
            operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
        }
        if (self.of_one)(path) {
            let noun = self.noun;
            problem(operation, "404", &format!("There is no such {noun} or thing in it, or none that the caller may know of."));
        }
        problem(operation, "429", "Too many requests; try again after `Retry-After`.");
    }

    fn conditional_write(self, operation: &mut Operation) {
        let parameters = operation.parameters.get_or_insert_default();
        let about = format!("One `ETag`: the write is refused unless the {} is at exactly this version.", self.noun);
        parameters.push(parameter("If-Match", ParameterIn::Header, &about, text()));
        let about = "The seq that the author had seen: values that others changed since and this overwrites are told in `conflicts`.";
        let seq = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        parameters.push(parameter("base", ParameterIn::Query, about, seq));
        self.etag(operation);
    }

    fn conditional_read(self, operation: &mut Operation) {
        let about = "`ETag`s that the caller has.";
        operation.parameters.get_or_insert_default().push(parameter("If-None-Match", ParameterIn::Header, about, text()));
        self.etag(operation);
        let mut unchanged = ResponseBuilder::new().description("The caller has this version.").build();
        unchanged.headers.insert("ETag".to_owned(), RefOr::T(self.etag_header()));
        operation.responses.responses.insert("304".to_owned(), RefOr::T(unchanged));
    }

    fn etag(self, operation: &mut Operation) {
        for (status, response) in &mut operation.responses.responses {
            if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
                response.headers.insert("ETag".to_owned(), RefOr::T(self.etag_header()));
            }
        }
        header(operation, "201", "Location", "The address of what was made.");
    }

    fn etag_header(self) -> Header {
        let mut header = Header::new(text());
        header.description = Some(format!("The {}'s version: its seq in quotes.", self.noun));
        header
    }
}

fn is_query(parameter: &RefOr<utoipa::openapi::path::Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

fn parameter(name: &str, place: ParameterIn, about: &str, schema: ObjectBuilder) -> RefOr<utoipa::openapi::path::Parameter> {
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(Required::False).description(Some(about));
    RefOr::T(parameter.schema(Some(Schema::from(schema))).build())
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples(["\"42\""])
}

fn header(operation: &mut Operation, status: &str, name: &str, about: &str) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
        let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
        header.description = Some(about.to_owned());
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
}
