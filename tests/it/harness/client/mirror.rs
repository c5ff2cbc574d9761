//! What a client knows of one room, and what must hold of it:
//!
//! - `seq` rises by one; only a `joined` with a state may step, and never back, nor may the epoch;
//! - an event that is seen again (after a state) is the same event;
//! - a command appears in the history once, and where its `ack` says;
//! - each sending is answered at most once, each `ack` of a command says the same seq.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use uuid::Uuid;

/// Frames that are shown when something does not hold.
const RECENT_MAX: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not in, and to come back.
    Out,
    Joined,
    /// Not in, for good.
    Left,
}

#[derive(Debug)]
struct Command {
    cmd: Value,
    base: u64,
    sendings: u32,
    answers: u32,
    /// Answers that say that their very sending applied it.
    applied: u32,
    outcome: Option<Result<u64, Value>>,
}

/// One room as a client knows it.
#[derive(Debug)]
pub(crate) struct Mirror {
    room: Uuid,
    client: Uuid,
    place: Place,
    epoch: u64,
    seq: u64,
    role: String,
    /// The last whole state, and the seq that it is at.
    state: Option<(u64, Value)>,
    events: BTreeMap<u64, Value>,
    commands: BTreeMap<u64, Command>,
    /// Numbers of those without an outcome.
    waiting: BTreeSet<u64>,
    present: BTreeMap<Uuid, Value>,
    joins: u32,
    gone: u32,
    /// Events that came after the server had said that this client is out.
    late: Vec<Value>,
    last_refusal: Option<Value>,
    acked_count: u64,
    repeated_count: u64,
    /// Own commands by number, and others' by client and number, as the history has them.
    applied: BTreeMap<(Uuid, Uuid, u64), u64>,
    recent: VecDeque<String>,
}

impl Mirror {
    pub(super) fn new(room: Uuid, client: Uuid) -> Self {
        Self {
            room,
            client,
            place: Place::Out,
            epoch: 0,
            seq: 0,
            role: String::new(),
            state: None,
            events: BTreeMap::new(),
            commands: BTreeMap::new(),
            waiting: BTreeSet::new(),
            present: BTreeMap::new(),
            joins: 0,
            gone: 0,
            late: Vec::new(),
            last_refusal: None,
            acked_count: 0,
            repeated_count: 0,
            applied: BTreeMap::new(),
            recent: VecDeque::new(),
        }
    }

    /// One that resumes from before the first event, which has the first epoch.
    pub(super) fn from_zero(room: Uuid, client: Uuid) -> Self {
        Self { epoch: 1, ..Self::new(room, client) }
    }

    pub(crate) const fn id(&self) -> Uuid {
        self.room
    }

    /// The last seq that was applied.
    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn role(&self) -> &str {
        &self.role
    }

    pub(crate) fn is_joined(&self) -> bool {
        self.place == Place::Joined
    }

    pub(crate) fn has_left(&self) -> bool {
        self.place == Place::Left
    }

    /// The last whole state that was sent, and its seq.
    pub(crate) const fn state(&self) -> Option<&(u64, Value)> {
        self.state.as_ref()
    }

    /// Every event that was seen, by seq.
    pub(crate) const fn history(&self) -> &BTreeMap<u64, Value> {
        &self.events
    }

    /// Who is present.
    pub(crate) const fn present(&self) -> &BTreeMap<Uuid, Value> {
        &self.present
    }

    /// How often somebody was said to have gone.
    pub(crate) const fn gone(&self) -> u32 {
        self.gone
    }

    /// Events that came after a `left`, or after this client had gone.
    pub(crate) fn late(&self) -> &[Value] {
        &self.late
    }

    /// How many `joined` frames came.
    pub(crate) const fn joins(&self) -> u32 {
        self.joins
    }

    /// How many answers a command got.
    pub(crate) fn answers(&self, n: u64) -> u32 {
        self.commands[&n].answers
    }

    /// The last `rejected` frame.
    pub(crate) const fn last_refusal(&self) -> Option<&Value> {
        self.last_refusal.as_ref()
    }

