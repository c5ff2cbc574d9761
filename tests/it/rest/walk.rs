//! Every operation of the OpenAPI document, called: it is there, it asks for a token, and nothing undocumented is beside it.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Api;
use super::client::{Answer, send};
use super::spec::{self, Operation};
use crate::harness::{Backend, Server, TestDatabase};

/// A request as the document describes it, with ids of things that there are not.
async fn ask(api: &Api, operation: &Operation) -> Answer {
    let path = operation.filled(|name| match name {
        "emoji" => "%F0%9F%91%8D".to_owned(),
        "code" => "not_found".to_owned(),
        _ => Uuid::now_v7().to_string(),
    });
    let request = api.request(operation.method.clone(), &path);
    send(if operation.about.get("requestBody").is_some() { request.json(&json!({})) } else { request }).await
}

fn needs_token(operation: &Operation) -> bool {
    operation.about["security"].as_array().unwrap().iter().all(|way| way != &json!({})) && operation.about["security"] != json!([])
}

#[tokio::test]
async fn every_operation_is_there_and_asks_for_a_token() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    let (mut open, mut closed) = (Vec::new(), 0);
    for operation in spec::operations() {
        let id = operation.id();
        let answer = ask(&api, &operation).await;
        assert!(answer.status != 405 && answer.body["detail"] != "there is nothing under this address", "{id}: {answer:?}");
        if !needs_token(&operation) {
            assert!(answer.status != 404 && answer.body["code"] != "unauthorized", "{id} needs a token after all: {answer:?}");
            open.push(id);
            continue;
        }
        closed += 1;
        answer.problem("unauthorized");
        for token in ["x".to_owned(), format!("{}x", ann.access_token), ann.refresh_token.clone()] {
            ask(&api.with_token(&token), &operation).await.problem("unauthorized");
        }
        // A logout would end the login for the operations after it.
        let own = if id.starts_with("auth.") { api.account("bob").await.api } else { ann.api.clone() };
        let answer = ask(&own, &operation).await;
        assert!(answer.status != 401 && answer.status.as_u16() < 500, "{id}: {answer:?}");
    }
    assert!(closed > 35, "{closed}");
    // `live.open` takes tickets too, and wants an upgrade before either.
    let expected =
        ["auth.login", "auth.refresh", "auth.register", "live.open", "system.health", "system.livez", "system.problem", "system.readyz"];
    assert_eq!(open, expected);
}

#[tokio::test]
async fn methods_that_are_not_documented_are_not_there() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await.api;
    let all = spec::operations();
    for operation in &all {
        let here: Vec<&Method> = all.iter().filter(|other| other.path == operation.path).map(|other| &other.method).collect();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if here.contains(&&method) {
                continue;
            }
            let path = operation.filled(|_| Uuid::now_v7().to_string());
            let answer = send(ann.request(method, &path).json(&Value::Null)).await;
            let mut allowed: Vec<_> =
                answer.header("allow").unwrap_or("").split(',').filter(|name| *name != "HEAD").map(str::to_owned).collect();
            allowed.sort_unstable();
            let mut documented: Vec<_> = here.iter().map(ToString::to_string).collect();
            documented.sort_unstable();
            assert_eq!(allowed, documented, "{}", operation.path);
            answer.problem("method_not_allowed");
        }
    }
}
