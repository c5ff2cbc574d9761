//! What the journal holds in the end, and what clients were told before: they must agree.

use std::collections::BTreeMap;

use serde_json::Value;
use tripsync::store::{Db, DbOptions};
use tripsync_domain::protocol::{EventRecord, to_json};
use tripsync_domain::trip::{Event, State};
use tripsync_domain::{EventMeta, RoomKind as _, Trip};
use uuid::Uuid;

use super::people::User;
use super::replica::{Replica, difference, view};
use crate::harness::{Client, TestDatabase};

/// A room's journal, read from the database.
pub(super) struct Journal {
    /// The records as JSON, by seq from 1.
    records: Vec<Value>,
    /// The last seq of every numbered command, by author, client and n.
    commands: BTreeMap<(Uuid, Uuid, u64), u64>,
    metas: Vec<(EventMeta, Event)>,
}

impl Journal {
    /// Reads it all, and checks that it is a journal: seqs without gaps, each command once.
    pub(super) async fn read(database: &TestDatabase, room: Uuid) -> Self {
        type Row = (i64, Uuid, Option<Uuid>, Option<i64>, Vec<u8>);
        let db = Db::connect(database.url(), &DbOptions::default()).await.unwrap();
        let rows: Vec<Row> = tripsync::db_read!(&db, |pool| {
            sqlx::query_as("SELECT seq, author, client, n, bytes FROM events WHERE room = $1 ORDER BY seq").bind(room).fetch_all(pool).await
        })
        .unwrap();
        db.close().await;
        let mut journal = Self { records: Vec::new(), commands: BTreeMap::new(), metas: Vec::new() };
        // Whether the record before belongs to a command whose last event is still to come.
        let mut unfinished = false;
        for (index, (seq, author, client, n, bytes)) in rows.into_iter().enumerate() {
            assert_eq!(usize::try_from(seq).unwrap(), index + 1, "the journal has a gap");
            let record = EventRecord::<Event>::decode(&bytes).unwrap();
            assert_eq!((record.seq.0, record.by.0), (u64::try_from(seq).unwrap(), author));
            if let (Some(client), Some(n)) = (client, n) {
                let again = journal.commands.insert((author, client, n.try_into().unwrap()), record.seq.0);
                assert_eq!(again, None, "command {n} of {client} is in the journal twice");
                assert_eq!((record.client.map(|id| id.0), record.n.map(|n| n.0)), (Some(client), Some(n.try_into().unwrap())));
            }
            // A command's events follow each other, and the last one is where it is known by: otherwise it is there twice.
            let identity = record.client.zip(record.n);
            let before = journal.metas.last().filter(|_| unfinished).map(|(meta, _)| meta.command);
            assert!(before.is_none_or(|before| before == identity), "event {seq} comes into the midst of a command");
            unfinished = identity.is_some() && client.is_none();
            journal.records.push(serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap());
            journal.metas.push((EventMeta { seq: record.seq, at: record.at, by: record.by, command: identity }, record.ev));
        }
        assert!(!unfinished, "the last command is not there to its end");
        journal
    }

    /// Overwritten values that their authors were told of.
    pub(super) fn conflicts(&self) -> usize {
        self.records.iter().filter_map(|record| record["conflicts"].as_array()).map(Vec::len).sum()
    }

    /// The last seq.
    pub(super) fn last(&self) -> u64 {
        u64::try_from(self.records.len()).unwrap()
    }

    /// Folds it from zero; `at` is called with the view at each of some seqs.
    fn replay(&self, seqs: &[u64], mut at: impl FnMut(u64, &Value)) -> State {
        let mut state = State::default();
        for (meta, event) in &self.metas {
            Trip::evolve(&mut state, meta, event);
            if seqs.contains(&meta.seq.0) {
                at(meta.seq.0, &view(&state));
            }
        }
        Trip::validate(&state).unwrap();
        state
    }

    /// The state that the whole journal makes, as clients are shown it.
    pub(super) fn view(&self) -> Value {
        view(&self.replay(&[], |_, _| {}))
    }

    /// Holds what clients were told against it: every event and every state that anyone saw is what the journal has there, every
    /// acknowledged command is in it at that place, no refused one is, and none of a client's that it did not hear of.
    ///
    /// # Panics
    /// When not.
    pub(super) fn holds_all_that_was_told(&self, room: Uuid, told: &[&Told]) {
        for Told { user, name, client, replicas } in told {
            let heard = client.room(room);
            for (seq, record) in heard.history() {
                let stored = self.records.get(usize::try_from(*seq).unwrap() - 1);
                let stored = stored.unwrap_or_else(|| panic!("{name} saw event {seq}, the journal ends at {}", self.last()));
                if let Some(difference) = difference("", record, stored) {
                    panic!("{name} saw another event {seq} than the journal has: {difference}");
                }
            }
            for (n, sendings, answer) in heard.answered() {
                let stored = self.commands.get(&(*user, client.id(), n)).copied();
                match answer {
                    Ok(seq) => assert_eq!(stored, Some(*seq), "{name}: command {n} was acknowledged at {seq}"),
                    // Each sending is judged: the answer to an earlier one may have been lost with its connection.
                    Err(frame) => {
                        assert!(stored.is_none() || sendings > 1, "{name}: command {n} is in the journal and was refused: {frame}");
                        let code = frame["code"].as_str().unwrap();
                        assert!(!["command_id_reused", "internal"].contains(&code), "{name}: command {n}: {frame}");
                    }
                }
            }
            for (_, _, n) in self.commands.keys().filter(|(_, id, _)| *id == client.id()) {
                assert!(!heard.is_pending(*n), "{name}: command {n} is in the journal and was never answered");
            }
            let snapshots = replicas.get(&room).map_or(&[][..], |replica| &replica.snapshots);
            for (seq, _) in snapshots {
                assert!(*seq <= self.last(), "{name} was shown a state at {seq}, the journal ends at {}", self.last());
            }
            let seqs: Vec<_> = snapshots.iter().map(|(seq, _)| *seq).collect();
            self.replay(&seqs, |at, stored| {
                for (_, shown) in snapshots.iter().filter(|(seq, _)| *seq == at) {
                    if let Some(difference) = difference("", shown, stored) {
                        panic!("{name} was shown another state at {at} than the journal makes: {difference}");
                    }
                }
            });
        }
    }
}

/// A client, and what it has made of each room.
pub(super) struct Told {
    pub(super) user: Uuid,
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) replicas: BTreeMap<Uuid, Replica>,
}

impl Told {
    pub(super) fn new(user: &User, client: Client) -> Self {
        Self { user: user.id, name: user.name.clone(), client, replicas: BTreeMap::new() }
    }

    /// What it has of a room by now.
    pub(super) fn replica(&mut self, room: Uuid) -> &Replica {
        let replica = self.replicas.entry(room).or_default();
        replica.catch_up(self.client.room(room));
        replica
    }

    /// Holds what it has of a room against what somebody who joins now is shown.
    pub(super) fn assert_shows(&mut self, room: Uuid, fresh: &Value) {
        self.replica(room);
        self.replicas[&room].assert_shows(&self.name, fresh);
    }
}
