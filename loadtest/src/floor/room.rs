//! Rooms: who is in them, and the number of the last event.

use super::frame::{self, Command};
use super::peer::Peer;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// All rooms; one comes into being when it is first joined.
pub(super) struct Hall {
    state: Bytes,
    rooms: Mutex<HashMap<Uuid, Arc<Room>>>,
}

/// A room.
pub(super) struct Room {
    pub(super) id: Uuid,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    seq: u64,
    members: Vec<Arc<Peer>>,
}

impl Hall {
    pub(super) fn new(state_bytes: usize) -> Self {
        Self { state: frame::state(state_bytes), rooms: Mutex::default() }
    }

    /// Lets a peer in, and sends it the state.
    pub(super) fn join(&self, id: Uuid, peer: &Arc<Peer>) -> Arc<Room> {
        let room = Arc::clone(self.rooms.lock().entry(id).or_insert_with(|| Arc::new(Room { id, inside: Mutex::default() })));
        {
            let mut inside = room.inside.lock();
            peer.send(&[frame::joined_head(id, inside.seq, self.state.len()), self.state.clone()]);
            if !inside.members.iter().any(|member| Arc::ptr_eq(member, peer)) {
                inside.members.push(Arc::clone(peer));
            }
        }
        room
    }
}

impl Room {
    /// Passes a command on: the acknowledgement to its author, its event to every member.
    pub(super) fn say(&self, author: &Arc<Peer>, n: u64, command: &Command<'_>) {
        let at = now();
        let mut inside = self.inside.lock();
        inside.seq += 1;
        let event = frame::events(self.id, author.client, inside.seq, n, &at, command);
        let ack = frame::ack(self.id, n, inside.seq);
        author.send(&[ack, event.clone()]);
        for member in &inside.members {
            if !Arc::ptr_eq(member, author) {
                member.send(std::slice::from_ref(&event));
            }
        }
    }

    /// Forgets a peer.
    pub(super) fn leave(&self, peer: &Arc<Peer>) {
        self.inside.lock().members.retain(|member| !Arc::ptr_eq(member, peer));
    }
}

/// The time, as the protocol writes it.
pub(super) fn now() -> String {
    #[expect(clippy::disallowed_methods, reason = "the edge of a program of its own: nothing is simulated here")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    tripsync_domain::Timestamp::from_ms(ms).to_string()
}
