//! The OpenAPI 3.1 document: what the routes do not say themselves.

use super::problem::{PROBLEM_JSON, ProblemBody};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};

/// Title, security schemes and shared schemas.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "TripSync",
        description = "Plan trips and share rides together, live. Errors are RFC 9457 problems with a stable `code`; \
            unknown fields in requests are refused, unknown fields in answers are to be ignored.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "auth", description = "Accounts and tokens."),
        (name = "me", description = "The caller's own account."),
        (name = "trips", description = "Trips and what is in them. Writes are commands to the trip's room, as on sockets."),
        (name = "pools", description = "Shared rides with seats. Writes are commands to the pool's room, as on sockets."),
        (name = "inbox", description = "What concerns the caller alone: what was delivered, ride requests, searches that are kept."),
        (name = "live", description = "The live socket."),
        (name = "system", description = "The server itself.")
    )
)]
struct Base;

/// The name of the security scheme.
pub const BEARER: &str = "bearer";

pub(super) fn base() -> OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some("An access token from auth.login or auth.refresh."))
                .build(),
        ),
    );
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    document
}

/// Every operation can meet these; declared here once instead of beside each route.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        if !path.starts_with("/api/") {
            continue;
        }
        let with_body = [&mut item.post, &mut item.put, &mut item.patch];
        for operation in with_body.into_iter().flatten() {
            if operation.request_body.is_some() {
                problem(operation, "400", "The request could not be understood.");
                problem(operation, "413", "The body is too large.");
                problem(operation, "415", "The body is not in a supported media type.");
                problem(operation, "422", "A field is unknown or not allowed; see `errors`.");
            }
        }
        if let Some(operation) = &mut item.post {
            super::v1::idempotency::document(operation);
        }
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            if operation.security.as_ref().is_some_and(|list| !list.is_empty()) {
                problem(operation, "401", "No credentials, or credentials that do not hold.");
            }
            problem(operation, "408", "The request took too long.");
            problem(operation, "500", "A defect of the server.");
            problem(operation, "503", "Busy or without its database; try again after `Retry-After`.");
        }
    }
    document
}

/// Declares a problem for a status that the route has not described itself.
pub(super) fn problem(operation: &mut Operation, status: &str, description: &str) {
    let described = operation.responses.responses.contains_key(status);
    if !described {
        let schema = RefOr::Ref(Ref::from_schema_name(ProblemBody::name()));
        let content = ContentBuilder::new().schema(Some(schema)).build();
        operation
            .responses
            .responses
            .insert(status.to_owned(), RefOr::T(ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build()));
    }
}

/// The document as pretty JSON with a final newline, as `tripsync openapi` prints it and the snapshot holds it.
///
/// # Errors
/// Never in practice; serialisation of the document could only fail on a defect of utoipa.
pub fn json() -> Result<String, serde_json::Error> {
    let (_, document) = super::router::documented();
    document.to_pretty_json().map(|text| text + "\n")
}