    pub(crate) fn pending(&self) -> Vec<u64> {
        self.waiting.iter().copied().collect()
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_pending(&self, n: u64) -> bool {
        self.commands.get(&n).is_some_and(|command| command.outcome.is_none())
    }

    /// The answer to a command: its seq, or the `rejected` frame.
    ///
    /// # Panics
    /// There is none yet.
    pub(crate) fn answer(&self, n: u64) -> Result<u64, Value> {
        self.commands[&n].outcome.clone().expect("the command is answered")
    }

    /// The seq of an acknowledged command.
    ///
    /// # Panics
    /// It was not acknowledged.
    pub(crate) fn acked(&self, n: u64) -> u64 {
        self.answer(n).unwrap_or_else(|frame| panic!("command {n} was refused: {frame}"))
    }

    /// How many commands were acknowledged.
    pub(crate) const fn acked_count(&self) -> u64 {
        self.acked_count
    }

    /// How many of them had been applied by an earlier sending, whose answer did not arrive.
    pub(crate) const fn repeated_count(&self) -> u64 {
        self.repeated_count
    }

    /// Every answered command: its number, how often it was sent, and its answer.
    pub(crate) fn answered(&self) -> impl Iterator<Item = (u64, u32, &Result<u64, Value>)> {
        self.commands.iter().filter_map(|(n, command)| Some((*n, command.sendings, command.outcome.as_ref()?)))
    }

    /// Numbers and seqs of every acknowledged command.
    pub(crate) fn acks(&self) -> BTreeMap<u64, u64> {
        self.commands.iter().filter_map(|(n, command)| Some((*n, *command.outcome.as_ref()?.as_ref().ok()?))).collect()
    }

    /// Checks that two clients have seen the same events where both have seen any.
    ///
    /// # Panics
    /// They have not.
    pub(crate) fn agrees_with(&self, other: &Self) {
        for (seq, event) in &self.events {
            if let Some(theirs) = other.events.get(seq)
                && is_whole(event)
                && is_whole(theirs)
            {
                assert_eq!(event, theirs, "two clients saw different events at seq {seq} of room {}", self.room);
            }
        }
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "room {} {:?} epoch {} seq {} pending {:?} recent {:#?}",
            self.room,
            self.place,
            self.epoch,
            self.seq,
            self.pending(),
            self.recent
        )
    }

    pub(super) fn pend(&mut self, n: u64, cmd: Value) {
        let base = self.seq;
        self.waiting.insert(n);
        self.commands.insert(n, Command { cmd, base, sendings: 0, answers: 0, applied: 0, outcome: None });
    }

    pub(super) fn join_frame(&self) -> Value {
        if self.epoch == 0 {
            return json!({"t": "join", "room": self.room});
        }
        json!({"t": "join", "room": self.room, "since": {"epoch": self.epoch, "seq": self.seq}})
    }

    pub(super) fn op_frame(&mut self, n: u64) -> Value {
        let command = self.commands.get_mut(&n).expect("the command is known");
        command.sendings += 1;
        json!({"t": "op", "room": self.room, "n": n, "base": command.base, "cmd": command.cmd})
    }

    pub(super) fn disconnected(&mut self) {
        if self.place == Place::Joined {
            self.place = Place::Out;
        }
    }

    pub(super) fn left(&mut self) {
        self.place = Place::Left;
    }

    pub(super) fn comes_back(&mut self) {
        self.place = Place::Out;
    }

    pub(super) fn joined(&mut self, frame: &Value) {
        self.note(frame);
        self.joins += 1;
        let (epoch, seq) = (number(frame, "epoch"), number(frame, "seq"));
        self.must(epoch >= self.epoch, "the epoch went back");
        self.must(seq >= self.seq, "history that was seen is gone");
        frame["role"].as_str().expect("a role").clone_into(&mut self.role);
        self.epoch = epoch;
        if let Some(events) = frame["events"].as_array() {
            self.apply(events);
            self.must(self.seq == seq, "`joined` does not end at its seq");
        } else {
            self.must(frame["state"].is_object(), "`joined` has neither state nor events");
            self.state = Some((seq, frame["state"].clone()));
            self.seq = seq;
        }
        self.present.clear();
        for entry in frame["presence"].as_array().expect("presence") {
            self.set_present(entry);
        }
        self.place = Place::Joined;
    }

    pub(super) fn events(&mut self, frame: &Value) {
        self.note(frame);
        if self.place == Place::Left {
            self.late.push(frame.clone());
            return;
        }
        self.must(self.place == Place::Joined, "events before `joined`");
        self.must(number(frame, "epoch") == self.epoch, "events of another epoch");
        self.must(number(frame, "from") == self.seq + 1, "events that do not follow");
        let events = frame["events"].as_array().expect("events");
        self.must(!events.is_empty(), "an empty frame");
        self.apply(events);
    }

