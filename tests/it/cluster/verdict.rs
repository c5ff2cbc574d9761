//! Holds what clients saw and were told against the journal.

use std::collections::BTreeMap;

use serde_json::Value;
use tripsync_actors::testing::checker::Commands;
use tripsync_domain::protocol::to_json;
use uuid::Uuid;

use super::fleet::Fleet;
use super::load::Outcome;

/// How often each promise was broken; all zero when they hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// Acknowledged or seen, and not in the journal, or not so.
    pub(super) lost: u64,
    /// Rows under an epoch lower than that of a row before.
    pub(super) old_epoch: u64,
    /// Commands that are in the journal twice.
    pub(super) doubled: u64,
    /// Gaps, reorders, and whatever else a client noticed while it ran.
    pub(super) order: u64,
    /// Never answered, or rooms whose end a client never reached, or that never went on.
    pub(super) stuck: u64,
    /// The first of each.
    pub(super) examples: Vec<String>,
}

/// Epochs by room and seq, as stored.
pub(super) type Epochs = BTreeMap<Uuid, Vec<i64>>;

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.lost + self.old_epoch + self.doubled + self.order + self.stuck == 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.old_epoch += other.old_epoch;
        self.doubled += other.doubled;
        self.order += other.order;
        self.stuck += other.stuck;
        self.examples.extend(other.examples);
    }

    /// Judges, and says under which epoch each row was written.
    pub(super) async fn of(outcome: &Outcome, fleet: &Fleet) -> (Self, Epochs) {
        let mut verdict = Self::default();
        for broken in &outcome.broken {
            let count = if broken.contains("nothing comes any more") { &mut verdict.stuck } else { &mut verdict.order };
            *count += 1;
            verdict.examples.push(broken.clone());
        }
        let mut epochs = Epochs::new();
        let mut marks: BTreeMap<String, u64> = BTreeMap::new();
        for (room, goal) in &outcome.goals {
            let rows = fleet.rows(*room).await;
            let falls = rows.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
            verdict.count(falls, |verdict| &mut verdict.old_epoch, || format!("room {room}: the epoch falls along seq"));
            epochs.insert(*room, rows.iter().map(|(_, epoch, _)| *epoch).collect());
            let records: Vec<Value> = rows.iter().map(|(_, _, bytes)| serde_json::from_slice(&to_json(bytes).unwrap()).unwrap()).collect();
            for mark in records.iter().filter_map(mark) {
                *marks.entry(mark).or_default() += 1;
            }
            match Commands::read(records, None) {
                Ok(journal) => verdict.clients(outcome, *room, *goal, &journal),
                Err(why) => {
                    let count = if why.contains("twice") { &mut verdict.doubled } else { &mut verdict.lost };
                    *count += 1;
                    verdict.examples.push(format!("room {room}: {why}"));
                }
            }
        }
        for accepted in outcome.callers.iter().flat_map(|caller| &caller.accepted) {
            let missing = !marks.contains_key(&accepted.to_string());
            verdict.count(
                missing.into(),
                |verdict| &mut verdict.lost,
                || format!("message {accepted} was accepted over REST and is not stored"),
            );
        }
        let twice = marks.values().filter(|count| **count > 1).count();
        verdict.count(twice, |verdict| &mut verdict.doubled, || "a REST call under one key was carried out twice".to_owned());
        (verdict, epochs)
    }

    fn clients(&mut self, outcome: &Outcome, room: Uuid, goal: u64, journal: &Commands) {
        for client in &outcome.clients {
            let Some(known) = client.rooms.get(&room) else { continue };
            let (user, id) = (client.account.id.to_string(), client.id.to_string());
            if let Err(why) = known.observer.against(journal, &user, &id) {
                self.lost += 1;
                self.examples.push(format!("room {room}, client {id}: {why}"));
            }
            let unanswered = known.pending.len();
            self.count(
                unanswered,
                |verdict| &mut verdict.stuck,
                || {
                    let stored = known.pending.keys().filter(|n| journal.find(&user, &id, **n).is_some()).count();
                    format!("room {room}, client {id}: {unanswered} commands were never answered, {stored} of them are stored")
                },
            );
            let at = known.observer.seq();
            self.count(
                (at < goal).into(),
                |verdict| &mut verdict.stuck,
                || format!("room {room}, client {id}: is at {at} of {goal}, in the room: {}", known.observer.is_in()),
            );
        }
    }

    fn count(&mut self, times: usize, of: impl FnOnce(&mut Self) -> &mut u64, example: impl FnOnce() -> String) {
        if times > 0 {
            *of(self) += u64::try_from(times).unwrap();
            self.examples.push(example());
        }
    }
}

/// The mark that is the whole text of a message that was sent over REST.
fn mark(record: &Value) -> Option<String> {
    let text = record["ev"].to_string();
    let (_, rest) = text.split_once("\"body\":\"")?;
    let (body, _) = rest.split_once('"')?;
    body.parse::<Uuid>().is_ok().then(|| body.to_owned())
}
