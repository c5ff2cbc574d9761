//! `compose.yaml`: what it sets is what the server knows, and its three nodes differ only in the port by which they are reached.
//!
//! Read as text, in the shape in which it is written; a reader for all of YAML would be a dependency for one file.

use std::collections::{BTreeMap, BTreeSet};

use tripsync::config::Sources;

const COMPOSE: &str = include_str!("../../../compose.yaml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");

/// The lines of a block, without its indentation, comments left out: those that are indented more than its head.
fn block(head: &str) -> Vec<&'static str> {
    let mut lines = COMPOSE.lines().skip_while(|line| line.trim_start() != head && !line.trim_start().starts_with(&format!("{head} ")));
    let first = lines.next().unwrap_or_else(|| panic!("no {head} in compose.yaml"));
    let depth = |line: &str| line.len() - line.trim_start().len();
    lines.take_while(|line| depth(line) > depth(first)).map(str::trim).filter(|line| !line.starts_with('#')).collect()
}

/// What all nodes are given: by the image, and by the compose file over it.
fn environment() -> BTreeMap<String, String> {
    let image = DOCKERFILE.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(str::split_whitespace);
    let image = image.filter_map(|pair| pair.split_once('='));
    let compose = block("environment: &settings").into_iter().filter_map(|line| line.split_once(": "));
    image.chain(compose).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_variable_is_a_key_of_the_server() {
    let environment = environment();
    let ours: BTreeSet<_> = COMPOSE.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').collect();
    let ours: BTreeSet<_> = ours.into_iter().filter(|word| word.starts_with("TRIPSYNC__")).collect();
    assert!(!ours.is_empty());
    for name in &ours {
        assert!(environment.contains_key(*name), "{name} is set, but not for all nodes");
    }
    // Unknown keys and values that cannot be used are findings.
    let loaded = Sources { file: None, environment, flags: Vec::new() }.load().unwrap_or_else(|error| panic!("{error}"));
    for name in ours {
        let key = name.trim_start_matches("TRIPSYNC__").to_lowercase().replace("__", ".");
        assert_eq!(loaded.origin.get(&key).map(String::as_str), Some(format!("environment {name}").as_str()), "{key}");
    }
    // What makes several processes one cluster.
    for key in ["database.url", "cluster.redis_url", "cluster.secret", "auth.signing_key"] {
        assert!(loaded.origin.contains_key(key), "{key} is not set");
    }
}

#[test]
fn nodes_differ_only_in_their_ports() {
    let nodes: Vec<_> = block("services:").into_iter().filter(|line| line.starts_with("node")).collect();
    let expected = (1..=3).map(|number| format!("node{number}: {{<<: *node, ports: [\"808{number}:8080\"]}}"));
    assert_eq!(nodes, expected.collect::<Vec<_>>());
    assert!(environment()["TRIPSYNC__HTTP__LISTEN"].ends_with(":8080"), "the port that is published");
}

#[test]
fn nodes_find_the_services_that_it_starts_with_the_passwords_that_it_sets() {
    let environment = environment();
    let services = block("services:").join("\n");
    let postgres = &environment["TRIPSYNC__DATABASE__URL"];
    let (user, rest) = postgres.strip_prefix("postgres://").unwrap().split_once(':').unwrap();
    let (password, place) = rest.split_once('@').unwrap();
    assert_eq!(place, format!("postgres:5432/{user}"));
    assert!(services.contains(&format!("POSTGRES_USER: {user}, POSTGRES_PASSWORD: {password}, POSTGRES_DB: {user}")), "{services}");
    let redis = environment["TRIPSYNC__CLUSTER__REDIS_URL"].strip_prefix("redis://:").unwrap();
    let (password, place) = redis.split_once('@').unwrap();
    assert_eq!(place, "redis:6379/0");
    assert!(services.contains(&format!("--requirepass, {password},")), "{services}");
    for service in ["postgres:", "redis:"] {
        assert!(services.lines().any(|line| line == service), "no service {service}");
    }
    // The time that a node has for handing over its rooms.
    let grace = COMPOSE.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).unwrap();
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    let http = Sources { file: None, environment, flags: Vec::new() }.load().unwrap().config.http;
    assert!(grace > (http.drain_delay + http.drain_timeout).as_secs(), "killed before it has handed over");
}
