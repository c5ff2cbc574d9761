//! Errors as `application/problem+json` (RFC 9457), the one form for every failure on HTTP.
//!
//! Built on the domain's [`ErrorCode`], so REST and sockets use the same tags. The `type` is a page of this server
//! (`/problems/<code>`). Causes never leave the server: they are logged here, once, under the request id.

use super::context::RequestContext;
use crate::store::StoreError;
use crate::telemetry::chain;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;
use tripsync_domain::{ErrorCode, Rejection};
use utoipa::ToSchema;

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A failed request, on its way to becoming an answer.
#[derive(Debug, Clone)]
pub struct Problem {
    code: ErrorCode,
    /// Boxed, so that results stay small.
    more: Box<More>,
}

#[derive(Debug, Clone)]
struct More {
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    details: Option<Box<serde_json::Value>>,
    headers: HeaderMap,
}

/// One thing wrong in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body (RFC 6901), `?name` for a query parameter, or a header's name.
    #[schema(example = "/title")]
    pub pointer: String,
    /// What, for programs.
    #[schema(schema_with = code_schema)]
    pub code: ErrorCode,
    /// What, for people; names the bound that was passed.
    #[schema(example = "must have 1 to 100 characters")]
    pub detail: String,
}

impl FieldError {
    /// A value outside its bounds.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: ErrorCode::Invalid, detail: detail.into() }
    }
}

/// The body of every error answer (`application/problem+json`, RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A page about this kind of problem.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", example = "/problems/not_found")]
    pub kind: String,
    /// A short title, the same for every occurrence of the code.
    #[schema(example = "Not found")]
    pub title: Cow<'static, str>,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened this time, for people.
    #[schema(example = "there is no such trip")]
    pub detail: Cow<'static, str>,
    /// What happened, for programs; stable.
    #[schema(schema_with = code_schema)]
    pub code: ErrorCode,
    /// Finds this request in the server's log; also in the `X-Request-Id` header.
    #[schema(example = "01920000-0000-7000-8000-0000000000ff")]
    pub request_id: String,
    /// What is wrong in the request, field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// What a program needs beyond the code, such as how many seats are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Object, example = json!({"seats_left": 1}))]
    pub details: Option<Box<serde_json::Value>>,
}

/// The schema of an error code: a string out of the known ones.
pub(crate) fn code_schema() -> utoipa::openapi::schema::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some("Stable error code, the same on every surface. New ones may be added."))
        .enum_values(Some(ErrorCode::ALL.iter().map(|code| code.as_str())))
        .build()
}

impl Problem {
    /// A problem with a sentence about this occurrence. The sentence must not hold secrets or causes.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, more: Box::new(More { detail: detail.into(), errors: Vec::new(), details: None, headers: HeaderMap::new() }) }
    }

    /// Something does not exist, or the caller may not know of it.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// Values outside their bounds, field by field.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(ErrorCode::Invalid, "see errors for the fields that are not allowed");
        problem.more.errors = errors;
        problem
    }

    /// A defect of this server. `cause` goes to the log only.
    #[must_use]
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(request.id = %request_id(), cause = chain(cause), "request failed");
        Self::new(ErrorCode::Internal, "the server failed; the request id finds it in the log")
    }

    /// Adds a field error.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.more.errors.push(error);
        self
    }

    /// Says when to try again; rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        match HeaderValue::from_str(&seconds.to_string()) {
            Ok(value) => self.with_header(RETRY_AFTER, value),
            Err(_) => self,
        }
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.more.headers.insert(name, value);
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The HTTP status that this problem answers with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

fn request_id() -> String {
    RequestContext::current().map_or_else(String::new, |context| context.request_id.to_string())
}

/// The challenge that a 401 must carry (RFC 9110 §11.6.1, RFC 6750 §3).
fn challenge(code: ErrorCode) -> HeaderValue {
    let refused_token = matches!(code, ErrorCode::TokenExpired | ErrorCode::TokenReused | ErrorCode::SessionRevoked);
    HeaderValue::from_static(if refused_token { "Bearer realm=\"tripsync\", error=\"invalid_token\"" } else { "Bearer realm=\"tripsync\"" })
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let More { detail, errors, details, mut headers } = *self.more;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(self.code));
        }
        if matches!(status.as_u16(), 429 | 503) && !headers.contains_key(RETRY_AFTER) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        let base = RequestContext::current().map_or_else(String::new, |context| context.public_url.to_string());
        let body = ProblemBody {
            kind: format!("{base}/problems/{}", self.code.as_str()),
            title: Cow::Borrowed(self.code.title()),
            status: status.as_u16(),
            detail,
            code: self.code,
            request_id: request_id(),
            errors,
            details,
        };
        // The tuple's headers win over the JSON answer's own content type.
        (status, headers, Json(body)).into_response()
    }
}

impl From<Rejection> for Problem {
    /// A rejection of a room or a session, with its pointer as the one field error.
    fn from(rejection: Rejection) -> Self {
        let mut problem = Self::new(rejection.code, rejection.message.clone());
        if let Some(pointer) = rejection.pointer {
            problem = problem.with_error(FieldError { pointer, code: rejection.code, detail: rejection.message.into_owned() });
        }
        problem.more.details = rejection.details;
        match rejection.retry_after_ms {
            Some(ms) => problem.retry_after(Duration::from_millis(ms)),
            None => problem,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(request.id = %request_id(), cause = chain(&error), "database unavailable");
            Self::new(ErrorCode::Retry, "the database is not available; try again").retry_after(Duration::from_secs(1))
        } else {
            Self::internal(&error)
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_carries_what_the_standard_and_the_log_need() {
        let context = RequestContext { request_id: "r-1".into(), public_url: "https://t.example".into() };
        let response = context.scope(async { Problem::invalid(vec![FieldError::invalid("/a~1b", "too long")]).into_response() }).await;
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "https://t.example/problems/invalid", "title": "A value is not allowed", "status": 422,
                "detail": "see errors for the fields that are not allowed", "code": "invalid", "request_id": "r-1",
                "errors": [{"pointer": "/a~1b", "code": "invalid", "detail": "too long"}],
            })
        );
    }

    #[test]
    fn every_401_challenges_and_every_503_says_when() {
        for code in ErrorCode::ALL {
            let response = Problem::new(*code, "x").into_response();
            let headers = response.headers();
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), response.status() == 401, "{code:?}");
            assert_eq!(headers.contains_key(RETRY_AFTER), matches!(response.status().as_u16(), 429 | 503), "{code:?}");
        }
    }
}
