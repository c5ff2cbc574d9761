//! A realistic trip for tests to begin with.

use serde_json::{Value, json};
use tripsync::store::journal::{DbJournal, JournalOptions};
use tripsync::store::{Db, DbOptions};
use tripsync_actors::ports::{Append, Journal as _, NewRecord};
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::trip::testing::{numbers, random_command};
use tripsync_domain::trip::{Command, Event, State};
use tripsync_domain::{Ctx, EventMeta, ItemId, NodeId, Role, RoomId, RoomKind as _, Seq, Timestamp, Trip, UserCard, UserId};
use uuid::Uuid;

use super::people::User;
use crate::harness::TestDatabase;

/// Puts a trip of the first one of these people into the journal, with the others as members.
///
/// It has at least 30 activities on a week and 20 places; `seed` makes the rest. The server must not have opened it.
pub(super) async fn seed_trip(database: &TestDatabase, people: &[(&User, Role)], seed: u64) -> Uuid {
    let room = RoomId(Uuid::now_v7());
    let mut making = Making { room, state: State::default(), events: Vec::new(), records: Vec::new() };
    let (owner, _) = people[0];
    let cards: Vec<_> = people.iter().map(|(user, _)| UserCard { user: UserId(user.id), name: user.name.clone(), group: None }).collect();
    making.command(
        owner,
        &cards,
        &json!({"type": "create", "title": "A week in Lisbon", "start_date": "2027-05-01", "end_date": "2027-05-07"}),
    );
    for (user, role) in &people[1..] {
        making.command(owner, &cards, &json!({"type": "add_member", "user": user.id, "role": role}));
    }
    for hour in 0..32_u32 {
        let (day, hour) = (1 + hour / 5, 8 + 2 * (hour % 5));
        let start = json!({"local": format!("2027-05-{day:02}T{hour:02}:00"), "tz": "Europe/Lisbon"});
        making.command(owner, &cards, &json!({"type": "add_activity", "title": format!("Day {day}, {hour} o'clock"), "start": start}));
    }
    for place in 0..22 {
        let position = json!({"lat": 38.7 + f64::from(place) / 100.0, "lon": -9.1});
        making.command(
            owner,
            &cards,
            &json!({"type": "add_place", "name": format!("Miradouro {place}"), "kind": "poi", "position": position}),
        );
    }
    let mut rng = numbers(seed);
    for _ in 0..20 {
        let command = random_command(&mut rng, &making.state, UserId(owner.id));
        making.try_command(owner, &cards, &command);
    }
    making.store(database).await;
    room.0
}

struct Making {
    room: RoomId,
    state: State,
    events: Vec<(EventMeta, Event)>,
    records: Vec<NewRecord>,
}

impl Making {
    fn command(&mut self, by: &User, cards: &[UserCard], command: &Value) {
        let command = tripsync_domain::command::parse(command).unwrap();
        assert!(self.try_command(by, cards, &command), "{command:?}");
    }

    fn try_command(&mut self, by: &User, cards: &[UserCard], command: &Command) -> bool {
        let at = Timestamp::from_ms(1_700_000_000_000 + i64::try_from(self.state.seq.0).unwrap());
        let author = UserId(by.id);
        let ctx =
            Ctx { room: self.room, author, at, base: None, new_id: ItemId(Uuid::now_v7()), users: cards, reserved: true, origin: None };
        let Ok(decision) = Trip::decide(&self.state, &ctx, command) else { return false };
        for event in decision.events {
            let meta = EventMeta { seq: Seq(self.state.seq.0 + 1), at, by: author, command: None };
            Trip::evolve(&mut self.state, &meta, &event);
            let (tag, entity) = (Trip::tag(&event), Trip::entity(&event));
            let record = EventRecord { seq: meta.seq, at, by: author, client: None, n: None, ev: event, conflicts: Vec::new() };
            let bytes = record.encode().unwrap().into();
            self.records.push(NewRecord { seq: meta.seq, at, by: author, tag, entity, command: None, bytes });
            self.events.push((meta, record.ev));
        }
        true
    }

    async fn store(self, database: &TestDatabase) {
        let Self { room, state, events, records } = self;
        let db = Db::connect(database.url(), &DbOptions::default()).await.unwrap();
        let journal = DbJournal::new(&db, JournalOptions::default());
        journal.create(room, Trip::KIND, Timestamp::from_ms(1_700_000_000_000)).await.unwrap();
        let opened = journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap();
        let projections = Trip::project(&state, &events);
        let appended = journal.append([Append { room, epoch: opened.epoch, records, projections, deadline: None }].into()).await.unwrap();
        assert!(appended[0].is_ok(), "{appended:?}");
        journal.close().await;
        db.close().await;
    }
}
