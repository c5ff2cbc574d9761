//! A client's side of one room, without any I/O: the rules for clients of `docs/PROTOCOL.md`, as small as they can be.
//!
//! Owns the position in the room's order and the commands that are not answered. Promises: every command is sent until it is
//! acknowledged or refused for good, always under the same number; after a drop the client goes on where it was; frames that leave a gap are
//! never applied. Does not know what commands and events mean.

use serde_json::{Value, json};
use std::collections::VecDeque;

/// Commands that may be unanswered; a companion that gets that far behind waits.
const PENDING_MAX: usize = 64;
/// When a refusal that asks for patience names no time.
const PATIENCE_MS: u64 = 1_000;

/// What a frame meant.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The room as it is.
    State(Value),
    /// Events that follow what was known, in order; also those that `joined` brings.
    Events(Vec<Value>),
    /// Who came, changed or went: a `presence` frame.
    Presence(Value),
    /// A command was answered for good.
    Answered {
        /// Its number.
        n: u64,
        /// The code of a refusal; none: it is in the journal.
        refused: Option<String>,
    },
    /// [`Desk::again`] is to be sent after this many milliseconds.
    Later(u64),
    /// Out of the room for good, with the code.
    Out(String),
    /// The server goes away, or something does not fit together: connect anew after this many milliseconds.
    Reconnect(u64),
}

/// A command on its way.
#[derive(Debug)]
struct Pending {
    n: u64,
    cmd: Value,
    base: u64,
}

/// One client in one room.
#[derive(Debug)]
pub(super) struct Desk {
    room: String,
    last_n: u64,
    /// Epoch and seq of the last event that was applied.
    at: Option<(u64, u64)>,
    joined: bool,
    pending: VecDeque<Pending>,
}

impl Desk {
    /// A client that knows nothing and has numbered `last_n` commands before.
    pub(super) fn new(room: String, last_n: u64) -> Self {
        Self { room, last_n, at: None, joined: false, pending: VecDeque::new() }
    }

    /// The room's id.
    pub(super) fn room(&self) -> &str {
        &self.room
    }

    /// How many commands are unanswered.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether the room may be spoken to.
    pub(super) const fn is_joined(&self) -> bool {
        self.joined
    }

    /// The first frame on a new socket.
    pub(super) fn join(&mut self) -> Value {
        self.joined = false;
        let mut frame = json!({"t": "join", "room": self.room});
        if let Some((epoch, seq)) = self.at {
            frame["since"] = json!({"epoch": epoch, "seq": seq});
        }
        frame
    }

    /// Takes a command in. Returns its number, and its frame if it can be sent now; `None` when too many are unanswered.
    pub(super) fn submit(&mut self, cmd: Value) -> Option<(u64, Option<Value>)> {
        if self.pending.len() >= PENDING_MAX {
            return None;
        }
        self.last_n += 1;
        let pending = Pending { n: self.last_n, cmd, base: self.at.map_or(0, |(_, seq)| seq) };
        let frame = self.joined.then(|| self.frame(&pending));
        self.pending.push_back(pending);
        Some((self.last_n, frame))
    }

    /// Everything that is unanswered, in order, under the same numbers.
    pub(super) fn again(&self) -> Vec<Value> {
        self.pending.iter().map(|pending| self.frame(pending)).collect()
    }

    /// Reads a frame from the server; `None` when it changes nothing here. After every `joined`, [`Self::again`] is to be sent.
    pub(super) fn hear(&mut self, frame: &Value) -> Option<Heard> {
        let tag = frame["t"].as_str()?;
        if !matches!(tag, "bye" | "error") && frame["room"].as_str() != Some(&self.room) {
            return None;
        }
        match tag {
            "joined" => self.hear_joined(frame),
            "events" => {
                let events = frame["events"].as_array()?.clone();
                self.advance(frame["epoch"].as_u64()?, events)
            }
            "ack" => self.answered(frame["n"].as_u64()?, None),
            "rejected" => {
                let code = frame["code"].as_str().unwrap_or_default();
                let after = frame["retry_after_ms"].as_u64().unwrap_or(PATIENCE_MS);
                if matches!(code, "retry" | "restarting" | "moved" | "overloaded" | "rate_limited" | "room_unavailable") {
                    return Some(Heard::Later(after));
                }
                if code == "not_joined" {
                    return Some(Heard::Reconnect(after));
                }
                self.answered(frame["n"].as_u64()?, Some(code.to_owned()))
            }
            "presence" => Some(Heard::Presence(frame.clone())),
            "left" => {
                self.joined = false;
                let code = frame["code"].as_str().unwrap_or_default();
                match frame["retry_after_ms"].as_u64() {
                    Some(after) => Some(Heard::Reconnect(after)),
                    None if matches!(code, "removed" | "room_deleted" | "not_found" | "forbidden") => Some(Heard::Out(code.to_owned())),
                    None => Some(Heard::Reconnect(PATIENCE_MS)),
                }
            }
            "bye" => Some(Heard::Reconnect(frame["retry_after_ms"].as_u64().unwrap_or(PATIENCE_MS))),
            "error" => self.hear_error(frame),
            // Frames that a newer server sends, and those that say nothing about the room.
            _ => None,
        }
    }

