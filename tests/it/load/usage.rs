//! The other exit codes.

use super::load;
use crate::harness::{Backend, Server, TestDatabase};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// A second of chat in two rooms, with this at its end.
fn scenario(end: &str) -> String {
    format!(
        "name = \"short\"\nabout = \"A second of chat.\"\n[[rooms]]\ncount = 2\n[[personas]]\nname = \"author\"\nper_room = 2\n\
         does = [{{ mix = {{ chat = 1 }}, every = \"100ms\" }}]\n[[phases]]\nname = \"chat\"\nlength = \"1s\"\nmeasured = true\n{end}"
    )
}

/// What the tool says and returns for this scenario.
async fn run(text: String) -> (Option<i32>, String) {
    let ran = spawn_blocking(move || {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("short.toml");
        std::fs::write(&file, text).unwrap();
        load(&["run", file.to_str().unwrap()], None)
    });
    let ran = ran.await.unwrap();
    (ran.code(), ran.said())
}

#[tokio::test]
async fn a_missed_threshold_is_1() {
    let (code, said) = run(scenario("[limits]\nlag_p99_ms = 10000\n[[thresholds]]\nmetric = \"ack_p50_ms\"\nat_most = 0.001\n")).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ack_p50_ms is"), "{said}");
}

#[tokio::test]
async fn a_generator_that_is_late_is_4() {
    let (code, said) = run(scenario("[limits]\nlag_p99_ms = 0.0001\n")).await;
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("the generator was late"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_run_is_2_and_says_why() {
    let (code, said) = run(scenario("[[thresholds]]\nmetric = \"ack_p50_ms\"\n")).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("at_most"), "{said}");
    for (arguments, why) in [
        (vec!["smoke", "--server", "127.0.0.1:1"], "/auth/register"),
        (vec!["smoke", "--server", "https://example.org:443"], "http://"),
        (vec!["fan-out", "--members", "0"], "--members"),
        (vec!["smoke", "--rooms", "100000"], "--workers"),
        (vec!["show", "nothing"], "nothing"),
        (vec!["no-such-scenario"], "no-such-scenario"),
    ] {
        let ran = spawn_blocking(move || load(&arguments, None)).await.unwrap();
        assert_eq!(ran.code(), Some(2), "{}", ran.said());
        assert!(ran.said().contains(why), "{}", ran.said());
    }
}

#[tokio::test]
async fn a_scenario_that_is_shown_can_be_run_as_a_file() {
    let ran = spawn_blocking(|| load(&["show", "seat-rush"], None)).await.unwrap();
    assert_eq!(ran.code(), Some(0), "{}", ran.said());
    let text = String::from_utf8(ran.output.stdout).unwrap();
    let text = text.replace("length = \"20s\"", "length = \"1s\"").replace("count = 50", "count = 2");
    // Its own bounds are not for a debug build on a busy machine.
    let text = text.replace("at_most = 5000", "at_most = 60000") + "\n[limits]\nlag_p99_ms = 10000\n";
    let (code, said) = run(text).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_are_hashed_only_when_that_is_asked_for() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let hashes = async || server.metric::<u64>("tripsync_password_hashes_total").await.unwrap_or(0);
    let folder = tempfile::tempdir().unwrap();
    let mut hashed = Vec::new();
    for logs_in in [false, true] {
        let before = hashes().await;
        let scenario = format!(
            "name = \"guests\"\nabout = \"They come in.\"\n[[rooms]]\ncount = 2\n[[personas]]\nname = \"guest\"\nper_room = 3\nlogs_in = {logs_in}\n\
             [[phases]]\nname = \"steady\"\nlength = \"1s\"\nmeasured = true\n[limits]\nlag_p99_ms = 10000\n"
        );
        let file = folder.path().join("guests.toml");
        std::fs::write(&file, scenario).unwrap();
        let address = server.address().to_string();
        let ran = spawn_blocking(move || load(&["run", &file.to_string_lossy(), "--server", &address], None)).await.unwrap();
        assert_eq!(ran.code(), Some(0), "{}", ran.said());
        hashed.push(hashes().await - before);
    }
    // Two owners register in both.
    assert_eq!(hashed, [2, 2 + 6]);
}
