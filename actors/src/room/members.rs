//! The sessions in a room and what is written to them.

use crate::frame::{Frame, frame_of};
use crate::ports::{Detached, Sent, SessionSink};
use crate::room::log::Recent;
use crate::room::message::{Cursor, SessionInfo};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use tripsync_domain::protocol::{Position, ServerFrame, encode_bare, encode_events};
use tripsync_domain::{Audience, Epoch, ErrorCode, Role, RoomId, Seq, SessionId, UserId};

/// Records and bytes in one `events` frame; more are split over several.
const FRAME_RECORDS_MAX: usize = 256;
const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Answers to commands, by the session that asked.
pub(crate) type Answers = HashMap<SessionId, (Arc<dyn SessionSink>, Vec<Frame>)>;

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
    stage: Stage,
    link: Link,
}

/// The way to a session. Tells it when the room is gone, however that happens: also when the actor panics and is dropped.
struct Link {
    room: RoomId,
    sink: Arc<dyn SessionSink>,
    told: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.told {
            self.sink.detached(self.room, Detached::Lost);
        }
    }
}

/// All sessions of a room. A dense list for the fan-out, with an index for everything else.
pub(crate) struct Members {
    room: RoomId,
    list: Vec<Member>,
    index: HashMap<SessionId, usize>,
}

impl Members {
    pub(crate) fn new(room: RoomId) -> Self {
        Self { room, list: Vec::new(), index: HashMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn get(&self, session: SessionId) -> Option<&Member> {
        self.index.get(&session).and_then(|index| self.list.get(*index))
    }

    fn get_mut(&mut self, session: SessionId) -> Option<&mut Member> {
        self.index.get(&session).and_then(|index| self.list.get_mut(*index))
    }

    /// Adds a session whose `joined` frame is to come. One that is in already stays in, and gets a new `joined`.
    pub(crate) fn add(&mut self, info: Arc<SessionInfo>, sink: Arc<dyn SessionSink>, cursor: Arc<Cursor>, role: Role) {
        if let Some(member) = self.get_mut(info.id) {
            (member.stage, member.role, member.cursor) = (Stage::Joining, role, cursor);
            return;
        }
        let link = Link { room: self.room, sink, told: false };
        self.index.insert(info.id, self.list.len());
        self.list.push(Member { info, role, cursor, stage: Stage::Joining, link });
    }

    /// Takes a session out, without telling it.
    pub(crate) fn remove(&mut self, session: SessionId) -> Option<Arc<SessionInfo>> {
        let index = self.index.remove(&session)?;
        let mut member = self.list.swap_remove(index);
        if let Some(moved) = self.list.get(index) {
            self.index.insert(moved.info.id, index);
        }
        member.link.told = true;
        Some(Arc::clone(&member.info))
    }

    /// Takes sessions out that `which` says, with a `left` frame as their last from this room.
    pub(crate) fn expel(&mut self, which: impl Fn(&Member) -> bool, code: ErrorCode, message: &str) -> Vec<Arc<SessionInfo>> {
        let sessions: Vec<_> = self.list.iter().filter(|member| which(member)).map(|member| member.info.id).collect();
        if sessions.is_empty() {
            return Vec::new();
        }
        let left = frame_of(&ServerFrame::Left { room: self.room, code, message: message.into(), retry_after_ms: None });
        for session in &sessions {
            if let Some(member) = self.get(*session) {
                member.link.sink.send_always(std::slice::from_ref(&left));
                member.link.sink.detached(self.room, Detached::Ended);
            }
        }
        sessions.into_iter().filter_map(|session| self.remove(session)).collect()
    }

    /// A user's role has changed.
    pub(crate) fn set_role(&mut self, user: UserId, role: Role) {
        for member in self.list.iter_mut().filter(|member| member.info.card.user == user) {
            member.role = role;
        }
    }

    /// Sends a session its `joined` frame; from here on it gets every event.
    pub(crate) fn start(&mut self, session: SessionId, joined: &Frame, at: Position) {
        let Some(member) = self.get_mut(session) else { return };
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
    pub(crate) fn users(&self) -> Vec<(SessionId, UserId)> {
        self.list.iter().map(|member| (member.info.id, member.info.card.user)).collect()
    }

    /// Writes a frame that may be dropped (presence) to everybody who is live.
    pub(crate) fn broadcast(&mut self, frame: &Frame) {
        for member in self.list.iter_mut().filter(|member| member.stage == Stage::Live) {
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
        for member in &mut self.list {
            let own = if answers.is_empty() { None } else { answers.remove(&member.info.id).map(|(_, frames)| frames) };
            if member.stage == Stage::Live
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
                match member.write(events, own.as_deref()) {
                    Sent::Taken => member.cursor.set(Position { epoch, seq: last }),
                    Sent::Full => member.lag(),
                }
            } else if let Some(own) = own {
                member.link.sink.send_always(&own);
            }
        }
        // Authors who have left meanwhile get their answers all the same.
        for (sink, frames) in answers.into_values() {
            sink.send_always(&frames);
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
