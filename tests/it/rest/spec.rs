//! The OpenAPI document as a judge: every answer that a test gets from an operation in it must be one that it announces.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use super::client::Answer;

mod schema;

pub(super) use schema::conforms;

/// The document that the snapshot test holds against the code.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("openapi.json")).unwrap());

/// An operation of the document.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    /// With `{names}`.
    pub(super) path: &'static str,
    pub(super) about: &'static Value,
}

impl Operation {
    pub(super) fn id(&self) -> &'static str {
        self.about["operationId"].as_str().unwrap()
    }

    /// The one status of success.
    pub(super) fn success(&self) -> u16 {
        let statuses = self.about["responses"].as_object().unwrap().keys();
        let all: Vec<u16> = statuses.map(|status| status.parse().unwrap()).filter(|status| (200..300).contains(status)).collect();
        assert_eq!(all.len(), 1, "{}: {all:?}", self.id());
        all[0]
    }

    /// The path with other segments instead of the `{names}`.
    pub(super) fn filled(&self, fill: impl Fn(&str) -> String) -> String {
        let segments = self.path.split('/').map(|segment| match name(segment) {
            Some(name) => fill(name),
            None => segment.to_owned(),
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// All of them.
pub(super) fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, about) in item.as_object().unwrap() {
            all.push(Operation { method: method.to_uppercase().parse().unwrap(), path, about });
        }
    }
    all
}

/// The one with this id.
#[track_caller]
pub(super) fn operation(id: &str) -> Operation {
    operations().into_iter().find(|operation| operation.id() == id).unwrap_or_else(|| panic!("there is no operation {id}"))
}

fn name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn find(method: &Method, path: &str) -> Option<Operation> {
    let fits = |template: &str| {
        template.split('/').count() == path.split('/').count()
            && template.split('/').zip(path.split('/')).all(|(wanted, segment)| name(wanted).is_some() || wanted == segment)
    };
    let names = |path: &str| path.split('/').filter(|segment| name(segment).is_some()).count();
    // Of `/pools/search` and `/pools/{pool}` the server takes the first.
    let path = operations().iter().map(|operation| operation.path).filter(|path| fits(path)).min_by_key(|path| names(path))?;
    operations().into_iter().find(|operation| operation.method == *method && operation.path == path)
}

/// Judges an answer of the API.
///
/// # Panics
/// The document does not announce its status, media type, body or headers.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(operation) = find(method, path).filter(|_| path.starts_with("/api/")) else { return };
    let status = answer.status.as_u16();
    let documented = &operation.about["responses"][status.to_string()];
    assert!(documented.is_object(), "{method} {} does not document {status}: {answer:?}", operation.path);
    match documented["content"].as_object() {
        None => assert!(answer.length == 0, "{method} {} documents no body of a {status}: {answer:?}", operation.path),
        Some(content) => {
            let media = answer.header("content-type").unwrap_or("none");
            let Some(described) = content.get(media) else {
                panic!("{method} {} does not document {media} of a {status}: {answer:?}", operation.path)
            };
            if let Err(difference) = schema::conforms(&described["schema"], &answer.body) {
                panic!("{method} {} has another {status} than documented: {difference} in {}", operation.path, answer.body);
            }
        }
    }
    for header in ["ETag", "Location"] {
        let documented = documented["headers"].get(header).is_some();
        assert_eq!(documented, answer.headers.contains_key(header), "{method} {}: {header} of a {status}", operation.path);
    }
}
