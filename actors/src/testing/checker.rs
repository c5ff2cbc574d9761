//! Judges what clients saw, frame by frame and against the journal.
//!
//! An [`Observer`] follows one client's view of one room; it takes decoded frames (JSON values), so it serves simulated sessions and real
//! sockets alike. [`Commands`] is what a journal says of commands. A violation is a sentence; each names the promise that is broken by what
//! was seen.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong.
pub type Violation = String;

/// What a frame meant to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is in, at this seq: now it sends again what is unanswered.
    Joined(u64),
    /// Events up to this seq.
    Events(u64),
    /// The command is stored.
    Acked(u64),
    /// The command was refused; whether to send it again later.
    Rejected(u64, bool),
    /// It is not in the room any more, or was not let in, with this code.
    Out(String),
    /// Nothing that changes where it is.
    Other,
}

/// The sendings of one command and their answers.
#[derive(Clone, Debug, Default)]
struct Attempts {
    /// On the present connection.
    sent: u32,
    answered: u32,
    sent_ever: u32,
    acked: Option<u64>,
    refused: Option<String>,
}

/// One client's view of one room.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    epoch: u64,
    seq: u64,
    /// Whether anything was seen of the room.
    started: bool,
    /// After an explicit join: what the client said it has (`None`: nothing). Frames of an earlier joining are passed over.
    asked: Option<Option<u64>>,
    /// Joins that the client asked for on this socket.
    joins: u32,
    /// After a `left`, or before the first `joined`.
    out: bool,
    records: BTreeMap<u64, Value>,
    states: Vec<(u64, Value)>,
    attempts: BTreeMap<u64, Attempts>,
    presence: BTreeMap<String, u64>,
}

