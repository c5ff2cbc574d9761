//! A node dies under its sockets: all of them come back, to the others, and nothing is lost, doubled or out of order for anybody. It is also what
//! shows that the load test works with several nodes, and goes past one that is gone.

use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_blocking;

use super::fleet::{Fleet, NODES};
use super::plan::Plan;
use super::wiring::Wiring;
use crate::harness::eventually;
use crate::load::load;

/// The tool makes its accounts and rooms before.
const BEGIN_LIMIT: Duration = Duration::from_secs(120);
const ROOMS: usize = 12;
/// Sockets in a room: one of its authors and readers at each node, at least.
const IN_ROOM: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sockets_of_a_node_that_dies_go_to_the_others() {
    let mut fleet = Fleet::start_with(&Plan::of(0), Wiring::Direct, &[("live.sockets_per_user_max", "1000")]).await;
    let scenario = include_str!("../../../examples/node-dies.toml");
    let smaller = [
        ("count = 150".to_owned(), format!("count = {ROOMS}")),
        ("per_room = 36".to_owned(), format!("per_room = {}", IN_ROOM - 4)),
        ("per_second = 150".to_owned(), "per_second = 40".to_owned()),
        ("length = \"10s\"".to_owned(), "length = \"3s\"".to_owned()),
        ("length = \"20s\"".to_owned(), "length = \"10s\"".to_owned()),
    ];
    let scenario = smaller.iter().fold(scenario.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "no {from} in the scenario");
        text.replace(from, to)
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node-dies.toml");
    // The schedule of a busy machine is not what this is about.
    std::fs::write(&file, scenario + "\n[limits]\nlag_p99_ms = 10000\n").unwrap();
    let servers = fleet.servers.iter().map(|server| server.address().to_string()).collect::<Vec<_>>().join(",");
    let running = spawn_blocking(move || load(&["run", &file.to_string_lossy(), "--server", &servers], None));

    let dying = &fleet.servers[1];
    let fan = "tripsync_cluster_words_sent_total{kind=\"fan\"}";
    eventually("rooms of the node that is to die are used", BEGIN_LIMIT, || async { dying.metric::<u64>(fan).await > Some(20) }).await;
    fleet.servers[1].kill().await;

    let ran = running.await.unwrap();
    assert_eq!(ran.code(), Some(0), "{}", ran.said());
    for check in ["order", "agreement", "answers", "journal", "replicas", "presence"] {
        assert!(ran.check(check)["checked"].as_u64() > Some(0), "{check}: {}", ran.said());
    }
    let phases = ran.result.as_ref().and_then(|result| result["phases"].as_array()).unwrap();
    let sum = |counter: &str| phases.iter().filter_map(|phase: &Value| phase["counters"][counter].as_u64()).sum::<u64>();
    let concerned = (ROOMS * IN_ROOM / NODES) as u64;
    // A room may also be looked for again by somebody at a node that lives.
    assert!(sum("closes") >= concerned && sum("resumes") >= concerned && sum("unanswered") == 0, "{}", ran.said());
}
