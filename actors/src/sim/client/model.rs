//! What a client remembers across connections, and what it does by the rules of the protocol.

use crate::sim::acts::Since;
use crate::sim::kinds::Seen;
use crate::sim::names::ROOMS;
use crate::sim::ward::{Known, Violations};
use crate::testing::checker::{Heard, Observer, Violation};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{ClientFrame, Position};
use tripsync_domain::{ClientId, CommandNumber, Epoch, RoomId, Seq, UserId};

/// A room as a client knows it.
pub(in crate::sim) struct RoomModel {
    pub(in crate::sim) room: RoomId,
    pub(in crate::sim) observer: Observer,
    /// Commands without a final answer.
    pub(in crate::sim) pending: BTreeMap<u64, (Value, Option<u64>)>,
    /// Those that were refused for now.
    again: BTreeSet<u64>,
    /// Those that were acknowledged.
    done: Vec<(u64, Value)>,
    /// Items that were seen, for commands about them.
    pub(in crate::sim) items: Vec<Seen>,
    /// Whether the client means to be in the room.
    pub(in crate::sim) wanted: bool,
    rejoin: bool,
    /// Numbers that were used for another body too.
    reused: BTreeSet<u64>,
    /// What everybody together knew of the room when each command was sent first: it comes after that.
    after: BTreeMap<u64, u64>,
    /// What it is still to be shown of what it asked for.
    due: Option<Due>,
    /// Whether it has asked to come in on this socket.
    asked: bool,
}

/// An answer to a client that asked to come in.
#[derive(Clone, Copy)]
struct Due {
    /// What everybody together knew of the room when it asked: it is shown at least that.
    least: u64,
    /// Whether the next `joined` must be the answer. One that was on its way already, to an earlier question or of a session that came back by itself,
    /// looks the same.
    next: bool,
}

/// A client, with its memory across connections.
pub(in crate::sim) struct Model {
    pub(in crate::sim) user: UserId,
    pub(in crate::sim) client: ClientId,
    pub(in crate::sim) rooms: Vec<RoomModel>,
    n: u64,
    known: Known,
    violations: Violations,
}

impl Model {
    pub(in crate::sim) fn new(user: UserId, client: ClientId, rooms: &[RoomId; ROOMS], known: Known, violations: Violations) -> Self {
        let rooms = rooms.iter().map(|room| RoomModel {
            room: *room,
            observer: Observer::new(),
            pending: BTreeMap::new(),
            again: BTreeSet::new(),
            done: Vec::new(),
            items: Vec::new(),
            wanted: false,
            rejoin: false,
            reused: BTreeSet::new(),
            after: BTreeMap::new(),
            due: None,
            asked: false,
        });
        Self { user, client, rooms: rooms.collect(), n: 0, known, violations }
    }

    pub(in crate::sim) fn name(&self) -> String {
        format!("client {} of {}", self.client, self.user)
    }

    /// The socket is new, or gone: nothing that was sent before is answered any more.
    pub(in crate::sim) fn connected(&mut self) {
        for room in &mut self.rooms {
            room.observer.connected();
            room.again.clear();
            room.rejoin = false;
            (room.due, room.asked) = (None, false);
        }
    }

    /// A new command, and the frames that send it; with what the client has seen, if it is to say that.
    pub(in crate::sim) fn op(&mut self, room: usize, command: Value, says_base: bool, times: usize) -> Vec<ClientFrame> {
        self.n += 1;
        let n = self.n;
        let room = &mut self.rooms[room];
        let base = says_base.then(|| room.observer.seq());
        room.pending.insert(n, (command, base));
        if room.observer.is_in() { (0..times).filter_map(|_| room.op(n, &self.known)).collect() } else { Vec::new() }
    }

    pub(in crate::sim) fn resend(&mut self, room: usize) -> Vec<ClientFrame> {
        let room = &mut self.rooms[room];
        let oldest = room.pending.keys().next().copied().filter(|_| room.observer.is_in());
        oldest.and_then(|n| room.op(n, &self.known)).into_iter().collect()
    }

    /// Sends an acknowledged command again, or another one under its number.
    pub(in crate::sim) fn repeat(&mut self, room: usize, back: usize, other_body: bool) -> Vec<ClientFrame> {
        let room = &mut self.rooms[room];
        let Some((n, mut cmd)) = room.done.iter().rev().nth(back).cloned() else { return Vec::new() };
        if !room.observer.is_in() || room.observer.unanswered().contains(&n) {
            return Vec::new();
        }
        if other_body {
            cmd = json!({"type": "send_message", "body": "another body"});
            room.reused.insert(n);
        } else if room.reused.contains(&n) {
            return Vec::new();
        }
        room.observer.sent(n);
        vec![ClientFrame::Op { room: room.room, n: CommandNumber(n), cmd, base: None }]
    }

    pub(in crate::sim) fn join(&mut self, room: usize, since: Since) -> ClientFrame {
        let room = &mut self.rooms[room];
        room.wanted = true;
        room.join(since, &self.known)
    }

    /// Says what it does, if it is in the room.
    pub(in crate::sim) fn presence(&self, room: usize) -> Vec<ClientFrame> {
        let room = &self.rooms[room];
        let state = PresenceState { typing: true, ..PresenceState::default() };
        if room.observer.is_in() { vec![ClientFrame::Presence { room: room.room, state }] } else { Vec::new() }
    }

    pub(in crate::sim) fn leave(&mut self, room: usize) -> Option<ClientFrame> {
        let room = &mut self.rooms[room];
        let was_in = room.observer.is_in();
        (room.wanted, room.due) = (false, None);
        was_in.then(|| {
            room.observer.leaving();
            ClientFrame::Leave { room: room.room }
        })
    }