impl Observer {
    /// A client that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { out: true, ..Self::default() }
    }

    /// Epoch and seq to resume from; `None` before anything was seen.
    #[must_use]
    pub fn position(&self) -> Option<(u64, u64)> {
        self.started.then_some((self.epoch, self.seq))
    }

    /// The last seq that was applied.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether the client is in the room.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        !self.out && self.asked.is_none()
    }

    /// Whether the client has asked to come in, and is not answered yet.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Users who are present with at least one socket, as far as the client was told.
    #[must_use]
    pub fn present(&self) -> BTreeSet<String> {
        self.presence.iter().filter(|(_, devices)| **devices > 0).map(|(user, _)| user.clone()).collect()
    }

    /// The socket is new: nothing that was sent before is answered any more.
    pub fn connected(&mut self) {
        (self.out, self.asked, self.joins) = (true, None, 0);
        for attempts in self.attempts.values_mut() {
            (attempts.sent, attempts.answered) = (0, 0);
        }
    }

    /// The client asks to come in, saying what it has.
    pub fn joining(&mut self, since: Option<u64>) {
        self.asked = Some(since);
        self.joins += 1;
    }

    /// The client leaves: what is on its way is passed over.
    pub fn leaving(&mut self) {
        (self.asked, self.out) = (None, true);
    }

    /// The client sends a command, for the first time or again.
    pub fn sent(&mut self, n: u64) {
        let attempts = self.attempts.entry(n).or_default();
        attempts.sent += 1;
        attempts.sent_ever += 1;
    }

    /// Takes a frame about this room.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn hear(&mut self, frame: &Value) -> Result<Heard, Violation> {
        match frame["t"].as_str().unwrap_or_default() {
            "joined" => self.joined(frame),
            "events" => self.events(frame),
            "ack" => {
                let (n, seq) = (number(frame, "n")?, number(frame, "seq")?);
                if frame["durable"] != true {
                    return Err(format!("an ack that does not say durable: {frame}"));
                }
                let attempts = self.answer(n, frame)?;
                if let Some(before) = attempts.acked.filter(|before| *before != seq) {
                    return Err(format!("command {n} was acknowledged at {before} and then at {seq}"));
                }
                attempts.acked = Some(seq);
                Ok(Heard::Acked(n))
            }
            "rejected" => {
                let (n, code) = (number(frame, "n")?, frame["code"].as_str().unwrap_or_default().to_owned());
                let again = matches!(code.as_str(), "retry" | "restarting" | "moved" | "overloaded" | "rate_limited" | "room_unavailable");
                let attempts = self.answer(n, frame)?;
                if !again {
                    attempts.refused = Some(code);
                }
                Ok(Heard::Rejected(n, again))
            }
            "presence" => {
                if self.is_in() {
                    self.learn_presence(&frame["set"]);
                    for user in frame["gone"].as_array().into_iter().flatten() {
                        self.presence.remove(user.as_str().unwrap_or_default());
                    }
                }
                Ok(Heard::Other)
            }
            "left" => {
                self.leaving();
                Ok(Heard::Out(frame["code"].as_str().unwrap_or_default().to_owned()))
            }
            "error" if frame["about"]["n"].is_null() && !frame["about"].is_null() => {
                self.leaving();
                Ok(Heard::Out(frame["code"].as_str().unwrap_or_default().to_owned()))
            }
            _ => Ok(Heard::Other),
        }
    }

    fn joined(&mut self, frame: &Value) -> Result<Heard, Violation> {
        let (epoch, seq) = (number(frame, "epoch")?, number(frame, "seq")?);
        let events = frame["events"].as_array();
        let continues = |from: u64| events.is_some_and(|events| events.first().map_or(seq == from, |first| first["seq"] == from + 1));
        match self.asked {
            // Of an earlier joining; the answer to this one is yet to come.
            Some(asked) if events.is_some() && !asked.is_some_and(continues) => return Ok(Heard::Other),
            Some(Some(since)) if events.is_some() => self.seq = since,
            Some(_) => {}
            None if self.out => return Ok(Heard::Other),
            None => {}
        }
        if let Some(events) = events {
            // Who joins twice on one socket may take the answer to the first for that to the second, which then overlaps it.
            let known = if self.joins > 1 { self.seq } else { 0 };
            for event in events.iter().filter(|event| event["seq"].as_u64() > Some(known)) {
                self.record(event)?;
            }
            if self.seq != seq {
                return Err(format!("joined at {seq} with events up to {}", self.seq));
            }
        } else {
            if self.asked.is_none() && seq < self.seq {
                return Err(format!("joined went back from {} to {seq}", self.seq));
            }
            self.seq = seq;
            self.states.push((seq, frame["state"].clone()));
        }
        (self.epoch, self.started, self.asked, self.out) = (epoch, true, None, false);
        self.presence.clear();
        self.learn_presence(&frame["presence"]);
        Ok(Heard::Joined(seq))
    }

    fn events(&mut self, frame: &Value) -> Result<Heard, Violation> {
        if !self.is_in() {
            return Ok(Heard::Other);
        }
        let events = frame["events"].as_array().filter(|events| !events.is_empty()).ok_or("an events frame without events")?;
        if frame["from"] != events[0]["seq"] {
            return Err(format!("an events frame whose `from` is not its first seq: {frame}"));
        }
        let epoch = number(frame, "epoch")?;
        if epoch < self.epoch {
            return Err(format!("the epoch went back from {} to {epoch}", self.epoch));
        }
        self.epoch = epoch;
        for event in events {
            self.record(event)?;
        }
        Ok(Heard::Events(self.seq))
    }

    fn record(&mut self, event: &Value) -> Result<(), Violation> {
        let seq = number(event, "seq")?;
        if seq != self.seq + 1 {
            return Err(format!("event {seq} came after {}", self.seq));
        }
        self.seq = seq;
        // A bare seq says nothing about the event; what was seen of it before stands.
        if event.get("ev").is_some()
            && let Some(before) = self.records.insert(seq, event.clone())
            && before != *event
        {
            return Err(format!("event {seq} was {before} and is now {event}"));
        }
        Ok(())
    }

    fn answer(&mut self, n: u64, frame: &Value) -> Result<&mut Attempts, Violation> {
        let attempts = self.attempts.entry(n).or_default();
        attempts.answered += 1;
        if attempts.answered > attempts.sent {
            return Err(format!("command {n} was sent {} times on this socket and answered once more: {frame}", attempts.sent));
        }
        Ok(attempts)
    }

    fn learn_presence(&mut self, set: &Value) {
        for entry in set.as_array().into_iter().flatten() {
            let devices = entry["devices"].as_u64().unwrap_or(0);
            self.presence.insert(entry["user"].as_str().unwrap_or_default().to_owned(), devices);
        }
    }

    /// Commands that were sent on this socket and are unanswered.
    #[must_use]
    pub fn unanswered(&self) -> Vec<u64> {
        self.attempts.iter().filter(|(_, attempts)| attempts.answered < attempts.sent).map(|(n, _)| *n).collect()
    }

    /// The seqs whose events were seen in full.
    pub fn seen(&self) -> impl Iterator<Item = u64> {
        self.records.keys().copied()
    }

    /// The states that were seen, with their seqs.
    #[must_use]
    pub fn states(&self) -> &[(u64, Value)] {
        &self.states
    }

    /// Compares what was seen and answered with the journal; the client's commands are known in it by `user` and `client`.
    ///
    /// # Errors
    /// What does not agree.
    pub fn against(&self, journal: &Commands, user: &str, client: &str) -> Result<(), Violation> {
        for (seq, seen) in &self.records {
            match journal.records.get(seq) {
                None => return Err(format!("event {seq} was seen and is not in the journal: {seen}")),
                Some(stored) if stored != seen => return Err(format!("event {seq} was seen as {seen} and is stored as {stored}")),
                Some(_) => {}
            }
        }
        for (n, attempts) in &self.attempts {
            let stored = journal.commands.get(&(user.to_owned(), client.to_owned(), *n));
            if let Some(seq) = attempts.acked
                && stored != Some(&seq)
            {
                return Err(format!("command {n} was acknowledged at {seq}; the journal has it at {stored:?}"));
            }
            if let (Some(code), Some(seq)) = (&attempts.refused, stored)
                && attempts.sent_ever == 1
            {
                return Err(format!("command {n} was refused as {code} and is in the journal at {seq}"));
            }
        }
        Ok(())
    }
}

