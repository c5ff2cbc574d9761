//! `smoke` against a good server and against broken ones.

use super::load;
use serde_json::json;
use tokio::task::spawn_blocking;

/// `smoke` looks at these; nothing of the sort happening would be a hole in it.
const LOOKED_AT: [&str; 10] =
    ["alive", "order", "agreement", "answers", "refusals", "journal", "replicas", "seats", "presence", "membership"];

#[tokio::test]
async fn a_good_server_passes_and_every_promise_was_looked_at() {
    let ran = spawn_blocking(|| load(&["smoke"], None)).await.unwrap();
    assert_eq!(ran.code(), Some(0), "{}", ran.said());
    for name in LOOKED_AT {
        let check = ran.check(name);
        assert!(check["checked"].as_u64() > Some(0), "{check}");
        assert_eq!(check["violations"], 0, "{check}");
    }
    let result = ran.result.as_ref().unwrap();
    assert_eq!(result["outcome"], json!({"exit_code": 0, "reasons": []}));
    let busy = &result["phases"][1];
    assert!(busy["counters"]["acks"].as_u64() > Some(100), "{}", busy["counters"]);
    assert!(busy["server_cpu_s"].as_f64() > Some(0.0) && busy["generator_cpu_s"].as_f64() > Some(0.0), "{busy}");
    assert!(busy["latencies"]["ack"]["count"].as_u64() > Some(100), "{busy}");
}

#[tokio::test]
async fn the_same_load_from_several_processes_has_the_same_verdict() {
    let ran =
        spawn_blocking(|| load(&["smoke", "--workers", "2", "--threads", "2", "--sources", "127.0.0.2,127.0.0.3"], None)).await.unwrap();
    assert_eq!(ran.code(), Some(0), "{}", ran.said());
    for name in LOOKED_AT {
        assert!(ran.check(name)["checked"].as_u64() > Some(0), "{name}: {}", ran.said());
    }
}

/// Runs `smoke` against a server that is broken so, and says which check must notice.
async fn noticed(sabotage: &'static str, check: &str) {
    let ran = spawn_blocking(move || load(&["smoke"], Some(sabotage))).await.unwrap();
    assert_eq!(ran.code(), Some(3), "{sabotage}: {}", ran.said());
    assert!(ran.check(check)["violations"].as_u64() > Some(0), "{sabotage}: {}", ran.said());
}

#[tokio::test]
async fn acknowledging_before_it_is_durable_is_noticed() {
    noticed("AckEarly", "journal").await;
}

#[tokio::test]
async fn applying_a_command_twice_is_noticed() {
    noticed("NoDedupe", "answers").await;
}

#[tokio::test]
async fn a_gap_after_coming_back_is_noticed() {
    noticed("ResumeSkips", "order").await;
}

#[tokio::test]
async fn keeping_a_removed_member_is_noticed() {
    noticed("KeepRemoved", "membership").await;
}
