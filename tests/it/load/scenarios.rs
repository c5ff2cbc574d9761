//! Every scenario that comes with the tool, smaller: it runs, ends with a verdict, and the verdict notices a server that is broken on purpose.

use super::{Ran, load};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// So small that a build without optimisation on a busy machine keeps up.
const SMALL: [&str; 9] = ["--rooms", "3", "--members", "10", "--seconds", "2", "--no-thresholds", "--lag-ms", "20000"];

/// Runs a scenario against a server that is broken so (or whole); the exit code and the names of the checks with violations.
async fn small(name: &'static str, more: &'static [&'static str], sabotage: Option<&'static str>) -> (Option<i32>, Vec<String>) {
    let ran = spawn_blocking(move || load(&[&[name], &SMALL[..], more].concat(), sabotage)).await.unwrap();
    let checks = ran.result.as_ref().and_then(|result| result["checks"].as_array()).unwrap_or_else(|| panic!("{}", ran.said()));
    let looked_at: u64 = checks.iter().filter_map(|check| check["checked"].as_u64()).sum();
    assert!(looked_at > 0, "{name} looked at nothing: {}", ran.said());
    let broken = checks.iter().filter(|check| check["violations"].as_u64() > Some(0));
    (ran.code(), broken.map(|check| check["name"].as_str().unwrap().to_owned()).collect())
}

/// A whole server passes; one that acknowledges before anything is stored does not.
async fn is_judged(name: &'static str) {
    let rate = &["--per-second", "60"];
    assert_eq!(small(name, rate, None).await, (Some(0), vec![]), "{name}");
    let (code, broken) = small(name, rate, Some("AckEarly")).await;
    assert_eq!(code, Some(3), "{name}: {broken:?}");
    assert!(broken.iter().any(|check| check == "journal"), "{name}: {broken:?}");
}

macro_rules! judged {
    ($($name:ident => $scenario:literal),* $(,)?) => {
        $(#[tokio::test] async fn $name() { is_judged($scenario).await; })*
    };
}

judged! {
    trip_evening => "trip-evening",
    hot_room => "hot-room",
    fan_out => "fan-out",
    reconnect_storm => "reconnect-storm",
    seat_rush => "seat-rush",
    slow_readers => "slow-readers",
    durable => "durable",
    soak => "soak",
}

/// In these nobody sends, so there is nothing to acknowledge too early. Everybody must come in and be current, and who asks for every event at
/// the end must get it: in rooms with more than the first.
#[tokio::test]
async fn those_in_which_nobody_sends() {
    for (name, more) in [("idle", &["--state-bytes", "3000"][..]), ("join-storm", &[])] {
        assert_eq!(small(name, &[], None).await, (Some(0), vec![]), "{name}");
        let (code, broken) = small(name, more, Some("ResumeSkips")).await;
        assert_eq!(code, Some(3), "{name}: {broken:?}");
        assert!(broken.iter().any(|check| check == "order"), "{name}: {broken:?}");
    }
}

/// A gap that only those see who come back.
#[tokio::test]
async fn a_gap_after_coming_back_is_noticed_in_a_storm() {
    let (code, broken) = small("reconnect-storm", &["--per-second", "60"], Some("ResumeSkips")).await;
    assert_eq!(code, Some(3), "{broken:?}");
    assert!(broken.iter().any(|check| check == "order"), "{broken:?}");
}

/// Authors who get JSON are believed as others are.
#[tokio::test]
async fn authors_who_speak_json() {
    assert_eq!(small("fan-out", &["--per-second", "60", "--codec", "json"], None).await, (Some(0), vec![]));
}

/// Sockets drop while commands are on their way; who comes back sends them again.
const SENT_AGAIN: &str = r#"
name = "sent-again"
about = "Everybody writes, drops and comes back, again and again."
[[rooms]]
count = 3
[[personas]]
name = "author"
per_room = 10
churn = { every = "200ms", away = "20ms" }
does = [{ mix = { chat = 1 }, every = "50ms", pace = "poisson" }]
[[phases]]
name = "drops"
length = "3s"
measured = true
[limits]
lag_p99_ms = 20000
busy_share = 2
"#;

async fn sent_again(sabotage: Option<&'static str>) -> Ran {
    let ran = spawn_blocking(move || {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("sent-again.toml");
        std::fs::write(&file, SENT_AGAIN).unwrap();
        load(&["run", file.to_str().unwrap()], sabotage)
    });
    ran.await.unwrap()
}

/// No answer tells of it: the first was lost with its socket.
#[tokio::test]
async fn a_command_that_is_applied_again_after_coming_back_is_noticed() {
    for (sabotage, code) in [(None, 0), (Some("NoDedupe"), 3)] {
        let ran = sent_again(sabotage).await;
        assert_eq!(ran.code(), Some(code), "{sabotage:?}: {}", ran.said());
        let twice = ran.said().contains("was applied twice, at");
        assert_eq!(twice, sabotage.is_some(), "{sabotage:?}: {}", ran.said());
    }
}

/// Whoever comes back meanwhile is told of a state without them, and never hears of them.
#[tokio::test]
async fn events_that_are_shown_before_they_are_durable_are_noticed() {
    let ran = sent_again(Some("BroadcastEarly")).await;
    assert_eq!(ran.code(), Some(3), "{}", ran.said());
    assert!(ran.check("order")["violations"].as_u64() > Some(0), "{}", ran.said());
}

/// The bare server promises less; what it does promise it holds, so that the figures against it count.
#[tokio::test]
async fn the_floor_is_a_measure() {
    for (name, more) in [("fan-out", &["--versus-floor", "--per-second", "60"][..]), ("join-storm", &["--versus-floor"])] {
        assert_eq!(small(name, more, None).await, (Some(0), vec![]), "{name}");
    }
}

/// Two never read, whatever comes: so much that their sockets take nothing more, and are closed, again and again.
const NEVER_READ: &str = r#"
name = "never-read"
about = "Two of five never read."
[server]
"live.slow_timeout" = "300ms"
"live.outbound_bytes_max" = 65536
[[rooms]]
count = 1
[[personas]]
name = "author"
per_room = 3
does = [{ mix = { chat = 1 }, per_second = 500, payload = 3900 }]
[[personas]]
name = "never-reads"
per_room = 2
reads = false
[[phases]]
name = "slow"
length = "15s"
measured = true
[[thresholds]]
metric = "closes"
at_least = 4
[[thresholds]]
metric = "resumes_per_s"
at_least = 0.01
[limits]
lag_p99_ms = 20000
busy_share = 2
"#;

/// Who is closed comes back and stays slow, and what it is shown at the end is checked.
#[tokio::test]
async fn who_never_reads_is_closed_and_comes_back_as_slow() {
    let ran = spawn_blocking(|| {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("never-read.toml");
        std::fs::write(&file, NEVER_READ).unwrap();
        load(&["run", file.to_str().unwrap()], None)
    });
    let ran = ran.await.unwrap();
    assert_eq!(ran.code(), Some(0), "{}", ran.said());
}
