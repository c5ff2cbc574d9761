//! The server itself: health, start, refusal to start, drain, limits of the accept loop.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use xtask::process::Signal;

use super::Api;
use super::client::send;
use crate::harness::{Backend, Server, TestDatabase, eventually, for_each_backend, http_client};

const LIMIT: Duration = Duration::from_secs(30);

for_each_backend!(health_is_told, a_running_request_is_finished_on_sigterm);

async fn sqlite() -> TestDatabase {
    TestDatabase::create(Backend::Sqlite).await
}

async fn health_is_told(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let http = http_client();
    let body = |path: &'static str| {
        let request = http.get(server.url(path));
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    assert_eq!(body("/health").await, r#"{"status":"healthy","service":"tripsync"}"#);
    assert_eq!(body("/livez").await, "ok\n");
    let ready = body("/readyz?verbose").await;
    assert!(ready.contains("[+] accepting requests\n[+] database (") && ready.ends_with("ready\n"), "{ready}");

    let metrics = http.get(server.metrics_url()).send().await.unwrap();
    assert!(metrics.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let metrics = metrics.text().await.unwrap();
    assert!(
        metrics.contains("tripsync_http_request_duration_seconds_count{method=\"GET\",route=\"/health\",status=\"200\"} 1"),
        "{metrics}"
    );
    assert!(http.get(server.url("/metrics")).send().await.unwrap().status() == 404, "metrics are not for everybody");

    let healthcheck =
        Command::new(env!("CARGO_BIN_EXE_tripsync")).args(["healthcheck", "--address", &server.address().to_string()]).output();
    assert!(healthcheck.unwrap().status.success());
}

/// A login whose body is held back: `(socket, the rest of the body)`.
async fn half_a_login(address: SocketAddr) -> (TcpStream, &'static [u8]) {
    let body: &[u8] = br#"{"email":"nobody@example.org","password":"x"}"#;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head =
        format!("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&body[..10]).await.unwrap();
    (socket, &body[10..])
}

/// Until the request is in the server's hands.
async fn until_running(server: &Server, requests: u32) {
    let line = format!("tripsync_http_requests_running {requests}");
    eventually("the request is running", LIMIT, || async {
        http_client().get(server.metrics_url()).send().await.unwrap().text().await.unwrap().lines().any(|found| found == line)
    })
    .await;
}

async fn rest_of(socket: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = tokio::time::timeout(LIMIT, socket.read_to_end(&mut text)).await.expect("the connection ends");
    String::from_utf8_lossy(&text).into_owned()
}

/// An answer on a connection that stays open.
async fn answer_on(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut piece = [0_u8; 4096];
    // Ours end with the body, which is an object.
    while !text.ends_with('}') {
        let read = tokio::time::timeout(LIMIT, socket.read(&mut piece)).await.expect("an answer").unwrap();
        assert!(read > 0, "the connection was closed after {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

#[tokio::test]
async fn a_refused_body_is_read_and_the_connection_kept() {
    let server = Server::on(&sqlite().await).start().await;
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let body = vec![b' '; 400_000];
    for (path, status) in [("/api/v1/trips", 401), ("/nothing", 404), ("/health", 405), ("/api/v1/auth/login", 413)] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        let answer = answer_on(&mut socket).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && !answer.contains("connection: close"), "{path}: {answer}");
    }
    // Beyond bounds the answer says that this was the last on the connection.
    socket.write_all(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n").await.unwrap();
    socket.write_all(&vec![b' '; (8 << 20) + 1]).await.unwrap();
    let answer = rest_of(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
}

async fn a_running_request_is_finished_on_sigterm(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let (mut socket, rest) = half_a_login(server.address()).await;
    until_running(&server, 1).await;
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.readable().await.unwrap();

    server.signal(Signal::Term);
    let address = server.address();
    eventually("nothing new is accepted", LIMIT, || async { TcpStream::connect(address).await.is_err() }).await;
    assert!(rest_of(&mut idle).await.contains("healthy"), "an idle connection is closed");
    socket.write_all(rest).await.unwrap();
    let answer = rest_of(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("bad_credentials"), "{answer}");
    let status = server.ended(LIMIT).await;
    assert!(status.success(), "{status}");
    assert!(server.log().contains("stopped"));
}

#[tokio::test]
async fn a_second_signal_forces() {
    let mut server = Server::on(&sqlite().await).set("http.drain_timeout", "1h").start().await;
    let (_socket, _rest) = half_a_login(server.address()).await;
    until_running(&server, 1).await;
    server.signal(Signal::Term);
    eventually("it drains", LIMIT, || async { server.log().contains("shutting down") }).await;
    server.signal(Signal::Term);
    assert!(server.ended(LIMIT).await.success());
    assert!(server.log().contains("forced"));
}

#[tokio::test]
async fn readiness_goes_first() {
    let mut server = Server::on(&sqlite().await).set("http.drain_delay", "1h").start().await;
    server.signal(Signal::Term);
    let http = http_client();
    let answer = eventually("readiness is 503", LIMIT, || async {
        let answer = http.get(server.url("/readyz?verbose")).send().await.unwrap();
        (answer.status() == 503).then_some(answer)
    });
    assert!(answer.await.text().await.unwrap().contains("[-] accepting requests"));
    assert_eq!(http.get(server.url("/livez")).send().await.unwrap().status(), 200);
    let healthcheck =
        Command::new(env!("CARGO_BIN_EXE_tripsync")).args(["healthcheck", "--address", &server.address().to_string()]).output();
    assert!(!healthcheck.unwrap().status.success());
    server.signal(Signal::Term);
    assert!(server.ended(LIMIT).await.success());
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let server = Server::on(&sqlite().await).set("http.header_timeout", "1s").start().await;
    let mut halves = Vec::new();
    for _ in 0..50 {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
        halves.push(socket);
    }
    for socket in &mut halves {
        assert!(!rest_of(socket).await.contains("200 OK"));
    }
    // Nor for a connection that says nothing, at first or after an answer.
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(rest_of(&mut silent).await, "");
    let mut once = TcpStream::connect(server.address()).await.unwrap();
    once.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(rest_of(&mut once).await.contains("200 OK"));
}

#[tokio::test]
async fn connections_are_capped() {
    let server = Server::on(&sqlite().await).set("http.connections_max", 3).start().await;
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    // Each shows that it is served by its answer. The harness's own connection may still be open.
    let mut held = Vec::new();
    let refused = loop {
        let mut socket = TcpStream::connect(server.address()).await.unwrap();
        socket.write_all(request).await.unwrap();
        match tokio::time::timeout(Duration::from_secs(2), socket.readable()).await {
            Ok(_) => held.push(socket),
            Err(_) => break socket,
        }
        assert!(held.len() <= 3, "there is no cap");
    };
    // One goes, and the waiting one is served.
    held.pop();
    tokio::time::timeout(LIMIT, refused.readable()).await.expect("it is served now").unwrap();
}

#[tokio::test]
async fn a_start_that_cannot_work_says_what_to_change() {
    let database = sqlite().await;
    let refusal = |key: &'static str, value: String| {
        let launch = Server::on(&database).set(key, value);
        async move { launch.try_start().await.expect_err("it started") }
    };
    for (key, value, says) in [
        // First: a start that fails later may have migrated already.
        ("database.migrate", "false", "tripsync migrate"),
        ("http.listn", "x", "no key http.listn"),
        ("http.request_timeout", "soon", "http.request_timeout"),
        ("mode", "production", "auth.signing_key"),
        ("auth.signing_key", "short", "at least 32 bytes"),
        ("metrics.listen", "192.0.2.1:1", "change metrics.listen"),
        ("database.url", "sqlite:///proc/nowhere/x.db", "database.url"),
    ] {
        let text = refusal(key, value.to_owned()).await;
        assert!(text.contains(says), "{key}={value}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
    let server = Server::on(&database).start().await;
    let text = refusal("auth.issuer", "another".to_owned()).await;
    assert!(text.contains("another server uses this SQLite database"), "{text}");
    let text = refusal("metrics.listen", server.address().to_string()).await;
    assert!(text.contains("another server uses") || text.contains("change metrics.listen"), "{text}");
}

#[tokio::test]
async fn subcommands_answer() {
    let run = |args: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripsync"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIPSYNC")) {
            command.env_remove(name);
        }
        let output = command.args(args).current_dir(dir.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (good, help, _) = run(&["--help"]);
    assert!(good);
    for name in ["serve", "migrate", "config", "openapi", "healthcheck"] {
        assert!(help.contains(name), "{help}");
        let (good, text, _) = run(&[name, "--help"]);
        assert!(good && text.contains("Usage"), "{text}");
    }
    let (good, text, _) = run(&["config", "--default"]);
    assert!(good && text.contains("# Address and port of the API"), "{text}");
    let (good, text, _) =
        run(&["config", "--set", "http.listen=127.0.0.1:1", "--set", "auth.signing_key=0123456789012345678901234567890123456789"]);
    assert!(good && text.contains("http.listen comes from flag") && !text.contains("0123456789"), "{text}");
    assert!(run(&["config", "--check"]).0);
    let (good, _, error) = run(&["config", "--check", "--set", "mode=production"]);
    assert!(!good && error.contains("signing key"), "{error}");
    let (good, _, error) = run(&["config", "--config", "missing.toml"]);
    assert!(!good && error.contains("missing.toml"), "{error}");
    let (good, text, _) = run(&["migrate"]);
    assert!(good && text.contains("migrations applied"), "{text}");
    assert!(!run(&["migrate", "--check"]).0);
    assert!(run(&["openapi"]).1.starts_with("{\n  \"openapi\": \"3.1.0\""));
}

#[tokio::test]
async fn other_origins_and_hosts_need_leave() {
    let launch = Server::on(&sqlite().await).set("http.cors_origins", "https://app.example.org");
    let server = launch.set("http.trusted_hosts", "127.0.0.1,localhost").start().await;
    let api = Api::of(&server);
    let preflight = |origin: &'static str| {
        send(
            api.request(reqwest::Method::OPTIONS, "/api/v1/me")
                .header("Origin", origin)
                .header("Access-Control-Request-Method", "PATCH")
                .header("Access-Control-Request-Headers", "authorization,content-type,idempotency-key,if-match"),
        )
    };
    let allowed = preflight("https://app.example.org").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.org"));
    assert!(allowed.header("access-control-allow-methods").unwrap().contains("PATCH"));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);

    let ask = |host: &'static str| send(api.request(reqwest::Method::GET, "/health").header("Host", host));
    ask("localhost:1234").await.ok(200);
    ask("LOCALHOST").await.ok(200);
    ask("evil.example").await.problem("host_refused");
    ask("localhost.evil.example:80").await.problem("host_refused");
}
