//! What the clients saw, held against what the server has stored, which its log tells over REST.

mod content;
mod seats;

use crate::engine::{Fault, Harvest, Job, RoomLog, twice};
use crate::rest::Logged;
use crate::scenario::RoomKind;
use crate::target::Target;
use crate::wire::{client_index, is_of_run};
use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, HashSet};
use tripsync_loadtest::results::ServerKind;

/// Rooms that are asked about at once.
const AT_ONCE: usize = 16;
const PAGE: u32 = 100;

const fn collection(kind: RoomKind) -> &'static str {
    match kind {
        RoomKind::Trip => "trips",
        RoomKind::Pool => "pools",
    }
}

/// Raises the positions of some rooms to what the server says.
pub(super) async fn newest(job: &Job, target: &Target, tops: &mut [u64], most: usize) -> anyhow::Result<()> {
    if target.kind == ServerKind::Floor {
        return Ok(());
    }
    let step = job.rooms.len().div_ceil(most).max(1);
    let mut asking = Vec::new();
    for (index, room) in job.rooms.iter().enumerate().step_by(step) {
        let token = &job.accounts[room.owner as usize].token;
        asking.push(async move {
            let (page, _) = target.rest.log(token, collection(room.kind), room.id, 1, None).await?;
            anyhow::Ok((index, page.first().map_or(0, |newest| newest.seq)))
        });
    }
    let found: Vec<(usize, u64)> = stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await?;
    for (index, seq) in found {
        tops[index] = tops[index].max(seq);
    }
    Ok(())
}

/// Compares event by event, for as many rooms as the scenario's bound allows.
pub(super) async fn compare(job: &Job, target: &Target, harvest: &mut Harvest) -> anyhow::Result<()> {
    let mut left = job.scenario.limits.history_events;
    let mut asking = Vec::new();
    for log in &harvest.logs {
        let events = log.entries.len() as u64;
        if events > left && !asking.is_empty() {
            harvest.verified.left_out(Fault::Durability, "rooms were beyond `history_events`");
            for _ in &log.acked_unseen {
                harvest.verified.left_out(Fault::Durability, "acknowledgements inside snapshots were beyond `history_events`");
            }
            continue;
        }
        left = left.saturating_sub(events);
        asking.push(async move { anyhow::Ok((log.room, history(job, target, log).await?)) });
    }
    let found: Vec<(u32, Stored)> =
        stream::iter(asking).buffer_unordered(AT_ONCE).try_collect().await.context("the history could not be read")?;
    // Whose command each event is, as members got it; the history knows what they did not get.
    let mut authors: BTreeMap<u32, BTreeMap<u64, (u32, u64)>> = BTreeMap::new();
    for log in &harvest.logs {
        let known = (1..).zip(&log.entries).filter(|(_, entry)| entry.client > 0);
        authors.insert(log.room, known.map(|(seq, entry)| (seq, (entry.client, entry.n))).collect());
    }
    for (room, Stored { events: history, differs }) in found {
        let about = &job.rooms[room as usize];
        let Some(log) = harvest.logs.iter().find(|log| log.room == room) else { continue };
        let mut problems = differs;
        let mut missing: Vec<bool> = log.entries.iter().map(|entry| entry.client > 0).collect();
        for logged in &history {
            let Some(index) = logged.seq.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else { continue };
            let stored = logged.client.filter(|client| is_of_run(client.as_u128(), job.run)).zip(logged.n);
            let stored = stored.map(|(client, n)| (client_index(client.as_u128()) + 1, n));
            if let Some(stored) = stored {
                authors.entry(room).or_default().entry(logged.seq).or_insert(stored);
            }
            // Members who came later got a snapshot instead; that they have come as far as the room is checked elsewhere.
            let Some(entry) = log.entries.get(index) else { continue };
            missing[index] = false;
            // A pool's log names the command of an event only to those whom it concerns.
            let told = stored.is_some() || about.kind == RoomKind::Trip;
            if entry.client > 0 && told && stored != Some((entry.client, entry.n)) {
                problems.push(format!("room {}: event {} is stored as another's command than members got", about.id, logged.seq));
            }
        }
        problems.extend(lost(log, &history, about.kind).map(|how| format!("room {}: {how}", about.id)));
        // A pool's log leaves out what is not for its owner.
        if about.kind == RoomKind::Trip {
            let lost = (1..).zip(missing).filter(|(_, missing)| *missing);
            problems.extend(lost.map(|(seq, _): (u64, bool)| format!("room {}: members got event {seq}, which is not stored", about.id)));
        }
        harvest.verified.checked(Fault::Durability, history.len() as u64);
        for problem in problems {
            harvest.verified.broken(Fault::Durability, problem);
        }
        if about.kind == RoomKind::Pool {
            let judged = seats::judge(history.iter().rev().map(|logged| (logged.seq, &logged.event)));
            harvest.verified.checked(Fault::Seats, judged.moments);
            for how in judged.oversold {
                harvest.verified.broken(Fault::Seats, format!("pool {}: {how}", about.id));
            }
            let sent_away = log.refused.iter().filter(|refused| refused.no_seat).count();
            if sent_away > 0 && !judged.full {
                let how = format!("pool {}: {sent_away} were refused for lack of seats, and it never was full", about.id);
                harvest.verified.broken(Fault::Refusals, how);
            }
        }
    }
    for (room, authors) in authors {
        let about = &job.rooms[room as usize];
        for how in harvest.logs.iter().find(|log| log.room == room).map(|log| applied(log, &authors)).unwrap_or_default() {
            harvest.verified.broken(Fault::Answers, format!("room {}: {how}", about.id));
        }
        let authors = authors.into_iter().map(|(seq, author)| (seq, Some(author)));
        for ((client, n), before, again) in twice(authors, about.kind == RoomKind::Pool) {
            let how = format!("room {}: command {n} of client {} was applied twice, at {before} and at {again}", about.id, client - 1);
            harvest.verified.broken(Fault::Answers, how);
        }
    }
    Ok(())
}

