//! Reading requests: JSON bodies, query strings, forms and path parameters, with typed problems that point at the mistake.

use super::problem::{FieldError, Problem};
use crate::app::App;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use tripsync_domain::ErrorCode;
use tripsync_domain::command::Strict;
use tripsync_domain::protocol::from_json;

/// A JSON body; see [`parse`]. Unknown fields are refused where the type says `deny_unknown_fields`.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

/// A JSON body that may be left out; see [`parse`].
#[derive(Debug, Clone, Copy)]
pub struct OptionalJson<T>(pub T);

/// A JSON body from somebody who has not shown who they are: at most [`STRANGERS_BYTES_MAX`].
#[derive(Debug, Clone, Copy)]
pub struct StrangersJson<T>(pub T);

/// Bytes of a body from somebody who has not shown who they are, so that thousands of them at once fit into memory.
pub(crate) const STRANGERS_BYTES_MAX: usize = 16 * 1024;

/// Query parameters.
#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

/// Path parameters; what cannot be an id is not found.
#[derive(Debug, Clone, Copy)]
pub struct ApiPath<T>(pub T);

/// What a body claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Form,
    Other,
}

/// Reads the content type's essence, ignoring parameters and case.
pub(crate) fn media(headers: &HeaderMap) -> Media {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .map(|text| text.trim().to_ascii_lowercase())
        .unwrap_or_default();
    match essence.as_str() {
        "application/json" => Media::Json,
        "application/x-www-form-urlencoded" => Media::Form,
        other if other.starts_with("application/") && other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}

/// Reads the whole body, up to a limit.
///
/// # Errors
/// `too_large` beyond it, `malformed` when the client stops sending.
pub(crate) async fn body(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(ErrorCode::Malformed, "the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if kept.len() + data.len() > limit {
            // What is still to come is thrown away before the answer leaves (`leftover`).
            return Err(Problem::new(ErrorCode::TooLarge, format!("the body has more than {limit} bytes")));
        }
        kept.extend_from_slice(&data);
    }
    Ok(kept.freeze())
}

impl<T: DeserializeOwned> FromRequest<App> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if media(request.headers()) != Media::Json {
            return Err(not_json());
        }
        parse(&body(request.into_body(), app.config.http.body_bytes_max).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let media = media(request.headers());
        let body = body(request.into_body(), app.config.http.body_bytes_max).await?;
        match media {
            _ if body.is_empty() => Ok(Self(T::default())),
            Media::Json => parse::<Option<T>>(&body).map(|value| Self(value.unwrap_or_default())),
            Media::Form | Media::Other => Err(not_json()),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<App> for StrangersJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if media(request.headers()) != Media::Json {
            return Err(not_json());
        }
        parse(&strangers_body(request.into_body(), app).await?).map(Self)
    }
}

/// Reads the whole body of a request that anybody may send.
///
/// # Errors
/// As [`body`].
pub(crate) async fn strangers_body(given: Body, app: &App) -> Result<Bytes, Problem> {
    body(given, app.config.http.body_bytes_max.min(STRANGERS_BYTES_MAX)).await
}

pub(crate) fn not_json() -> Problem {
    Problem::new(ErrorCode::UnsupportedMediaType, "send JSON with Content-Type: application/json")
}

/// Parses JSON bytes, as strictly as the live socket does: keys are unique, nesting is limited, an array is never taken for an
/// object.
///
/// # Errors
/// `malformed` when it is not JSON (with line and column), `unknown_field` or `invalid` with a pointer otherwise.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value =
        from_json(bytes).map_err(|why| Problem::new(ErrorCode::Malformed, format!("the body is not JSON as it should be: {why}")))?;
    from_value(&value)
}

/// Reads a value out of already parsed JSON; as [`parse`].
///
/// # Errors
/// As [`parse`].
pub fn from_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let pointer = pointer(error.path());
        shape(pointer, &error.into_inner())
    })
}

fn shape(pointer: String, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let unknown = text.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown {
        Some(name) => {
            let pointer = with_segment(pointer, name);
            Problem::new(ErrorCode::UnknownField, format!("there is no field {pointer}")).with_error(FieldError {
                pointer,
                code: ErrorCode::UnknownField,
                detail: text,
            })
        }
        None => Problem::invalid(vec![FieldError::invalid(pointer, text)]),
    }
}

/// serde_path_to_error may or may not have counted the unknown field itself to the path.
fn with_segment(pointer: String, name: &str) -> String {
    let segment = format!("/{}", escape(name));
    if pointer.ends_with(&segment) { pointer } else { pointer + &segment }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                out.push('/');
                out.push_str(&escape(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    out
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                // "name: what is wrong" or "unknown field `name`, …", also behind the name.
                let (name, detail) = text.split_once(": ").unwrap_or(("", text));
                let unknown = [text, detail].iter().find_map(|text| text.strip_prefix("unknown field `"));
                Err(match unknown.and_then(|rest| rest.split('`').next()) {
                    Some(name) => Problem::new(ErrorCode::UnknownField, format!("there is no parameter {name}")).with_error(FieldError {
                        pointer: format!("?{name}"),
                        code: ErrorCode::UnknownField,
                        detail: text.to_owned(),
                    }),
                    None => {
                        let twice = text.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`'));
                        Problem::invalid(vec![FieldError::invalid(format!("?{}", twice.unwrap_or(name)), detail)])
                    }
                })
            }
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found("there is nothing under this address: an id in it is not a UUID")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape matters")]
    struct Outer {
        #[serde(rename = "a/b")]
        name: Option<String>,
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape matters")]
    struct Inner {
        n: u8,
    }

    async fn refused(text: &str) -> Value {
        let response = parse::<Outer>(text.as_bytes()).unwrap_err().into_response();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn mistakes_are_pointed_at() {
        for (text, code, pointer) in [
            ("{\"list\":[{\"n\":1},{\"n\":300}]}", "invalid", "/list/1/n"),
            ("{\"list\":[{\"n\":1,\"m\":2}]}", "unknown_field", "/list/0/m"),
            ("{\"list\":[],\"x/y\":1}", "unknown_field", "/x~1y"),
            ("{\"a/b\":7,\"list\":[]}", "invalid", "/a~1b"),
            ("{}", "invalid", ""),
            ("[]", "invalid", ""),
            ("{\"list\":[[1]]}", "invalid", "/list/0"),
        ] {
            let body = refused(text).await;
            assert_eq!(body["code"], code, "{text}: {body}");
            assert_eq!(body["errors"][0]["pointer"], pointer, "{text}: {body}");
            assert!(!body["errors"][0]["detail"].as_str().unwrap().contains("line"), "{body}");
        }
        let deep = "[".repeat(5000);
        let nan = "{\"list\":[{\"n\":NaN}]}";
        let twice = "{\"list\":[],\"list\":[]}";
        let twice_within = "{\"list\":[{\"n\":1,\"n\":2}]}";
        for text in ["", "{", "{\"list\":[]} x", "nul", deep.as_str(), nan, twice, twice_within] {
            let body = refused(text).await;
            assert_eq!((&body["code"], &body["status"]), (&json!("malformed"), &json!(400)), "{text}: {body}");
        }
        // Also where any object will do.
        assert!(parse::<serde_json::Map<String, Value>>(b"{\"title\":\"a\",\"title\":\"b\"}").is_err());
    }
}