    /// Acts on a frame as the protocol asks.
    pub(super) fn hear(&mut self, frame: &Value) -> Vec<ClientFrame> {
        if frame["t"] == "bye" {
            return Vec::new();
        }
        let id = if frame["t"] == "error" { &frame["about"]["room"] } else { &frame["room"] };
        let name = self.name();
        let Some(room) = self.rooms.iter_mut().find(|room| *id == json!(room.room)) else { return Vec::new() };
        let Some(heard) = self.violations.note(&name, room.observer.hear(frame)) else { return Vec::new() };
        room.learn(frame);
        let told = if matches!(heard, Heard::Acked(_)) { frame["seq"].as_u64().unwrap_or(0) } else { room.observer.seq() };
        self.known.learnt(room.room, told);
        match heard {
            Heard::Joined(seq) => {
                if let Some(Due { least, .. }) = room.due.take_if(|due| due.next || due.least <= seq).filter(|due| due.least > seq)
                    && self.known.is_exact()
                {
                    self.violations.add(format!("{name}: joined at {seq}, though {least} was known when it asked"));
                }
                room.again.clear();
                let unanswered: Vec<_> = room.pending.keys().copied().collect();
                unanswered.into_iter().filter_map(|n| room.op(n, &self.known)).collect()
            }
            Heard::Acked(n) => {
                if room.reused.contains(&n) {
                    self.violations.add(format!("{name}: another command under number {n} was acknowledged"));
                }
                room.again.remove(&n);
                if let Some((command, _)) = room.pending.remove(&n) {
                    room.done.push((n, command));
                }
                Vec::new()
            }
            Heard::Rejected(n, again) => {
                if again && room.pending.contains_key(&n) {
                    room.again.insert(n);
                } else if frame["code"] == "internal" {
                    self.violations.add(format!("{name}: an internal error: {frame}"));
                } else if frame["code"] == "command_id_reused" && !room.reused.contains(&n) {
                    self.violations.add(format!("{name}: number {n} names one command only: {frame}"));
                } else if frame["code"] != "not_joined" {
                    room.pending.remove(&n);
                }
                Vec::new()
            }
            Heard::Out(code) => {
                room.due = None;
                match code.as_str() {
                    "removed" | "room_deleted" | "not_found" => {
                        room.wanted = false;
                        room.pending.clear();
                        room.again.clear();
                    }
                    _ => room.rejoin = true,
                }
                Vec::new()
            }
            Heard::Events(_) | Heard::Other => Vec::new(),
        }
    }

    /// What was to be sent again later.
    pub(super) fn again(&mut self) -> Vec<ClientFrame> {
        let mut out = Vec::new();
        for room in &mut self.rooms {
            if std::mem::take(&mut room.rejoin) && room.wanted {
                out.push(room.join(Since::Position, &self.known));
            }
            let again = std::mem::take(&mut room.again);
            if room.observer.is_in() {
                out.extend(again.into_iter().filter_map(|n| room.op(n, &self.known)));
            }
        }
        out
    }

    pub(super) fn has_again(&self) -> bool {
        self.rooms.iter().any(|room| room.rejoin || !room.again.is_empty())
    }
}

impl RoomModel {
    /// Whether it is neither in the room nor on its way in.
    pub(in crate::sim) fn is_out(&self) -> bool {
        !self.observer.is_in() && !self.observer.is_asking() && !self.rejoin
    }

    /// What it was to be shown at least when it asked to come in, and was not yet.
    pub(in crate::sim) fn awaits(&self) -> Option<u64> {
        self.due.map(|due| due.least)
    }

    fn op(&mut self, n: u64, known: &Known) -> Option<ClientFrame> {
        let (cmd, base) = self.pending.get(&n)?;
        self.observer.sent(n);
        self.after.entry(n).or_insert_with(|| known.seq(self.room));
        Some(ClientFrame::Op { room: self.room, n: CommandNumber(n), cmd: cmd.clone(), base: base.map(Seq) })
    }

    fn join(&mut self, since: Since, known: &Known) -> ClientFrame {
        let next = !std::mem::replace(&mut self.asked, true);
        self.due = Some(Due { least: known.seq(self.room), next });
        let position = self.observer.position();
        let since = position.and_then(|(epoch, seq)| match since {
            Since::Nothing => None,
            Since::Position => Some((epoch, seq)),
            Since::Future => Some((epoch, seq + 1_000)),
            Since::OtherEpoch => Some((epoch + 1_000, seq)),
        });
        self.observer.joining(since.map(|(_, seq)| seq));
        ClientFrame::Join { room: self.room, since: since.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq: Seq(seq) }) }
    }

    /// Compares the places of its commands with what was known when they were sent.
    ///
    /// # Errors
    /// A command that is stored before something that was known when it was sent.
    pub(in crate::sim) fn in_order(&self, stored: impl Fn(u64) -> Option<u64>) -> Result<(), Violation> {
        for (n, after) in &self.after {
            if let Some(seq) = stored(*n).filter(|seq| seq <= after) {
                return Err(format!("command {n} is stored at {seq}, though {after} was known when it was sent"));
            }
        }
        Ok(())
    }

    /// Remembers items that can be spoken of.
    fn learn(&mut self, frame: &Value) {
        let mut add = |kind, id: &Value| {
            if let Some(id) = id.as_str() {
                self.items.push((kind, id.to_owned()));
            }
        };
        for event in frame["events"].as_array().into_iter().flatten() {
            add("activity", &event["ev"]["activity"]["id"]);
            add("place", &event["ev"]["place"]["id"]);
            add("message", &event["ev"]["message"]["id"]);
        }
    }
}