/// A journal by seq and by command.
#[derive(Clone, Debug, Default)]
pub struct Commands {
    records: BTreeMap<u64, Value>,
    /// The seq of each command's last event, by user, client and number.
    commands: BTreeMap<(String, String, u64), u64>,
}

impl Commands {
    /// Reads a room's records, in order. Each command makes one event; with `unsigned`, it may make several, and the last may be one of this
    /// type, which does not say whose it is.
    ///
    /// # Errors
    /// A gap, time that goes back, or a command that is in it twice.
    pub fn read(records: impl IntoIterator<Item = Value>, unsigned: Option<&str>) -> Result<Self, Violation> {
        let mut journal = Self::default();
        let (mut last, mut at, mut before) = (0, String::new(), None);
        for record in records {
            let seq = number(&record, "seq")?;
            if seq != last + 1 {
                return Err(format!("the journal has {seq} after {last}"));
            }
            let now = record["at"].as_str().unwrap_or_default().to_owned();
            if now < at {
                return Err(format!("time goes back at {seq}: from {at} to {now}"));
            }
            (last, at) = (seq, now);
            let text = |key: &str| record[key].as_str().map(str::to_owned);
            let command = text("by").zip(text("client")).zip(record["n"].as_u64()).map(|((by, client), n)| (by, client, n));
            if let Some(before) = before.clone().filter(|_| unsigned.is_some_and(|unsigned| record["ev"]["type"] == unsigned)) {
                journal.commands.insert(before, seq);
            }
            if let Some(command) = &command {
                let known = journal.commands.insert(command.clone(), seq);
                if known.is_some() && (unsigned.is_none() || before.as_ref() != Some(command)) {
                    return Err(format!("command {} of {} is in the journal twice: at {known:?} and at {seq}", command.2, command.0));
                }
            }
            before = command;
            journal.records.insert(seq, record);
        }
        Ok(journal)
    }

    /// The last seq.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// Where a command is: the seq of its last event.
    #[must_use]
    pub fn find(&self, user: &str, client: &str, n: u64) -> Option<u64> {
        self.commands.get(&(user.to_owned(), client.to_owned(), n)).copied()
    }
}

fn number(frame: &Value, key: &str) -> Result<u64, Violation> {
    frame[key].as_u64().ok_or_else(|| format!("no number `{key}` in {frame}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(seq: u64) -> Value {
        json!({"seq": seq, "at": "2027-01-01T00:00:00.000Z", "by": "u", "client": "c", "n": seq, "ev": {"type": "x"}})
    }

    fn events(seqs: &[u64]) -> Value {
        json!({"t": "events", "epoch": 1, "from": seqs[0], "events": seqs.iter().map(|seq| event(*seq)).collect::<Vec<_>>()})
    }

    fn inside() -> Observer {
        let mut observer = Observer::new();
        observer.connected();
        observer.joining(None);
        assert_eq!(observer.hear(&json!({"t": "joined", "epoch": 1, "seq": 3, "state": {}, "presence": []})), Ok(Heard::Joined(3)));
        observer
    }

    #[test]
    fn gaps_and_doubles_are_seen() {
        assert_eq!(inside().hear(&events(&[4, 5])), Ok(Heard::Events(5)));
        inside().hear(&events(&[5])).unwrap_err();
        inside().hear(&events(&[3])).unwrap_err();
        inside().hear(&json!({"t": "joined", "epoch": 1, "seq": 2, "state": {}})).unwrap_err();
        inside().hear(&json!({"t": "joined", "epoch": 1, "seq": 6, "events": [event(4), event(5)]})).unwrap_err();
    }

    #[test]
    fn one_answer_per_sending() {
        let ack = json!({"t": "ack", "n": 7, "seq": 4, "durable": true});
        let mut observer = inside();
        observer.sent(7);
        assert_eq!(observer.unanswered(), [7]);
        assert_eq!(observer.hear(&ack), Ok(Heard::Acked(7)));
        observer.hear(&ack).unwrap_err();
        observer.sent(7);
        observer.hear(&json!({"t": "ack", "n": 7, "seq": 5, "durable": true})).unwrap_err();
    }

    #[test]
    fn the_journal_has_the_last_word() {
        let journal = Commands::read((1..=5).map(event), None).unwrap();
        let mut observer = inside();
        observer.hear(&events(&[4, 5])).unwrap();
        observer.sent(5);
        observer.hear(&json!({"t": "ack", "n": 5, "seq": 5, "durable": true})).unwrap();
        observer.against(&journal, "u", "c").unwrap();
        let shorter = Commands::read((1..=4).map(event), None).unwrap();
        observer.against(&shorter, "u", "c").unwrap_err();
        Commands::read([event(1), event(3)], None).unwrap_err();
        let mut again = event(2);
        again["n"] = json!(1);
        Commands::read([event(1), again.clone()], None).unwrap_err();
        let follows = json!({"seq": 3, "at": again["at"], "by": "room", "ev": {"type": "x_counted"}});
        let several = Commands::read([event(1), again, follows], Some("x_counted")).unwrap();
        assert_eq!(several.find("u", "c", 1), Some(3));
    }
}
