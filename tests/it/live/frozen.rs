//! A database that answers nothing for five seconds: nobody is told anything that is not durable.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::time::Instant;
use tripsync_domain::Role;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::journal::{Journal, Told};
use super::mixed::unhurried;
use super::people::User;
use super::socket::Socket;
use super::trip::seed_trip;
use crate::harness::{Backend, PrivatePostgres, Server, TestDatabase};

const FROZEN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_while_postgres_is_stopped() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let mut people = People::at_work(&database).await;
    postgres.freeze().await;
    people.see_nothing().await;
    postgres.thaw().await;
    people.see_everything(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_while_sqlite_is_locked() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let mut people = People::at_work(&database).await;
    let mut other = SqliteConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    people.see_nothing().await;
    other.execute("ROLLBACK").await.unwrap();
    people.see_everything(&database).await;
}

/// Two who work in a room, and one who wants to join.
struct People {
    room: Uuid,
    ana: Told,
    ben: Told,
    late: Socket,
    sent: usize,
    server: Server,
}

impl People {
    async fn at_work(database: &TestDatabase) -> Self {
        let server = unhurried(database).start().await;
        let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
        let room = seed_trip(database, &[(&ana, Role::Organizer), (&ben, Role::Participant)], 3).await;
        let late = ana.socket(&server, Codec::Json).await;
        let ana = Told::new(&ana, ana.client(&server, Codec::MessagePack).await);
        let ben = Told::new(&ben, ben.client(&server, Codec::Json).await);
        let mut people = Self { room, ana, ben, late, sent: 0, server };
        people.ana.client.join_from_zero(room).await;
        people.ben.client.join_from_zero(room).await;
        // So that the room knows both of them, and both are at the same place.
        people.say_something().await;
        let mut last = 0;
        for told in [&mut people.ana, &mut people.ben] {
            told.client.settled().await;
            last = last.max(told.client.room(room).acked(1));
        }
        people.ana.client.reached(room, last).await;
        people.ben.client.reached(room, last).await;
        people
    }

    /// A message of each.
    async fn say_something(&mut self) {
        self.sent += 1;
        let cmd = json!({"type": "send_message", "body": format!("message {}", self.sent)});
        self.ana.client.op(self.room, cmd.clone()).await;
        self.ben.client.op(self.room, cmd).await;
    }

    /// Goes on sending for as long as nothing can be stored, and hears nothing that would have to be.
    async fn see_nothing(&mut self) {
        let room = self.room;
        let before = [self.ana.client.room(room).seq(), self.ben.client.room(room).seq()];
        let until = Instant::now() + FROZEN;
        while Instant::now() < until {
            self.say_something().await;
            // A refusal and a state may rest on what is not stored yet, so they are not told, either.
            self.ben.client.op(room, json!({"type": "remove_member", "user": self.ana.user})).await;
            // By now the room has decided what cannot be stored; before that, a state would be all right.
            if self.sent == 6 {
                self.late.send(&json!({"t": "join", "room": room})).await;
            }
            for told in [&mut self.ana, &mut self.ben] {
                told.client.listen(Duration::from_millis(30)).await;
                let heard = told.client.room(room);
                assert_eq!(heard.answered().count(), 1, "{} was answered", told.name);
                assert_eq!(told.client.reconnects(), 0, "{} was cut off", told.name);
            }
            let seqs = [self.ana.client.room(room).seq(), self.ben.client.room(room).seq()];
            assert_eq!(seqs, before, "an event left that is not stored");
            if let Ok(heard) = tokio::time::timeout(Duration::from_millis(20), self.late.next()).await {
                panic!("somebody who joins was told {heard:?}");
            }
        }
        assert!(self.sent > 20, "only {} rounds were sent", self.sent);
    }

    async fn see_everything(mut self, database: &TestDatabase) {
        let room = self.room;
        let thawed = Instant::now();
        self.ana.client.settled().await;
        self.ben.client.settled().await;
        let settled = thawed.elapsed();
        let journal = Journal::read(database, room).await;
        let mut seqs = BTreeSet::new();
        for told in [&mut self.ana, &mut self.ben] {
            told.client.reached(room, journal.last()).await;
            told.assert_shows(room, &journal.view());
            let heard = told.client.room(room);
            let acks = heard.acks();
            assert!(acks.values().is_sorted(), "a command was overtaken: {acks:?}");
            assert_eq!(acks.len(), self.sent, "every message is stored");
            seqs.extend(acks.into_values());
            for (n, _, answer) in heard.answered() {
                if let Err(frame) = answer {
                    assert_eq!(frame["code"], "forbidden", "{n}: {frame}");
                }
            }
        }
        assert_eq!(seqs.len(), 2 * self.sent, "each at a place of its own");
        journal.holds_all_that_was_told(room, &[&self.ana, &self.ben]);
        let joined = self.late.expect("joined").await;
        assert!(joined["state"].is_object(), "{joined}");
        eprintln!(
            "{}: {} commands waited for {FROZEN:?}; all were answered {settled:?} later",
            database.backend(),
            2 * self.sent + self.sent,
        );
        drop(self.server);
    }
}
