//! The harness against a stand-in: a script that reports ready, while the test answers for it over HTTP.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::Backend;
use super::*;
use xtask::process::{has_ended, is_stopped};

/// Reports the address in `TRIPSYNC__STANDIN__HTTP` as its own, then does `TRIPSYNC__STANDIN__THEN`.
const SCRIPT: &str = r#"#!/bin/sh
[ "$1" = serve ] && [ "$2" = --ready-file ] || exit 9
echo "on $TRIPSYNC__DATABASE__URL"
if [ -n "$TRIPSYNC__STANDIN__HTTP" ]; then
  echo "{\"http\":\"$TRIPSYNC__STANDIN__HTTP\",\"metrics\":\"$TRIPSYNC__METRICS__LISTEN\",\"pid\":$$}" > "$3"
fi
eval "$TRIPSYNC__STANDIN__THEN"
"#;

struct StandIn {
    dir: TempDir,
    database: TestDatabase,
    http: SocketAddr,
}

impl StandIn {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("server");
        std::fs::write(&script, SCRIPT).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await;
                let answer = if request.starts_with(b"GET /readyz ") { "200 OK" } else { "404 Not Found" };
                let _ = socket.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
            }
        });
        Self { dir, database: TestDatabase::create(Backend::Sqlite).await, http }
    }

    fn launch(&self, then: &str) -> Launch {
        Server::of(&self.dir.path().join("server"), &self.database).set("standin.http", self.http).set("standin.then", then)
    }
}

#[tokio::test]
async fn starts_dies_and_starts_again_at_its_address() {
    let stand_in = StandIn::new().await;
    let mut server = stand_in.launch("exec sleep 60").start().await;
    assert_eq!(server.address(), stand_in.http);
    assert_eq!(server.url("/x"), format!("http://{}/x", stand_in.http));
    assert_eq!(server.live_url(), format!("ws://{}/api/v1/live", stand_in.http));
    let metrics = server.metrics_url();
    let first = server.pid();
    server.kill().await;
    assert!(has_ended(first));
    server.restart().await;
    assert_ne!(server.pid(), first);
    assert_eq!(server.metrics_url(), metrics);
    assert_eq!(server.log().matches(stand_in.database.url()).count(), 2);
    let second = server.pid();
    drop(server);
    assert!(has_ended(second));
}

#[tokio::test]
async fn terminate_gives_back_how_it_ended() {
    let stand_in = StandIn::new().await;
    // `sleep` in pieces: the shell runs its trap only between commands.
    let mut server = stand_in.launch("trap 'exit 7' TERM; while :; do sleep 0.01; done").start().await;
    assert_eq!(server.terminate(Duration::from_secs(10)).await.code(), Some(7));
    server.set("standin.then", "exec sleep 60");
    server.restart().await;
    assert_eq!(server.terminate(Duration::from_secs(10)).await.signal(), Some(15));
}

#[tokio::test]
async fn frozen_it_does_nothing_until_thawed() {
    let stand_in = StandIn::new().await;
    let server = stand_in.launch("while :; do echo tick; sleep 0.01; done").start().await;
    eventually("it ticks", Duration::from_secs(10), || async { server.log().contains("tick") }).await;
    server.freeze().await;
    assert!(is_stopped(server.pid()));
    let then = server.log().len();
    server.thaw();
    eventually("it ticks again", Duration::from_secs(10), || async { server.log().len() > then }).await;
}

#[tokio::test]
async fn one_that_ends_too_early_is_reported_with_its_log() {
    let stand_in = StandIn::new().await;
    let launch = stand_in.launch("echo 'no such luck' >&2; exit 3").set("standin.http", "");
    let error = launch.try_start().await.unwrap_err();
    assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
}

#[test]
fn keys_become_variables() {
    assert_eq!(variable("http.listen"), "TRIPSYNC__HTTP__LISTEN");
    assert_eq!(variable("data_dir"), "TRIPSYNC__DATA_DIR");
}
