//! The owner's end of a relay: what a room writes to when a session, or all of a node's, are elsewhere.

use super::outgoing::{Full, Outgoing};
use super::wire::{Down, Record, RelayId, Shown, Word, packed};
use crate::frame::{Frame, View};
use crate::ports::{Detached, Sent, SessionSink};
use bytes::Bytes;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;
use tripsync_domain::protocol::Position;
use tripsync_domain::{Epoch, NodeId, Role, RoomId, SessionId};

/// Where a room writes for one relay. What is written is numbered and sent in that order; when the queue is full the link is cut, and the
/// relay's sessions look for the room again.
pub struct RelayLink {
    id: RelayId,
    to: NodeId,
    out: Arc<Outgoing>,
    state: Mutex<LinkState>,
    stirred: Notify,
}

struct LinkState {
    sent: u64,
    cut: bool,
    /// The desk says how much was sent only rarely, until something is.
    calm: bool,
    /// The view that the relay has.
    view: Option<View>,
}

impl fmt::Debug for RelayLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayLink").field("id", &self.id).field("to", &self.to).finish_non_exhaustive()
    }
}

impl RelayLink {
    pub(crate) fn new(id: RelayId, to: NodeId, out: Arc<Outgoing>) -> Arc<Self> {
        Arc::new(Self {
            id,
            to,
            out,
            state: Mutex::new(LinkState { sent: 0, cut: false, calm: false, view: None }),
            stirred: Notify::new(),
        })
    }

    pub(crate) const fn id(&self) -> RelayId {
        self.id
    }

    /// Whether something could not be sent, or the link was ended.
    pub(crate) fn is_cut(&self) -> bool {
        self.state.lock().cut
    }

    /// Sends nothing more.
    pub(crate) fn cut(&self) {
        self.state.lock().cut = true;
    }

    pub(crate) fn push(&self, down: &Down) {
        let encoded = down.encode();
        self.push_encoded(&mut self.state.lock(), down.kind(), encoded);
    }

    /// Durable records ([`fan`]), which make the view that the relay has an old one.
    pub(crate) fn push_fan(&self, fan: Bytes) {
        let mut state = self.state.lock();
        state.view = None;
        self.push_encoded(&mut state, "fan", fan);
    }

    /// Presence ([`presence`]).
    pub(crate) fn push_presence(&self, presence: Bytes) {
        self.push_encoded(&mut self.state.lock(), "presence", presence);
    }

    /// A session's `joined`. A view that many are shown goes to the relay once.
    fn push_start(&self, session: SessionId, joining: u32, role: Role, at: Position, joined: &Frame) {
        let (frame, view) = joined.parts();
        let frame = Bytes::copy_from_slice(frame);
        let mut state = self.state.lock();
        let shown = match view {
            None => Shown::Nothing,
            Some(view) if state.view.as_ref().is_some_and(|known| known.is(view)) => Shown::Same,
            Some(view) => {
                state.view = Some(view.clone());
                Shown::New(view.packed().clone())
            }
        };
        let start = Down::Start { session, joining, role, at, frame, view: shown };
        self.push_encoded(&mut state, start.kind(), start.encode());
    }

    fn push_encoded(&self, state: &mut LinkState, kind: &'static str, down: Bytes) {
        if state.cut {
            return;
        }
        state.sent += 1;
        metrics::counter!("tripsync_cluster_words_sent_total", "kind" => kind).increment(1);
        let word = Word::Down { relay: self.id, n: state.sent, down };
        state.cut = self.out.send(self.to, word.encode()).is_err();
        if state.cut || std::mem::take(&mut state.calm) {
            self.stirred.notify_one();
        }
    }

    /// Lets [`Self::stirred`] return at the next message, if so many were sent.
    pub(crate) fn calm(&self, sent: u64) {
        let mut state = self.state.lock();
        state.calm = state.sent == sent;
        if !state.calm {
            self.stirred.notify_one();
        }
    }

    /// Something was sent after a calm, or could not be.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// The relay's node.
    pub(crate) const fn to(&self) -> NodeId {
        self.to
    }

    /// How many messages were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.state.lock().sent
    }

    /// Says how much was sent.
    pub(crate) fn beat(&self) {
        let mut state = self.state.lock();
        state.view = None;
        if !state.cut {
            // The next one says the same.
            let _ = self.say(&Down::Beat { sent: state.sent });
        }
    }

    /// Says something without a number, also when the link is cut. If it is lost, the next one says the same.
    pub(crate) fn say(&self, down: &Down) -> Result<(), Full> {
        let word = Word::Down { relay: self.id, n: 0, down: down.encode() };
        self.out.send(self.to, word.encode())
    }

    /// The way to one joining of one session.
    pub(crate) fn sink(self: &Arc<Self>, session: SessionId, joining: u32) -> Arc<dyn SessionSink> {
        Arc::new(RemoteSink { link: Arc::clone(self), session, joining })
    }
}

