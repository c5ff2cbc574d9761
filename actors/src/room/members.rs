//! The sessions in a room and what is written to them.

use crate::cluster::{Receipt, Record, RelayLink, fan, presence};
use crate::frame::{Frame, frame_of};
use crate::ports::{Sent, SessionSink};
use crate::room::log::Recent;
use crate::room::message::{Cursor, Link, SessionInfo};
use crate::spread::spread_hint;
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{About, Position, ServerFrame, encode_bare, encode_events};
use tripsync_domain::{Audience, Epoch, ErrorCode, NodeId, Rejection, Role, RoomId, Seq, SessionId, UserCard, UserId};

/// Records and bytes in one `events` frame; more are split over several.
const FRAME_RECORDS_MAX: usize = 256;
const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Answers to commands, by the session that asked. In order, so that equal input gives equal output.
pub(crate) type Answers = BTreeMap<SessionId, Answered>;

/// A session's answers.
pub(crate) struct Answered {
    pub(crate) sink: Arc<dyn SessionSink>,
    pub(crate) frames: Vec<Frame>,
    /// Dropped when they are written.
    pub(crate) receipts: Vec<Receipt>,
}

/// Names one joining of a session: rises with each `joined` that is put at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its `joined` frame waits for durability; it gets events only after that.
    Joining,
    /// It gets every event.
    Live,
    /// Its sink was full: it gets nothing but answers until it has drained, then one resync.
    Lagging,
}

/// A session in the room.
pub(crate) struct Member {
    pub(crate) info: Arc<SessionInfo>,
    pub(crate) role: Role,
    pub(crate) cursor: Arc<Cursor>,
    /// What it said of itself before its `joined` was out; set by `presence`, taken by `start_session`.
    pub(crate) said: Option<PresenceState>,
    /// The state at which it came in or was last looked at: what changed access before that is settled.
    entered: Seq,
    stage: Stage,
    ticket: Ticket,
    /// On another node, whose relay passes events and presence on.
    is_remote: bool,
    link: Link,
}

/// All sessions of a room. A dense list for the fan-out, with an index for everything else.
pub(crate) struct Members {
    room: RoomId,
    list: Vec<Member>,
    index: HashMap<SessionId, usize>,
    tickets: u64,
    /// The relays of the sessions on other nodes, with how many each has; changed by [`Self::add`] and [`Self::take`]. Events go to
    /// each once.
    relays: Vec<(Arc<RelayLink>, usize)>,
}

