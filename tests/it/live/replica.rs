//! A trip as a client has it: from the state that it was sent, and the events after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tripsync_domain::protocol::{EventRecord, to_json};
use tripsync_domain::trip::{Activity, Details, Event, Expense, Field, Member, Place, Stamp, Stamps, State, Tracked, TripRecord};
use tripsync_domain::{EventMeta, RoomId, RoomKind as _, Seq, Timestamp, Trip, UserId};
use uuid::Uuid;

use crate::harness::Mirror;

/// What a client has of a trip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    /// The state that the domain's rules make of what came. What clients are not told (who wrote which field last, what was
    /// removed) is missing when it began with a snapshot.
    pub(crate) state: State,
    /// The snapshots that it began with, and their seqs; they have the newest messages only.
    pub(crate) snapshots: Vec<(u64, Value)>,
}

impl Replica {
    /// Applies what has come since.
    pub(crate) fn catch_up(&mut self, heard: &Mirror) {
        if let Some((at, state)) = heard.state()
            && self.snapshots.last().is_none_or(|(last, _)| last < at)
        {
            self.snapshots.push((*at, state.clone()));
            // Nothing of what was before counts.
            self.state = state_of(heard.id(), Seq(*at), state);
        }
        for (seq, record) in heard.history().range(self.state.seq.0 + 1..) {
            let record: EventRecord<Event> = read(record);
            assert_eq!((record.seq.0, *seq), (self.state.seq.0 + 1, self.state.seq.0 + 1), "the history has a gap");
            let command = record.client.zip(record.n);
            let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command };
            Trip::evolve(&mut self.state, &meta, &record.ev);
        }
        assert_eq!(self.state.seq.0, heard.seq());
    }

    /// As the server would show it.
    pub(crate) fn view(&self) -> Value {
        view(&self.state)
    }

    /// Holds it against what somebody who joins now is shown.
    ///
    /// # Panics
    /// They differ; the text has the first difference.
    #[track_caller]
    pub(crate) fn assert_shows(&self, whose: &str, fresh: &Value) {
        let (mut own, mut fresh) = (self.view(), fresh.clone());
        if !self.snapshots.is_empty() {
            // Older messages come over REST when somebody scrolls; here, those that both have must be equal.
            let ids = |view: &Value| messages(view).iter().map(|message| message["id"].clone()).collect::<Vec<_>>();
            let both: BTreeSet<String> = ids(&own).iter().filter(|id| ids(&fresh).contains(id)).map(Value::to_string).collect();
            assert!(both.len() * 2 >= messages(&fresh).len(), "{whose} has hardly a message of the newest");
            for view in [&mut own, &mut fresh] {
                view["messages_before"] = Value::Null;
                let Value::Array(messages) = &mut view["messages"] else { panic!("no messages in {view}") };
                messages.retain(|message| both.contains(&message["id"].to_string()));
            }
        }
        if let Some(difference) = difference("", &own, &fresh) {
            panic!("{whose} has another state than somebody who joins now: {difference}");
        }
    }
}

/// A state as clients are shown it.
pub(crate) fn view(state: &State) -> Value {
    let bytes = Trip::view(state, UserId(Uuid::nil()));
    serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap()
}

/// The first place at which two values differ, and what stands there.
pub(crate) fn difference(path: &str, left: &Value, right: &Value) -> Option<String> {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                difference(&format!("{path}/{key}"), a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(index, (a, b))| difference(&format!("{path}/{index}"), a, b))
        }
        _ => (left != right).then(|| format!("at {path}: {left} and {right}")),
    }
}

/// What a client makes of `joined.state`.
fn state_of(room: Uuid, seq: Seq, view: &Value) -> State {
    let details: Details = read(&view["details"]);
    let nowhen = Stamp { seq: Seq(0), by: UserId(Uuid::nil()), at: Timestamp::from_ms(0) };
    let stamps = Stamps { created: nowhen, changed: Vec::new() };
    State {
        seq,
        trip: Some(TripRecord { room: RoomId(room), creator: read(&view["creator"]), details: Tracked { item: details, stamps } }),
        ended: None,
        members: tracked::<_, Member>(&view["members"], seq),
        activities: tracked::<_, Activity>(&view["activities"], seq),
        days: read(&view["days"]),
        unscheduled: read(&view["unscheduled"]),
        places: tracked::<_, Place>(&view["places"], seq),
        expenses: tracked::<_, Expense>(&view["expenses"], seq),
        messages: read(&view["messages"]),
        reads: read(&view["reads"]),
        tombstones: VecDeque::new(),
    }
}

fn messages(view: &Value) -> &[Value] {
    view["messages"].as_array().expect("messages")
}

fn tracked<K: DeserializeOwned + Ord, V: DeserializeOwned>(items: &Value, seq: Seq) -> BTreeMap<K, Tracked<V>> {
    let items: BTreeMap<K, Value> = read(items);
    let track = |item: Value| {
        let created = Stamp { seq: Seq(0), by: read(&item["created_by"]), at: read(&item["created_at"]) };
        let updated = Stamp { seq, by: read(&item["updated_by"]), at: read(&item["updated_at"]) };
        // Which field it was is not told; any will do.
        let stamps = Stamps { created, changed: vec![(Field::Notes, updated)] };
        Tracked { item: read(&item), stamps }
    };
    items.into_iter().map(|(key, item)| (key, track(item))).collect()
}

/// Reads a part of a frame.
#[track_caller]
fn read<V: DeserializeOwned>(value: &Value) -> V {
    V::deserialize(value).unwrap_or_else(|error| panic!("{error} in {value}"))
}
