//! What the document says of bodies is what the server takes: examples, and the bounds of texts and tags.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::operations::{self, Call, Scene};
use super::{World, call};
use crate::harness::{Backend, TestDatabase};
use crate::rest::spec::{self, DOCUMENT};

/// Calls under way at a time.
const AT_ONCE: usize = 8;

#[test]
fn every_example_is_as_its_schema_says() {
    fn look(node: &Value, at: &str, found: &mut u32) {
        match node {
            Value::Object(fields) => {
                let is_schema = ["type", "$ref", "oneOf"].iter().any(|key| fields.contains_key(*key));
                for example in fields.get("examples").and_then(Value::as_array).into_iter().flatten().filter(|_| is_schema) {
                    *found += 1;
                    spec::conforms(node, example).unwrap_or_else(|difference| panic!("{at}: {difference} in {example}"));
                }
                fields.iter().filter(|(name, _)| *name != "examples").for_each(|(name, value)| look(value, &format!("{at}/{name}"), found));
            }
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| look(item, &format!("{at}/{index}"), found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = 0;
    look(&DOCUMENT["components"]["schemas"], "", &mut found);
    look(&DOCUMENT["paths"], "", &mut found);
    assert!(found > 50, "{found}");
}

fn target(schema: &Value) -> &Value {
    schema["$ref"].as_str().map_or(schema, |reference| DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap())
}

/// The schema of a call's body, or of the command in it.
fn schema(asked: &Call) -> &'static Value {
    if asked.operation.id() == "trips.commands.send" {
        let all = DOCUMENT["components"]["schemas"]["Command"]["oneOf"].as_array().unwrap();
        return all.iter().find(|one| one["title"] == asked.command["type"]).unwrap();
    }
    target(&asked.operation.about["requestBody"]["content"]["application/json"]["schema"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_are_taken() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let world = World::on(&database).await;
    let mut taken = BTreeSet::new();
    for asked in operations::all().iter().filter(|asked| asked.operation.about.get("requestBody").is_some()) {
        let scene = Scene::of(&world, asked, asked.by()).await;
        for example in schema(asked)["examples"].as_array().into_iter().flatten() {
            if example["seq"].is_number() {
                // This trip is not as far as the example's.
                continue;
            }
            let is_command = asked.operation.id() == "trips.commands.send";
            let mut example = example.clone();
            if example["payer"].is_string() {
                // Whoever pays and shares must be a member.
                (example["payer"], example["shares"][0]["user"]) = (json!(world.ann.id), json!(world.ann.id));
            }
            let body = if is_command { json!({"cmd": example}) } else { example };
            let answer = call(world.of(asked.by()), &asked.operation.method, &scene.path(asked), &body, &[]).await;
            // The things that an example names are not in this trip.
            let understood = answer.status.is_success() || ["not_found", "conflict"].contains(&answer.body["code"].as_str().unwrap());
            assert!(understood, "{}: {body}: {answer:?}", asked.operation.id());
            taken.insert(asked.operation.id());
        }
    }
    assert!(taken.len() >= 11, "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bounds_are_the_code_s() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let world = World::on(&database).await;
    let calls = operations::all();
    let with_body = calls.iter().filter(|asked| asked.operation.about.get("requestBody").is_some());
    let checked: usize =
        stream::iter(with_body).map(|asked| bounds(&world, asked)).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.iter().sum();
    assert!(checked > 50, "{checked}");
}

/// Tries the bounds of each field of one call's body; how many fields have any.
async fn bounds(world: &World, asked: &Call) -> usize {
    let scene = Scene::of(world, asked, asked.by()).await;
    let (path, good) = (scene.path(asked), scene.body(asked));
    let base = if good["cmd"].is_object() { "/cmd" } else { "" };
    let mut checked = 0;
    for (name, field) in schema(asked)["properties"].as_object().unwrap() {
        // Ways to name a user, of which exactly one is taken; and a text of which not all are emojis.
        if ["username", "email", "emoji", "type"].contains(&name.as_str()) {
            continue;
        }
        let send = async |value: Value| {
            let mut body = good.clone();
            body.pointer_mut(base).unwrap()[name] = value;
            call(world.of(asked.by()), &asked.operation.method, &path, &body, &[]).await
        };
        let (inside, outside) = values(target(field));
        checked += usize::from(!inside.is_empty());
        for value in inside {
            let answer = send(value.clone()).await;
            assert!(![400, 422].contains(&answer.status.as_u16()), "{} {name} takes {value}: {answer:?}", asked.operation.id());
        }
        for value in outside {
            let problem = send(value.clone()).await.problem("invalid");
            assert_eq!(problem["errors"][0]["pointer"], format!("{base}/{name}"), "{} {name}: {value}", asked.operation.id());
        }
    }
    checked
}

/// Values at the edge of a schema, and some beyond it.
fn values(schema: &Value) -> (Vec<Value>, Vec<Value>) {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    if let Some(tags) = schema["enum"].as_array() {
        inside.extend(tags.iter().cloned());
        outside.extend([json!("nothing_of_this"), json!(0)]);
    }
    if let Some(most) = schema["maxLength"].as_u64() {
        let most = usize::try_from(most).unwrap();
        inside.push(json!("ü".repeat(most)));
        outside.push(json!("x".repeat(most + 1)));
        if schema["minLength"] == 1 {
            inside.push(json!("x"));
            outside.push(json!(""));
        }
        if schema["type"].as_array().is_some_and(|types| types.contains(&json!("null"))) {
            inside.push(Value::Null);
        }
    }
    (inside, outside)
}