impl Members {
    pub(crate) fn new(room: RoomId) -> Self {
        Self { room, list: Vec::new(), index: HashMap::new(), tickets: 0, relays: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&Member> {
        self.index.get(&session).and_then(|index| self.list.get(*index))
    }

    pub(crate) fn get_mut(&mut self, session: SessionId) -> Option<&mut Member> {
        self.index.get(&session).and_then(|index| self.list.get_mut(*index))
    }

    /// Adds a session that comes in at the state `at` and whose `joined` frame is to come ([`Self::ticket`]).
    pub(crate) fn add(&mut self, info: Arc<SessionInfo>, link: Link, cursor: Arc<Cursor>, role: Role, at: Seq) {
        // One that is in already starts over; its old seat hears no more.
        self.remove(info.id);
        self.index.insert(info.id, self.list.len());
        let relay = link.sink.remote().map(|remote| Arc::clone(remote.link));
        let is_remote = relay.is_some();
        if let Some(relay) = relay {
            match self.relays.iter_mut().find(|(known, _)| known.id() == relay.id()) {
                Some((_, sessions)) => *sessions += 1,
                None => self.relays.push((relay, 1)),
            }
        }
        self.list.push(Member { info, role, cursor, said: None, entered: at, stage: Stage::Joining, ticket: Ticket(0), is_remote, link });
    }

    /// A ticket for the session's next `joined`, which voids those before.
    pub(crate) fn ticket(&mut self, session: SessionId) -> Option<Ticket> {
        let ticket = Ticket(self.tickets + 1);
        self.get_mut(session)?.ticket = ticket;
        self.tickets = ticket.0;
        Some(ticket)
    }

    /// The session that a ticket was given to, unless it left or got another one since.
    pub(crate) fn holder(&mut self, session: SessionId, ticket: Ticket) -> Option<&mut Member> {
        self.get_mut(session).filter(|member| member.ticket == ticket)
    }

    /// The way to a session, in the room or on its way in.
    pub(crate) fn sink(&self, session: SessionId) -> Option<&Arc<dyn SessionSink>> {
        self.get(session).map(|member| &member.link.sink)
    }

    /// Whether a session's sink was full and has not drained.
    pub(crate) fn is_lagging(&self, session: SessionId) -> bool {
        self.get(session).is_some_and(|member| member.stage == Stage::Lagging)
    }

    /// Takes a session out, and gives back the way to it.
    pub(crate) fn detach(&mut self, session: SessionId) -> Option<Link> {
        self.take(session).map(|member| member.link)
    }

    /// Takes a session out, without telling it.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Arc<SessionInfo>> {
        let Member { info, link, .. } = self.take(session)?;
        link.forget();
        Some(info)
    }

    fn take(&mut self, session: SessionId) -> Option<Member> {
        let index = self.index.remove(&session)?;
        let member = self.list.swap_remove(index);
        if let Some(moved) = self.list.get(index) {
            self.index.insert(moved.info.id, index);
        }
        if let Some(remote) = member.link.sink.remote() {
            let id = remote.link.id();
            self.relays.retain_mut(|(relay, sessions)| {
                *sessions -= usize::from(relay.id() == id);
                *sessions > 0
            });
        }
        Some(member)
    }

    /// Takes a session out that was not told anything of the room yet, and gives back the way to it.
    pub(crate) fn take_unstarted(&mut self, session: SessionId) -> Option<Link> {
        let unstarted = |member: &Member| member.stage == Stage::Joining && member.cursor.get().is_none();
        if self.get(session).is_some_and(unstarted) { self.detach(session) } else { None }
    }

    /// Takes sessions out that `which` says and that came in before `at`, with a `left` frame as their last from this room.
    pub(crate) fn expel(&mut self, at: Seq, which: impl Fn(&Member) -> bool, code: ErrorCode, message: &str) -> Vec<Arc<SessionInfo>> {
        let which = |member: &&Member| member.entered < at && which(member);
        let sessions: Vec<_> = self.list.iter().filter(which).map(|member| member.info.id).collect();
        if sessions.is_empty() {
            return Vec::new();
        }
        let left = frame_of(&ServerFrame::Left { room: self.room, code, message: message.into(), retry_after_ms: None });
        let expel = |session| {
            let Member { info, link, .. } = self.take(session)?;
            link.end(std::slice::from_ref(&left));
            Some(info)
        };
        sessions.into_iter().filter_map(expel).collect()
    }

    /// Takes everybody out because the room cannot be had: who was in it hears `left`, who was on the way in `error`.
    pub(crate) fn refuse_all(&mut self, rejection: &Rejection) {
        let room = self.room;
        for (session, _) in self.users() {
            if let Some(Member { cursor, link, .. }) = self.take(session) {
                let rejection = spread_hint(rejection.clone(), session.0);
                let frame = if cursor.get().is_some() {
                    let Rejection { code, message, retry_after_ms, .. } = rejection;
                    ServerFrame::Left { room, code, message: message.into_owned(), retry_after_ms }
                } else {
                    ServerFrame::Error { rejection, about: Some(About { room, n: None }) }
                };
                link.end(&[frame_of(&frame)]);
            }
        }
    }

    /// Notes a session's role in the state `at`, with all that led there.
    pub(crate) fn enter(&mut self, session: SessionId, role: Role, at: Seq) {
        if let Some(member) = self.get_mut(session) {
            (member.role, member.entered) = (role, at);
            member.tell_role();
        }
    }

    /// A user's role has changed at `at`; who came in later has the role of then.
    /// The user's sessions with the role before.
    pub(crate) fn set_role(&mut self, at: Seq, user: UserId, role: Role) -> Vec<(SessionId, Role)> {
        let concerned = self.list.iter_mut().filter(|member| member.info.card.user == user && member.entered < at);
        let changed = concerned.map(|member| {
            let before = std::mem::replace(&mut member.role, role);
            member.tell_role();
            (member.info.id, before)
        });
        changed.collect()
    }

    /// Writes a frame that may be dropped (presence) to one session, if it is live.
    pub(crate) fn send(&mut self, session: SessionId, frame: &Frame) {
        if let Some(member) = self.get_mut(session).filter(|member| member.stage == Stage::Live)
            && member.link.sink.send(std::slice::from_ref(frame)) == Sent::Full
        {
            member.lag();
        }
    }

    /// Sends a session its `joined` frame; from here on it gets every event.
    pub(crate) fn start(&mut self, session: SessionId, joined: &Frame, at: Position) {
        let Some(member) = self.get_mut(session) else { return };
        member.link.give_turn_back();
        if let Some(remote) = member.link.sink.remote() {
            remote.start(member.role, at, joined);
            member.stage = Stage::Live;
            member.cursor.set(at);
            return;
        }
        match member.link.sink.send(std::slice::from_ref(joined)) {
            Sent::Taken => {
                member.stage = Stage::Live;
                member.cursor.set(at);
            }
            Sent::Full => member.lag(),
        }
    }

    /// Whether a session that says it has drained is owed a resync; marks it as joining.
    pub(crate) fn resume(&mut self, session: SessionId) -> bool {
        let lagging = self.get_mut(session).filter(|member| member.stage == Stage::Lagging);
        lagging.map(|member| member.stage = Stage::Joining).is_some()
    }

    /// Everybody: socket and user.
    pub(crate) fn users(&self) -> Vec<(SessionId, UserCard)> {
        self.list.iter().map(|member| (member.info.id, member.info.card.clone())).collect()
    }

    /// Writes a frame that may be dropped (presence) to everybody who is live and has at least this role.
    pub(crate) fn broadcast(&mut self, least: Role, frame: &Frame) {
        self.tell_relays(|| presence(least, frame), RelayLink::push_presence);
        let here = |member: &&mut Member| member.stage == Stage::Live && member.role >= least && !member.is_remote;
        for member in self.list.iter_mut().filter(here) {
            if member.link.sink.send(std::slice::from_ref(frame)) == Sent::Full {
                member.lag();
            }
        }
    }

    /// Writes consecutive durable records to everybody who is live, and to the authors among them their answers in the same write.
    /// Who is outside an event's audience gets its bare seq in its place.
    pub(crate) fn deliver(&mut self, epoch: Epoch, records: &[Recent], mut answers: Answers) {
        let public = records.iter().all(|recent| recent.audience == Audience::Everyone);
        let shared = if public { frames(self.room, epoch, records, |_| true) } else { Vec::new() };
        let mut by_sight: HashMap<Vec<bool>, Vec<Frame>> = HashMap::new();
        let last = records.last().map(|recent| recent.seq);
        if last.is_some() {
            self.tell_relays(|| fan(epoch, records.iter().map(Record::of)), RelayLink::push_fan);
        }
        for member in &mut self.list {
            let own = if answers.is_empty() { None } else { answers.remove(&member.info.id) };
            if member.is_remote {
                if let Some(last) = last.filter(|_| member.stage == Stage::Live) {
                    member.cursor.set(Position { epoch, seq: last });
                }
                if let Some(own) = own {
                    member.link.sink.send_always(&own.frames);
                }
            } else if member.stage == Stage::Live
                && let Some(last) = last
            {
                let events = if public {
                    &shared
                } else {
                    let sight: Vec<bool> =
                        records.iter().map(|recent| recent.audience.includes(member.info.card.user, member.role)).collect();
                    by_sight.entry(sight).or_insert_with_key(|sight| {
                        let start = records[0].seq;
                        frames(self.room, epoch, records, |seq| sight.get(offset(start, seq)).copied().unwrap_or(false))
                    })
                };
                match member.write(events, own.as_ref().map(|own| &*own.frames)) {
                    Sent::Taken => member.cursor.set(Position { epoch, seq: last }),
                    Sent::Full => member.lag(),
                }
            } else if let Some(own) = own {
                member.link.sink.send_always(&own.frames);
            }
        }
        // Authors who have left meanwhile get their answers all the same.
        for Answered { sink, frames, receipts } in answers.into_values() {
            sink.send_always(&frames);
            drop(receipts);
        }
    }

    /// The other node with most sessions in the room; the lower name of two that have as many.
    pub(crate) fn busiest_node(&self) -> Option<NodeId> {
        let most = self.relays.iter().max_by_key(|(relay, sessions)| (*sessions, Reverse(relay.to())));
        most.map(|(relay, _)| relay.to())
    }

    /// Says the same to every relay, encoded once.
    fn tell_relays(&self, what: impl FnOnce() -> Bytes, push: impl Fn(&RelayLink, Bytes)) {
        if !self.relays.is_empty() {
            let what = what();
            self.relays.iter().for_each(|(relay, _)| push(relay, what.clone()));
        }
    }
}

impl Member {
    /// Events and the author's own answers in one write; the answers also when the events do not fit any more.
    fn write(&self, events: &[Frame], own: Option<&[Frame]>) -> Sent {
        let Some(own) = own else { return self.link.sink.send(events) };
        let together: Vec<Frame> = events.iter().chain(own).cloned().collect();
        let sent = self.link.sink.send(&together);
        if sent == Sent::Full {
            self.link.sink.send_always(own);
        }
        sent
    }