    fn hear_joined(&mut self, frame: &Value) -> Option<Heard> {
        let at = (frame["epoch"].as_u64()?, frame["seq"].as_u64()?);
        self.joined = true;
        if let Some(state) = frame.get("state") {
            self.at = Some(at);
            return Some(Heard::State(state.clone()));
        }
        let events = frame["events"].as_array()?.clone();
        let heard = self.advance(at.0, events);
        if self.at.is_some_and(|(_, seq)| seq == at.1) {
            self.at = Some(at);
        }
        heard
    }

    /// Events count only if they follow each other and what is known.
    fn advance(&mut self, epoch: u64, mut events: Vec<Value>) -> Option<Heard> {
        let (_, last) = self.at?;
        events.retain(|event| event["seq"].as_u64().is_some_and(|seq| seq > last));
        let follows = events.iter().zip(last + 1..).all(|(event, expected)| event["seq"].as_u64() == Some(expected));
        if !follows {
            tracing::warn!(room.id = self.room, last, "events leave a gap: joining again");
            return Some(Heard::Reconnect(0));
        }
        self.at = Some((epoch, last + events.len() as u64));
        Some(Heard::Events(events))
    }

    fn answered(&mut self, n: u64, refused: Option<String>) -> Option<Heard> {
        let before = self.pending.len();
        self.pending.retain(|pending| pending.n != n);
        (self.pending.len() < before).then_some(Heard::Answered { n, refused })
    }

    /// A join or a command that was not understood.
    fn hear_error(&mut self, frame: &Value) -> Option<Heard> {
        let code = frame["code"].as_str().unwrap_or_default().to_owned();
        let about = frame.get("about").filter(|about| about["room"].as_str() == Some(&self.room))?;
        match about["n"].as_u64() {
            Some(n) => self.answered(n, Some(code)),
            None => match frame["retry_after_ms"].as_u64() {
                Some(after) => Some(Heard::Reconnect(after)),
                None => Some(Heard::Out(code)),
            },
        }
    }

    fn frame(&self, Pending { n, cmd, base }: &Pending) -> Value {
        json!({"t": "op", "room": self.room, "n": n, "base": base, "cmd": cmd})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        let mut desk = Desk::new("r".into(), 0);
        let state = json!({"t": "joined", "room": "r", "epoch": 1, "seq": 10, "state": {}});
        assert_eq!(desk.join().get("since"), None);
        assert_eq!(desk.hear(&state), Some(Heard::State(json!({}))));
        desk
    }

    fn events(seqs: &[u64]) -> Value {
        let list: Vec<_> = seqs.iter().map(|seq| json!({"seq": seq})).collect();
        json!({"t": "events", "room": "r", "epoch": 1, "from": seqs[0], "events": list})
    }

    #[test]
    fn after_a_drop_it_resumes_and_sends_what_is_unanswered_under_the_same_numbers() {
        let mut desk = desk();
        let (first, sent) = desk.submit(json!({"type": "a"})).unwrap();
        assert_eq!(sent.unwrap()["n"], first);
        let (second, _) = desk.submit(json!({"type": "b"})).unwrap();
        assert!(matches!(desk.hear(&events(&[11])), Some(Heard::Events(_))));
        desk.hear(&json!({"t": "ack", "room": "r", "n": first, "seq": 11, "durable": true}));

        assert_eq!(desk.join()["since"], json!({"epoch": 1, "seq": 11}));
        let (third, unsent) = desk.submit(json!({"type": "c"})).unwrap();
        assert_eq!(unsent, None, "nothing is sent before the room was joined");
        let resumed = json!({"t": "joined", "room": "r", "epoch": 2, "seq": 12, "events": [{"seq": 12}]});
        assert_eq!(desk.hear(&resumed), Some(Heard::Events(vec![json!({"seq": 12})])));
        let numbers: Vec<_> = desk.again().iter().map(|frame| frame["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [second, third]);
        assert_eq!(desk.join()["since"], json!({"epoch": 2, "seq": 12}));
    }

    #[test]
    fn a_gap_is_not_applied_and_what_is_known_is_not_applied_twice() {
        let mut desk = desk();
        assert_eq!(desk.hear(&events(&[12])), Some(Heard::Reconnect(0)));
        assert_eq!(desk.hear(&events(&[10, 11])), Some(Heard::Events(vec![json!({"seq": 11})])));
        assert_eq!(desk.join()["since"]["seq"], 11);
    }

    #[test]
    fn patience_keeps_a_command_and_a_refusal_ends_it() {
        let mut desk = desk();
        let (n, _) = desk.submit(json!({"type": "a"})).unwrap();
        let mut refusal = json!({"t": "rejected", "room": "r", "n": n, "code": "rate_limited", "retry_after_ms": 70});
        assert_eq!(desk.hear(&refusal), Some(Heard::Later(70)));
        assert_eq!(desk.again().len(), 1);
        refusal["code"] = json!("not_found");
        assert_eq!(desk.hear(&refusal), Some(Heard::Answered { n, refused: Some("not_found".into()) }));
        assert_eq!(desk.pending(), 0);
    }

    #[test]
    fn it_is_bounded() {
        let mut desk = desk();
        for _ in 0..PENDING_MAX {
            desk.submit(json!({})).unwrap();
        }
        assert!(desk.submit(json!({})).is_none());
    }
}
