//! The OpenAPI document: a snapshot, and rules that every operation keeps.
//!
//! After a wanted change: `cargo run -q -- openapi > tests/it/rest/openapi.json`, and review the difference.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Api;
use crate::harness::{Backend, Server, TestDatabase};

const SNAPSHOT: &str = include_str!("openapi.json");

fn document() -> Value {
    serde_json::from_str(&tripsync::http::openapi::json().unwrap()).unwrap()
}

/// Method, path and operation of all.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
        })
        .collect()
}

#[test]
fn the_document_is_the_reviewed_one() {
    let now = tripsync::http::openapi::json().unwrap();
    assert!(now == SNAPSHOT, "the API changed; if wanted, run: cargo run -q -- openapi > tests/it/rest/openapi.json");
}

#[test]
fn every_operation_is_complete() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(id.split_once('.').is_some() && !id.contains(char::is_uppercase), "{name}: {id}");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(operation["summary"].is_string(), "{name} has no summary");
        let security = operation["security"].as_array().unwrap_or_else(|| panic!("{name} says nothing of security"));
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2') || status == "101"), "{name} never succeeds");
        if path.starts_with("/api/") {
            for status in ["408", "500", "503"] {
                assert!(responses.contains_key(status), "{name} has no {status}");
            }
            assert!(responses.contains_key("401") || path.starts_with("/api/v1/auth"), "{name} has no 401");
            if !security.is_empty() {
                assert!(responses.contains_key("401"), "{name} has no 401");
            }
            if operation.get("requestBody").is_some() {
                for status in ["400", "413", "415", "422"] {
                    assert!(responses.contains_key(status), "{name} has no {status}");
                }
            }
            let takes_key = operation["parameters"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "Idempotency-Key"));
            assert_eq!(takes_key, method == "post", "{name}: Idempotency-Key");
        }
        for (status, response) in responses {
            let error = status.starts_with('4') || status.starts_with('5');
            if error && path.starts_with("/api/") {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Problem", "{name} {status}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    if key == "$ref" {
                        found.insert(value.as_str().unwrap().to_owned());
                    }
                    references(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads outside"));
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn the_docs_need_nobody_else() {
    let server = Server::on(&TestDatabase::create(Backend::Sqlite).await).start().await;
    let api = Api::of(&server);
    assert_eq!(api.get("/openapi.json").await.ok(200), document());
    let http = crate::harness::http_client();
    for (path, kind) in [("/docs/", "text/html"), ("/docs/swagger-initializer.js", "javascript"), ("/docs/index.css", "css")] {
        let response = http.get(server.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().contains(kind), "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'self'") && !policy.contains("http"), "{policy}");
        let text = response.text().await.unwrap();
        assert!(!text.contains("https://") && !text.contains("http://") && !text.contains("\"//"), "{path} leads outside:\n{text}");
    }
    let initializer = http.get(server.url("/docs/swagger-initializer.js")).send().await.unwrap().text().await.unwrap();
    assert!(initializer.contains("\"validatorUrl\": \"none\""), "{initializer}");
}
