//! The server as a process: how it starts, refuses, dies and ends.

use std::time::Duration;

use crate::harness::{Backend, PrivatePostgres, PrivateRedis, Server, TestDatabase, eventually, for_each_backend, http_client};

for_each_backend!(starts_is_killed_and_starts_again, ends_in_order_on_sigterm);

async fn starts_is_killed_and_starts_again(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let address = server.address();
    for _ in 0..3 {
        let answer = http_client().get(server.url("/health")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body, serde_json::json!({"status": "healthy", "service": "tripsync"}));
        server.kill().await;
        assert!(http_client().get(server.url("/health")).send().await.is_err(), "answers though it was killed");
        server.restart().await;
        assert_eq!(server.address(), address);
    }
}

async fn ends_in_order_on_sigterm(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let metrics = http_client().get(server.metrics_url()).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    let status = server.terminate(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}");
    server.restart().await;
}

#[tokio::test]
async fn a_database_of_no_known_kind_is_refused() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let refused = Server::on(&database).set("database.url", "mysql://root:hush@localhost/trips").try_start().await;
    let error = refused.expect_err("it started");
    assert!(error.contains("database.url") || error.contains("database URL"), "{error}");
    assert!(!error.contains("hush"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_the_database_and_liveness_does_not() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let server = Server::on(&database).start().await;
    let client = http_client();
    let status = async |path: &str| client.get(server.url(path)).send().await.map(|answer| answer.status().as_u16());
    let becomes = async |wanted: u16| {
        eventually(&format!("/readyz answers {wanted}"), Duration::from_secs(60), || async {
            match status("/readyz").await {
                Ok(answered) if answered == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    };

    postgres.freeze().await;
    becomes(503).await;
    let page = client.get(server.url("/readyz")).send().await.unwrap().text().await.unwrap();
    assert!(page.starts_with("[-] database (postgres): ") && page.ends_with("\nnot ready\n"), "{page}");
    assert_eq!(status("/livez").await.unwrap(), 200);
    postgres.thaw().await;
    becomes(200).await;

    postgres.kill().await;
    becomes(503).await;
    assert_eq!(status("/livez").await.unwrap(), 200);
    postgres.restart().await;
    becomes(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_several_says_what_it_cannot_reach() {
    let (mut postgres, mut redis) = tokio::join!(PrivatePostgres::start(), PrivateRedis::start());
    let database = postgres.database().await;
    let server = Server::on(&database)
        .set("auth.signing_key", "the key that all nodes of this test sign with")
        .set("cluster.redis_url", redis.url())
        .set("cluster.secret", "what the nodes of this test seal their words with")
        .start()
        .await;
    let client = http_client();
    let get = async |url: String| {
        let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
        Ok::<_, String>((answer.status().as_u16(), answer.text().await.map_err(|error| error.to_string())?))
    };
    let says = async |status: u16, page: &str| {
        eventually(&format!("/readyz says {status} {page:?}"), Duration::from_secs(60), || async {
            let said = get(server.url("/readyz?verbose")).await?;
            // Why a database does not answer is told in several ways.
            let lines: Vec<_> = said.1.lines().map(|line| if line.starts_with("[-] d") { "[-] database" } else { line }).collect();
            if (said.0, lines.join("\n").as_str()) == (status, page) { Ok(()) } else { Err(format!("{said:?}")) }
        })
        .await;
    };
    let (accepting, database_there, database_away) = ("[+] accepting requests", "[+] database (postgres)", "[-] database");
    let (redis_there, redis_away) = ("[+] redis", "[-] redis: cannot be reached");
    let (lease_held, lease_lost) = ("[+] lease (living nodes: 1)", "[-] lease: cannot be shown to hold");
    let ready = [accepting, database_there, redis_there, lease_held, "ready"].join("\n");

    says(200, &ready).await;
    redis.freeze().await;
    says(503, &[accepting, database_there, redis_away, lease_lost, "not ready"].join("\n")).await;
    postgres.freeze().await;
    let cut_off = "cut off: neither the database nor redis can be reached";
    says(503, &[accepting, database_away, redis_away, lease_lost, cut_off, "not ready"].join("\n")).await;
    eventually("the metrics say so, too", Duration::from_secs(60), || async {
        let (_, page) = get(server.metrics_url()).await?;
        let both = ["tripsync_lease_held 0", "tripsync_database_reached 0"].iter().all(|line| page.lines().any(|found| found == *line));
        if both { Ok(()) } else { Err(page) }
    })
    .await;
    assert_eq!(get(server.url("/livez")).await.unwrap().0, 200);
    redis.thaw().await;
    says(503, &[accepting, database_away, redis_there, lease_held, "not ready"].join("\n")).await;
    postgres.thaw().await;
    says(200, &ready).await;
}

#[tokio::test]
async fn the_log_does_not_tell_the_password_of_the_database() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let (_, rest) = database.url().split_once(':').unwrap();
    let password = rest.split_once('@').unwrap().0.rsplit_once(':').unwrap().1;
    let mut server = Server::on(&database).start().await;
    server.terminate(Duration::from_secs(30)).await;
    assert!(!server.log().is_empty(), "it logs something");
    assert!(!server.log().contains(password), "{}", server.log());
}
