//! Thousands of commands of every sort from two people at once, whose connections break all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tripsync_domain::command::to_wire;
use tripsync_domain::protocol::Codec;
use tripsync_domain::trip::testing::{numbers, random_command};
use tripsync_domain::{Role, UserId};
use uuid::Uuid;

use super::journal::{Journal, Told};
use super::people::{User, pause};
use super::trip::seed_trip;
use crate::harness::{Launch, Server, TestDatabase, eventually, for_each_backend};

for_each_backend!(ten_thousand_mixed_commands_over_broken_connections);

const COMMANDS_EACH: usize = 5_000;
/// Commands that a client keeps unanswered.
const WINDOW: usize = 24;
/// How long it may take, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(300);

/// A server whose rate limits do not stand in the way.
pub(super) fn unhurried(database: &TestDatabase) -> Launch {
    let launch = Server::on(database).set("live.commands_per_s", 1_000_000).set("live.commands_burst", 1_000_000);
    launch.set("live.messages_per_s", 1_000_000)
}

async fn ten_thousand_mixed_commands_over_broken_connections(database: TestDatabase) {
    let server = unhurried(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let room = seed_trip(&database, &[(&ana, Role::Organizer), (&ben, Role::Participant)], 1).await;
    let began = Instant::now();

    let reached = Arc::new(AtomicU64::new(0));
    let mut a = Told::new(&ana, ana.client(&server, Codec::MessagePack).await);
    a.client.join_from_zero(room).await;
    let mut b = Told::new(&ben, ben.client(&server, Codec::Json).await);
    b.client.join(room).await;
    let a = tokio::spawn(drive(a, room, 11, None, Arc::clone(&reached)));
    let b = tokio::spawn(drive(b, room, 12, Some(COMMANDS_EACH / 3), reached));
    let both = async { (a.await.unwrap(), b.await.unwrap()) };
    let (mut a, mut b) = tokio::time::timeout(LIMIT, both).await.expect("both are done in time");
    let took = began.elapsed();

    let journal = Journal::read(&database, room).await;
    // Somebody who comes now, and has had none of this.
    let mut fresh = Told::new(&ana, ana.client(&server, Codec::Json).await);
    fresh.client.join(room).await;
    fresh.replica(room);
    let (at, shown) = fresh.client.room(room).state().expect("a whole state");
    assert_eq!(*at, journal.last());
    assert_eq!(*shown, journal.view(), "somebody who joins now is shown what a replay from zero makes");

    let mut acked = 0;
    for told in [&mut a, &mut b] {
        told.client.reached(room, journal.last()).await;
        told.assert_shows(room, shown);
        let heard = told.client.room(room);
        assert_eq!(heard.answered().count(), COMMANDS_EACH);
        assert!(!["error", "left"].iter().any(|tag| told.client.has_other(tag)), "{:?}", told.client.other());
        assert!(told.client.reconnects() > 20, "only {} reconnects", told.client.reconnects());
        acked += heard.acks().len();
    }
    journal.holds_all_that_was_told(room, &[&a, &b, &fresh]);
    assert!(a.replicas[&room].snapshots.is_empty(), "{} has all of it from events", a.name);
    assert_eq!(b.replicas[&room].snapshots.len(), 2, "{} was away too long to resume once", b.name);
    assert!(acked > 6_000, "only {acked} were accepted");
    eprintln!(
        "{}: {acked} commands accepted, {} refused, {} events in {took:?}; {} drops, {} conflicts told",
        database.backend(),
        2 * COMMANDS_EACH - acked,
        journal.last(),
        a.client.reconnects() + b.client.reconnects(),
        journal.conflicts(),
    );
}

/// Sends commands by chance, made from what the client has of the trip, and breaks connections; back when all are answered.
///
/// `away_at`: at this command the client stays away until it is too far behind to resume.
async fn drive(mut told: Told, room: Uuid, seed: u64, away_at: Option<usize>, reached: Arc<AtomicU64>) -> Told {
    let mut rng = numbers(seed);
    let user = UserId(told.user);
    let mut made = 0;
    while made < COMMANDS_EACH || told.client.room(room).pending_count() > 0 {
        while made < COMMANDS_EACH && told.client.room(room).is_joined() && told.client.room(room).pending_count() < WINDOW {
            let command = to_wire(&random_command(&mut rng, &told.replica(room).state, user));
            let n = told.client.op(room, command).await;
            made += 1;
            if rng().is_multiple_of(16) {
                told.client.send_again(room, n).await;
            }
            if away_at == Some(made) {
                told.client.drop_connection();
                let back = told.client.room(room).seq() + 1_200;
                eventually("the others go on", LIMIT, || async { reached.load(Ordering::Relaxed) > back }).await;
            } else if rng().is_multiple_of(100) {
                // What was just sent is under way, or not: sometimes it has had time to arrive.
                if rng().is_multiple_of(2) {
                    told.client.step().await;
                }
                if rng().is_multiple_of(3) {
                    told.client.close().await
                } else {
                    told.client.drop_connection()
                }
                pause(rng() % 40).await;
            }
        }
        told.client.step().await;
        reached.fetch_max(told.client.room(room).seq(), Ordering::Relaxed);
    }
    told
}