/// Durable records for relays, encoded once for all of them.
pub(crate) fn fan(epoch: Epoch, records: impl Iterator<Item = Record>) -> Bytes {
    Down::Fan { epoch, records: records.collect() }.encode()
}

/// Presence for relays, likewise.
pub(crate) fn presence(least: Role, frame: &Frame) -> Bytes {
    Down::Presence { least, frame: packed(frame) }.encode()
}

/// A session elsewhere, as its room sees it: the relay keeps its budget, so it takes everything.
struct RemoteSink {
    link: Arc<RelayLink>,
    session: SessionId,
    joining: u32,
}

impl SessionSink for RemoteSink {
    fn send(&self, frames: &[Frame]) -> Sent {
        self.send_always(frames);
        Sent::Taken
    }

    fn send_always(&self, frames: &[Frame]) {
        if !frames.is_empty() {
            self.link.push(&Down::to(self.session, frames));
        }
    }

    fn detached(&self, room: RoomId, why: Detached) {
        match why {
            Detached::Ended => self.ended(room, &[]),
            Detached::Lost => self.link.push(&Down::Lost),
        }
    }

    fn ended(&self, _: RoomId, last: &[Frame]) {
        self.link.push(&Down::ended(self.session, self.joining, last));
    }

    fn remote(&self) -> Option<Remote<'_>> {
        Some(Remote { link: &self.link, session: self.session, joining: self.joining })
    }
}

/// What a room says to a session elsewhere beyond frames.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    pub(crate) link: &'a Arc<RelayLink>,
    session: SessionId,
    joining: u32,
}

impl Remote<'_> {
    /// Its `joined`: from here on the relay passes every event on to it.
    pub(crate) fn start(&self, role: Role, at: Position, frame: &Frame) {
        self.link.push_start(self.session, self.joining, role, at, frame);
    }

    /// Its role has changed.
    pub(crate) fn role(&self, role: Role) {
        self.link.push(&Down::Role { session: self.session, joining: self.joining, role });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::wire::read;
    use crate::cluster::{Bus, ClusterConfig};
    use crate::testing::MemoryCluster;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn a_view_goes_to_a_relay_once_until_something_happens() {
        let [here, there] = [1, 2].map(|n| NodeId(Uuid::from_u128(n)));
        let hub = MemoryCluster::new(1);
        let (to, out) = (hub.node(there), Outgoing::new(here, Arc::new(hub.node(here)), ClusterConfig::default()));
        let link = RelayLink::new(RelayId(Uuid::from_u128(3)), there, out);
        let [one, other] = [b"\xa3one", b"\xa3two"].map(|view| Frame::with_view(b"\x81\xa5state", &View::new(Bytes::from_static(view))));
        let start = |frame: &Frame| {
            let at = Position { epoch: Epoch(1), seq: tripsync_domain::Seq(1) };
            Remote { link: &link, session: SessionId(Uuid::from_u128(4)), joining: 1 }.start(Role::Viewer, at, frame);
        };
        [&one, &one, &other, &one].into_iter().for_each(start);
        link.push_fan(fan(Epoch(1), std::iter::empty()));
        [&one, &one].into_iter().for_each(start);
        link.beat();
        [&one, &Frame::new(b"\x80"), &one].into_iter().for_each(start);

        let mut said = String::new();
        while said.len() < 11 {
            let (_, words) = read(&to.receive().await.unwrap()).unwrap();
            for word in words {
                let Word::Down { down, .. } = word else { panic!("{word:?}") };
                let down = Down::decode(&down).unwrap();
                let view = if let Down::Start { view, .. } = &down { Some(view) } else { None };
                said.push(match (down.kind(), view) {
                    ("start_with_view", Some(Shown::New(view))) if view[..] == *b"\xa3one" => '1',
                    ("start_with_view", Some(Shown::New(_))) => '2',
                    ("start", Some(Shown::Same)) => '=',
                    ("start", Some(Shown::Nothing)) => '-',
                    ("fan", None) => 'f',
                    ("beat", None) => 'b',
                    _ => panic!("{down:?}"),
                });
            }
        }
        assert_eq!(said, "1=21f1=b1-=");
    }
}
