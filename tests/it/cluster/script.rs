//! `cargo xtask cluster`, as somebody uses it who wants to see a cluster: what it prints is true, and Ctrl-C leaves nothing behind.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use xtask::guardian::Guardian;
use xtask::process::{Signal, children_of, has_ended, send};

use crate::harness::{eventually, http_client, sibling};

/// Three nodes, Postgres and Redis start meanwhile.
const START_LIMIT: Duration = Duration::from_secs(120);
/// As long as a guardian waits for a node that was asked to end, and then some.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A line of the list of nodes: `  http://127.0.0.1:20001  pid 4711  log /tmp/…/node.log`.
struct Node {
    url: String,
    pid: u32,
    log: PathBuf,
}

fn nodes(printed: &str) -> Vec<Node> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("  http://"));
    let parse = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[address, "pid", pid, "log", log] = words.as_slice() else { panic!("not a node: {line}") };
        Node { url: format!("http://{address}"), pid: pid.parse().unwrap(), log: log.into() }
    };
    lines.map(parse).collect()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} behind {before:?} in {text}")).0
}

/// A call that must succeed.
async fn call(method: Method, url: String, token: &str, body: Option<Value>) -> Value {
    let request = http_client().request(method, &url).bearer_auth(token);
    let answer = if let Some(body) = body { request.json(&body) } else { request }.send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{url}: {status}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_starts_what_it_says_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (printed, log) = (folder.path().join("printed"), folder.path().join("log"));
    let program = tokio::task::spawn_blocking(|| sibling("xtask", "xtask")).await.unwrap();
    let mut guardian = Guardian::start(Signal::Kill, None).unwrap();
    // Whoever started the tests may ignore Ctrl-C, and that is inherited.
    let mut command = if cfg!(target_os = "linux") { Command::new("env") } else { Command::new(&program) };
    if cfg!(target_os = "linux") {
        command.arg("--default-signal=INT").arg(&program);
    }
    let mut script = command
        .args(["cluster", "--nodes", "3", "--program", env!("CARGO_BIN_EXE_tripsync")])
        .stdin(Stdio::null())
        .stdout(File::create(&printed).unwrap())
        .stderr(File::create(&log).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    guardian.watch(script.id()).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let printed = eventually("the nodes are ready", START_LIMIT, || {
        let ended = script.try_wait().unwrap();
        assert!(ended.is_none(), "it ended as {ended:?}: {}", read(&log));
        let printed = read(&printed);
        async move { printed.contains("Ctrl-C ends").then_some(printed) }
    });
    let printed = printed.await;

    let nodes = nodes(&printed);
    assert_eq!(nodes.len(), 3, "{printed}");
    for node in &nodes {
        call(Method::GET, format!("{}/readyz", node.url), "", None).await;
        assert!(node.log.exists() && !has_ended(node.pid));
    }
    // What it proposes: log in at one node, make a trip at the second, write at the third.
    let account = json!({"email": between(&printed, "Account: ", ","), "password": between(&printed, "password ", "\n")});
    let [one, two, three] = nodes.as_slice() else { unreachable!() };
    let login = call(Method::POST, format!("{}/api/v1/auth/login", one.url), "", Some(account)).await;
    let token = login["access_token"].as_str().unwrap();
    let trip = call(Method::POST, format!("{}/api/v1/trips", two.url), token, Some(json!({"title": "Lisbon"}))).await;
    let messages = format!("{}/api/v1/trips/{}/messages", three.url, trip["id"].as_str().unwrap());
    let stored = call(Method::POST, messages, token, Some(json!({"body": "Hello"}))).await;
    assert_eq!(stored["seq"], 2, "{stored}");
    for url in [&one.url, &two.url, &three.url] {
        assert!(printed.contains(&format!("curl -fsS {url}/api/v1/")), "{printed}");
    }

    // The nodes, Postgres, Redis and the guardians of all of them.
    let children = children_of(script.id()).unwrap();
    assert!(nodes.iter().all(|node| children.contains(&node.pid)) && children.len() > 5, "{children:?}");
    send(Signal::Int, &[script.id()]).unwrap();
    eventually("the script ends", END_LIMIT, || {
        let ended = script.try_wait().unwrap();
        async move { ended }
    })
    .await;
    guardian.forget().unwrap();
    eventually("everything that it started has ended", END_LIMIT, || async {
        let left: Vec<_> = children.iter().filter(|pid| !has_ended(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
    })
    .await;
    eventually("its files are gone", END_LIMIT, || async { nodes.iter().all(|node| !node.log.exists()) }).await;
}