    fn apply(&mut self, events: &[Value]) {
        for event in events {
            let seq = number(event, "seq");
            self.must(seq == self.seq + 1, "a gap or a repetition");
            self.seq = seq;
            if let Some(before) = self.events.insert(seq, event.clone()) {
                self.must(before == *event, "an event has changed");
                continue;
            }
            if let (Some(by), Some(client), Some(n)) = (event["by"].as_str(), event["client"].as_str(), event["n"].as_u64()) {
                let key = (by.parse().unwrap(), client.parse().unwrap(), n);
                // The events of one command follow each other.
                // Those that are for somebody else stand between them without saying whose they are.
                let bare = |seq: u64| self.events.get(&seq).is_some_and(|event| event.get("by").is_none());
                let follows = |earlier: u64| (earlier + 1..seq).all(bare);
                let earlier = self.applied.get(&key).is_some_and(|earlier| !follows(*earlier));
                self.applied.insert(key, seq);
                self.must(!earlier, "a command was applied twice");
                self.check_ack(n, seq, key.1);
            }
        }
    }

    /// An own command's last event is where its `ack` says.
    fn check_ack(&self, n: u64, seq: u64, client: Uuid) {
        if client == self.client
            && let Some(Some(Ok(acked))) = self.commands.get(&n).map(|command| &command.outcome)
        {
            self.must(*acked >= seq, "an `ack` names another seq than the history");
        }
    }

    pub(super) fn ack(&mut self, frame: &Value) {
        self.note(frame);
        let (n, seq) = (number(frame, "n"), number(frame, "seq"));
        self.must(frame["durable"] == true, "an `ack` that is not durable");
        let earlier = self.count_answer(n);
        self.must(!matches!(&earlier, Some(Ok(before)) if *before != seq), "two `ack`s of one command differ");
        // Each sending of a refused command is judged anew.
        let sendings = self.commands[&n].sendings;
        self.must(!matches!(&earlier, Some(Err(_))) || sendings > 1, "a command was refused for good, then acknowledged");
        // What a command did for everybody may not say whose it was.
        let signed = |event: &&Value| is_whole(event) && event["by"] != json!(Uuid::nil());
        if let Some(event) = self.events.get(&seq).filter(signed) {
            self.must(event["n"] == n && event["client"] == json!(self.client), "the event at the `ack`'s seq is another's");
        }
        let command = self.commands.get_mut(&n).expect("counted");
        if !matches!(earlier, Some(Ok(_))) {
            self.acked_count += 1;
            self.repeated_count += u64::from(frame["repeated"] == true);
        }
        command.outcome = Some(Ok(seq));
        self.waiting.remove(&n);
        command.applied += u32::from(frame["repeated"] != true);
        let applied = command.applied;
        self.must(applied <= 1, "a command was applied by two sendings");
    }

    /// Whether the command is to be sent again.
    pub(super) fn rejected(&mut self, frame: &Value, again: bool) -> bool {
        self.note(frame);
        let n = number(frame, "n");
        self.last_refusal = Some(frame.clone());
        let earlier = self.count_answer(n);
        if earlier.is_some() {
            // An earlier sending was answered for good; this one is about a later sending.
            return false;
        }
        if !again {
            self.commands.get_mut(&n).expect("counted").outcome = Some(Err(frame.clone()));
            self.waiting.remove(&n);
        }
        again
    }

    fn count_answer(&mut self, n: u64) -> Option<Result<u64, Value>> {
        let known = self.commands.contains_key(&n);
        self.must(known, "an answer to a command that was not sent");
        let command = self.commands.get_mut(&n).expect("known");
        command.answers += 1;
        let (answers, sendings, outcome) = (command.answers, command.sendings, command.outcome.clone());
        self.must(answers <= sendings, "more answers than sendings");
        outcome
    }

    pub(super) fn presence(&mut self, frame: &Value) {
        for entry in frame["set"].as_array().into_iter().flatten() {
            self.set_present(entry);
        }
        for user in frame["gone"].as_array().into_iter().flatten() {
            self.gone += 1;
            self.present.remove(&user.as_str().expect("a user").parse().unwrap());
        }
    }

    fn set_present(&mut self, entry: &Value) {
        self.present.insert(entry["user"].as_str().expect("a user").parse().unwrap(), entry.clone());
    }

    /// Numbers of all own commands that the history has.
    pub(crate) fn applied_own(&self) -> BTreeSet<u64> {
        self.applied.keys().filter(|(_, client, _)| *client == self.client).map(|(.., n)| *n).collect()
    }

    fn note(&mut self, frame: &Value) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        let mut text = frame.to_string();
        text.truncate(text.char_indices().nth(400).map_or(text.len(), |(at, _)| at));
        self.recent.push_back(text);
    }

    #[track_caller]
    fn must(&self, holds: bool, what: &str) {
        assert!(holds, "client {}: {what}; {}", self.client, self.summary());
    }
}

/// Whether an event was for this client, or only its number.
fn is_whole(event: &Value) -> bool {
    event.get("ev").is_some()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}