    /// Tells the relay of a session on another node, which judges by it what the session may see.
    fn tell_role(&self) {
        if let Some(remote) = self.link.sink.remote() {
            remote.role(self.role);
        }
    }

    fn lag(&mut self) {
        self.stage = Stage::Lagging;
        metrics::counter!("tripsync_sessions_lagging_total").increment(1);
    }
}

fn offset(start: Seq, seq: Seq) -> usize {
    usize::try_from(seq.0.saturating_sub(start.0)).unwrap_or(usize::MAX)
}

/// `events` frames for whoever sees what `sees` says, split to bounded size.
fn frames(room: RoomId, epoch: Epoch, records: &[Recent], sees: impl Fn(Seq) -> bool) -> Vec<Frame> {
    let mut out = Vec::with_capacity(1);
    let mut rest = records;
    while let Some(first) = rest.first() {
        let mut bytes = 0;
        let fits = rest.iter().take(FRAME_RECORDS_MAX).take_while(|recent| {
            bytes += recent.bytes.len();
            bytes <= FRAME_BYTES_MAX || recent.seq == first.seq
        });
        let (head, tail) = rest.split_at(fits.count());
        rest = tail;
        let seen: Vec<Bytes> =
            head.iter().map(|recent| if sees(recent.seq) { recent.bytes.clone() } else { encode_bare(recent.seq).into() }).collect();
        out.push(Frame::new(encode_events(room, epoch, first.seq, seen.iter().map(AsRef::as_ref))));
    }
    out
}

/// A record as one user sees it.
pub(crate) fn seen_by(recent: &Recent, user: UserId, role: Role) -> Bytes {
    if recent.audience.includes(user, role) { recent.bytes.clone() } else { encode_bare(recent.seq).into() }
}
