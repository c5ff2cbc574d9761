//! What a client makes of a JSON frame.

use super::harvest::Fault;
use super::heard::Then;
use super::log::Told;
use super::member::Member;
use super::shard::Shard;
use crate::wire::hash;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::rc::Rc;

/// A JSON frame, as far as it matters.
#[derive(Deserialize)]
pub(super) struct JsonFrame {
    t: String,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    from: u64,
    #[serde(default)]
    n: u64,
    #[serde(default)]
    repeated: bool,
    #[serde(default)]
    code: String,
    retry_after_ms: Option<u64>,
    events: Option<Vec<JsonEvent>>,
    state: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct JsonEvent {
    seq: u64,
    client: Option<uuid::Uuid>,
    n: Option<u64>,
    ev: Option<IgnoredAny>,
}

impl Shard {
    pub(super) fn json(self: &Rc<Self>, slot: u32, member: &mut Member, frame: &JsonFrame, now_us: u64) -> Then {
        match frame.t.as_str() {
            "events" if self.may_have_events(member, frame.epoch, frame.from) => {
                self.apply_json(member, frame.events.as_deref().unwrap_or_default(), Some(now_us));
            }
            "ack" => self.ack(member, frame.n, frame.seq, frame.repeated, now_us),
            "joined" => {
                self.entering(member, frame.epoch, frame.seq);
                if let Some(events) = &frame.events {
                    let live_us = Self::lost_nothing(member).then_some(now_us);
                    self.apply_json(member, events, live_us);
                    if member.seq != frame.seq {
                        self.broken(Fault::Order, member, "`joined` does not end at its seq");
                    }
                } else if let Some(state) = &frame.state {
                    self.skipped(member, frame.seq, now_us);
                    self.was_shown(member, frame.seq, hash(state.to_string().as_bytes()));
                } else {
                    self.brought_nothing(member, frame.seq);
                }
                member.seq = frame.seq;
                self.entered(member, frame.epoch, frame.events.is_none(), now_us);
            }
            "rejected" => self.rejected(slot, member, frame.n, &frame.code, frame.retry_after_ms),
            "presence" => self.tally.borrow_mut().at(now_us).counters.presence += 1,
            "left" => return self.left(member, &frame.code),
            "bye" => {
                member.retry_after_ms = frame.retry_after_ms;
                member.told = Some(frame.code.clone());
            }
            "error" => return self.complained(member, &frame.code),
            _ => {}
        }
        Then::ReadOn
    }

    fn apply_json(&self, member: &mut Member, events: &[JsonEvent], live_us: Option<u64>) {
        let mut log = self.logs[self.log_of(member)].borrow_mut();
        let mut tally = self.tally.borrow_mut();
        let (before, known) = (log.top(), self.known(member.client.room));
        for event in events {
            if event.seq != member.seq + 1 {
                self.broken(Fault::Order, member, &format!("event {} came after {}", event.seq, member.seq));
            }
            member.seq = event.seq;
            let client = event.client.map(|id| id.as_u128());
            let told = Told { seq: event.seq, client, n: event.n, whole: event.ev.is_some() };
            if let Err((fault, how)) = log.was_told(&told, self.job.run, known) {
                self.broken(fault, member, &how);
            }
            if let Some(now_us) = live_us {
                self.time(&mut tally, member, client, event.n, now_us);
            }
        }
        self.moved(member, &mut log, before);
        self.deliveries.set(self.deliveries.get() + events.len() as u64);
    }
}