/// Commands that were acknowledged inside a snapshot, and are not stored there.
fn lost<'a>(log: &'a RoomLog, history: &'a [Logged], kind: RoomKind) -> impl Iterator<Item = String> + 'a {
    log.acked_unseen.iter().filter_map(move |acked| {
        let stored = history.iter().find(|logged| logged.seq == acked.seq);
        let by =
            stored.and_then(|logged| logged.client.zip(logged.n)).map(|(client, n)| (client_index(client.as_u128()).wrapping_add(1), n));
        // A pool's log names the command of an event only to those whom it concerns, and not every event.
        let right = by == Some((acked.client, acked.n)) || (kind == RoomKind::Pool && by.is_none());
        (!right).then(|| {
            format!("command {} of client {} was acknowledged at {}, and is not stored there", acked.n, acked.client - 1, acked.seq)
        })
    })
}

/// Commands that were refused, and whose events are there.
fn applied(log: &RoomLog, authors: &BTreeMap<u64, (u32, u64)>) -> Vec<String> {
    let refused: HashSet<(u32, u64)> = log.refused.iter().map(|refused| (refused.client, refused.n)).collect();
    let found = authors.iter().filter(|(_, author)| refused.contains(*author));
    found.map(|(seq, (client, n))| format!("command {n} of client {} was refused, and is event {seq}", client - 1)).collect()
}

/// What is stored of a room.
struct Stored {
    /// Newest first; of a trip without what happened, which is judged already.
    events: Vec<Logged>,
    /// What is stored otherwise than it was sent or delivered.
    differs: Vec<String>,
}

async fn history(job: &Job, target: &Target, log: &RoomLog) -> anyhow::Result<Stored> {
    let room = &job.rooms[log.room as usize];
    let token = &job.accounts[room.owner as usize].token;
    let mut stored = Stored { events: Vec::new(), differs: Vec::new() };
    let mut cursor: Option<String> = None;
    loop {
        let (mut page, next) = target.rest.log(token, collection(room.kind), room.id, PAGE, cursor.as_deref()).await?;
        if room.kind == RoomKind::Trip {
            for logged in &mut page {
                stored.differs.extend(content::differs(job, log, logged).map(|how| format!("room {}: {how}", room.id)));
                // There are many.
                logged.event = serde_json::Value::Null;
            }
        }
        stored.events.extend(page);
        if next.is_none() {
            return Ok(stored);
        }
        cursor = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::harvest::{Acked, Refused};
    use crate::wire::client_id;

    #[test]
    fn what_was_acknowledged_inside_a_snapshot_must_be_stored() {
        let run = 0x1234_5678_9abc_def0;
        let acked = Acked { client: 3, n: 7, seq: 5 };
        let log = RoomLog { acked_unseen: vec![acked], ..RoomLog::default() };
        let stored = |n| [Logged { seq: 5, client: Some(client_id(run, 2)), n: Some(n), event: serde_json::Value::Null }];
        let lost = |history: &[Logged], kind| super::lost(&log, history, kind).count();
        assert_eq!((lost(&stored(7), RoomKind::Trip), lost(&stored(8), RoomKind::Trip), lost(&[], RoomKind::Trip)), (0, 1, 1));
        assert_eq!((lost(&stored(8), RoomKind::Pool), lost(&[], RoomKind::Pool)), (1, 0));
    }

    #[test]
    fn what_was_refused_and_is_there_all_the_same_is_noticed() {
        let log = RoomLog { refused: vec![Refused { client: 3, n: 7, no_seat: false }], ..RoomLog::default() };
        assert_eq!(applied(&log, &BTreeMap::from([(1, (3, 6)), (2, (2, 7))])), Vec::<String>::new());
        assert_eq!(applied(&log, &BTreeMap::from([(5, (3, 7))])), ["command 7 of client 2 was refused, and is event 5"]);
    }
}
