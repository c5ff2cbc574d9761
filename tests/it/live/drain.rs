//! SIGTERM while people work: everybody is told, everything is kept, and the next start goes on with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tripsync_domain::command::to_wire;
use tripsync_domain::protocol::Codec;
use tripsync_domain::trip::testing::{numbers, random_command};
use tripsync_domain::{Role, UserId};
use uuid::Uuid;
use xtask::process::Signal;

use super::journal::{Journal, Told};
use super::mixed::unhurried;
use super::people::{User, pause};
use super::trip::seed_trip;
use crate::harness::{Client, TestDatabase, eventually, for_each_backend, http_client};

for_each_backend!(a_restart_loses_nothing_and_tells_everybody);

const LIMIT: Duration = Duration::from_secs(60);

async fn a_restart_loses_nothing_and_tells_everybody(database: TestDatabase) {
    // Long enough to be seen; a load balancer needs it, too.
    let mut server = unhurried(&database).set("http.drain_delay", "1s").start().await;
    let mut people = Vec::new();
    for name in ["Ana", "Ben", "Cai"] {
        people.push(User::register(&server, name).await);
    }
    let members: Vec<_> = people.iter().zip([Role::Organizer, Role::Participant, Role::Participant]).collect();
    let room = seed_trip(&database, &members, 4).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut working = Vec::new();
    for (user, codec) in people.iter().zip([Codec::Json, Codec::MessagePack, Codec::Json]) {
        let mut told = Told::new(user, user.client(&server, codec).await);
        told.client.join_from_zero(room).await;
        working.push(tokio::spawn(work(told, room, Arc::clone(&stop))));
    }
    pause(500).await;

    server.signal(Signal::Term);
    eventually("/readyz answers 503", LIMIT, || async {
        let answer = http_client().get(server.url("/readyz")).send().await.map_err(|error| error.to_string())?;
        if answer.status() == 503 { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await;
    let status = server.ended(LIMIT).await;
    assert_eq!(status.code(), Some(0), "{status}");
    let stored = Journal::read(&database, room).await.last();
    server.restart().await;
    pause(300).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for told in working {
        all.push(tokio::time::timeout(LIMIT, told).await.expect("everything is answered").unwrap());
    }

    let journal = Journal::read(&database, room).await;
    assert!(journal.last() > stored, "nobody went on after the restart");
    let mut hints = Vec::new();
    for told in &mut all {
        told.client.reached(room, journal.last()).await;
        told.assert_shows(room, &journal.view());
        let byes: Vec<_> = told.client.other().iter().filter(|frame| frame["t"] == "bye").collect();
        assert_eq!(byes.len(), 1, "{} heard {:?}", told.name, told.client.other());
        assert_eq!(byes[0]["code"], "restarting", "{byes:?}");
        hints.push(byes[0]["retry_after_ms"].as_u64().expect("when to come back"));
    }
    journal.holds_all_that_was_told(room, &all.iter().collect::<Vec<_>>());
    hints.sort_unstable();
    hints.dedup();
    assert!(hints.len() > 1, "everybody comes back at the same moment: {hints:?}");
    assert_eq!(snapshot_seq(&database, room).await, Some(stored), "the room was put away whole");
    eprintln!("{}: {stored} events before the restart, {} after it, back after {hints:?} ms", database.backend(), journal.last() - stored);

    // A client that did nothing is closed with the code of a restart.
    let mut idle = people[0].joined(&server, Codec::Json, room).await;
    server.signal(Signal::Term);
    let (frames, close) = idle.closed().await;
    assert_eq!(close, Some(1012), "{frames:?}");
    assert_eq!(frames.last().unwrap()["t"], json!("bye"));
    assert!(server.ended(LIMIT).await.success());
}

async fn snapshot_seq(database: &TestDatabase, room: Uuid) -> Option<u64> {
    let db = tripsync::store::Db::connect(database.url(), &tripsync::store::DbOptions::default()).await.unwrap();
    let seq: Option<i64> = tripsync::db_read!(&db, |pool| {
        sqlx::query_scalar("SELECT seq FROM snapshots WHERE room = $1").bind(room).fetch_optional(pool).await
    })
    .unwrap();
    db.close().await;
    seq.map(|seq| seq.try_into().unwrap())
}

async fn work(mut told: Told, room: Uuid, stop: Arc<AtomicBool>) -> Told {
    let mut rng = numbers(told.user.as_u128().to_le_bytes()[0].into());
    let user = UserId(told.user);
    let waits = |client: &Client| client.room(room).pending_count();
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && waits(&told.client) == 0 {
            return told;
        }
        while !stopping && told.client.room(room).is_joined() && waits(&told.client) < 4 {
            let command = to_wire(&random_command(&mut rng, &told.replica(room).state, user));
            told.client.op(room, command).await;
        }
        told.client.step().await;
    }
}
