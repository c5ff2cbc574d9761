//! `kill -9` of the server, again and again, while people work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tripsync_domain::command::to_wire;
use tripsync_domain::protocol::Codec;
use tripsync_domain::trip::testing::{numbers, random_command};
use tripsync_domain::{Role, UserId};
use uuid::Uuid;

use super::journal::{Journal, Told};
use super::mixed::unhurried;
use super::people::{User, pause};
use super::trip::seed_trip;
use crate::harness::{TestDatabase, eventually, for_each_backend};

for_each_backend!(fifty_kills_lose_and_double_nothing);

const KILLS: usize = 50;
/// How long anything may take, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(60);
/// Commands that each client keeps unanswered in each room.
const WINDOW: usize = 6;

/// Commands acknowledged to one client, by room.
type Progress = [AtomicU64; 2];

async fn fifty_kills_lose_and_double_nothing(database: TestDatabase) {
    let mut server = unhurried(&database).start().await;
    let mut people = Vec::new();
    for name in ["Ana", "Ben", "Cai", "Dia"] {
        people.push(User::register(&server, name).await);
    }
    let members: Vec<_> = people.iter().zip([Role::Organizer, Role::Participant, Role::Participant, Role::Participant]).collect();
    let rooms = [seed_trip(&database, &members, 1).await, seed_trip(&database, &members, 2).await];

    let stop = Arc::new(AtomicBool::new(false));
    let progress: Arc<[Progress; 4]> = Arc::default();
    let mut working = Vec::new();
    for (index, user) in people.iter().enumerate() {
        let codec = if index % 2 == 0 { Codec::MessagePack } else { Codec::Json };
        let mut told = Told::new(user, user.client(&server, codec).await);
        for room in rooms {
            told.client.join_from_zero(room).await;
        }
        working.push(tokio::spawn(work(told, rooms, index, Arc::clone(&progress), Arc::clone(&stop))));
    }
    let began = Instant::now();
    let mut moments = numbers(7);
    for _ in 0..KILLS {
        everybody_goes_on(&progress).await;
        // Any moment will do, but not always the same.
        pause(100 + moments() % 300).await;
        server.kill().await;
        server.restart().await;
    }
    everybody_goes_on(&progress).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for told in working {
        all.push(timeout(LIMIT, told).await.expect("everything is answered").unwrap());
    }
    let took = began.elapsed();

    let (mut events, mut acked, mut repeated) = (0, 0, 0);
    for room in rooms {
        let journal = Journal::read(&database, room).await;
        let mut fresh = people[0].client(&server, Codec::MessagePack).await;
        fresh.join(room).await;
        let (at, shown) = fresh.room(room).state().expect("a whole state");
        assert_eq!((*at, shown), (journal.last(), &journal.view()));
        for told in &mut all {
            told.client.reached(room, journal.last()).await;
            told.assert_shows(room, shown);
            acked += told.client.room(room).acked_count();
            repeated += told.client.room(room).repeated_count();
        }
        journal.holds_all_that_was_told(room, &all.iter().collect::<Vec<_>>());
        events += journal.last();
    }
    for told in &all {
        assert!(told.client.reconnects() as usize >= KILLS, "{} came back {} times", told.name, told.client.reconnects());
        assert!(!["bye", "left"].iter().any(|tag| told.client.has_other(tag)), "{:?}", told.client.other());
    }
    // Otherwise no kill came between a commit and its answer.
    assert!(repeated > 0, "no command had to be recognised");
    eprintln!(
        "{}: {KILLS} kills in {took:?}; {acked} commands acknowledged, {repeated} of them recognised after a kill, {events} events",
        database.backend()
    );
}

/// Waits until every client has had something acknowledged in every room since now.
async fn everybody_goes_on(progress: &[Progress; 4]) {
    let read = || -> Vec<_> { progress.iter().flatten().map(|acked| acked.load(Ordering::Relaxed)).collect() };
    let before = read();
    eventually("every client has an acknowledgement in every room", LIMIT, || async {
        let now = read();
        if now.iter().zip(&before).all(|(now, before)| now > before) { Ok(()) } else { Err(format!("{before:?} then, {now:?} now")) }
    })
    .await;
}

/// Sends commands to both rooms, without an end, and leaves coming back to the client.
async fn work(mut told: Told, rooms: [Uuid; 2], index: usize, progress: Arc<[Progress; 4]>, stop: Arc<AtomicBool>) -> Told {
    let mut rng = numbers(u64::try_from(index).unwrap() + 100);
    let user = UserId(told.user);
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        if stopping && rooms.iter().all(|room| told.client.room(*room).pending_count() == 0) {
            return told;
        }
        for (acked, room) in progress[index].iter().zip(rooms) {
            while !stopping && told.client.room(room).is_joined() && told.client.room(room).pending_count() < WINDOW {
                let command = to_wire(&random_command(&mut rng, &told.replica(room).state, user));
                told.client.op(room, command).await;
            }
            acked.store(told.client.room(room).acked_count(), Ordering::Relaxed);
        }
        told.client.step().await;
    }
}
