//! What is remembered of each node's renewals: which rooms it is entered for, and when each entry must be renewed.
//!
//! Entries in Redis run out (after [`TTL`], usually), so that those of rooms that nobody opens again do not stay for ever after a crash. Those of a
//! living node are renewed long before, a few with every renewal of its lease: 100,000 rooms take some 60 a second. An entry that runs out
//! all the same costs a change of owner, no event: the journal fences.

use super::link::Nth;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{NodeId, RoomId};

/// Life of an entry that is not renewed.
pub const TTL: Duration = Duration::from_secs(3_600);
/// How many are renewed at a time: Redis does nothing else meanwhile (a quarter of a millisecond).
const AT_A_TIME: usize = 256;

/// The entries of each node; usually there is one.
pub(super) struct Entries {
    renew_after: Duration,
    nodes: HashMap<NodeId, Dues>,
}

#[derive(Default)]
struct Dues {
    /// The connection over which the lease was renewed last.
    nth: Option<Nth>,
    by_room: HashMap<RoomId, Instant>,
    by_time: BTreeSet<(Instant, RoomId)>,
}

impl Entries {
    /// None yet; each lives for `ttl`, and is renewed in the middle of it.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { renew_after: ttl / 2, nodes: HashMap::new() }
    }

    /// The room's entry names the node and has its whole life before it.
    pub(super) fn entered(&mut self, node: NodeId, room: RoomId, now: Instant) {
        let dues = self.nodes.entry(node).or_default();
        let due = now + self.renew_after;
        if let Some(before) = dues.by_room.insert(room, due) {
            dues.by_time.remove(&(before, room));
        }
        dues.by_time.insert((due, room));
    }

    /// The room's entry does not name the node any more, or need not be kept.
    pub(super) fn left(&mut self, node: NodeId, room: RoomId) {
        let Some(dues) = self.nodes.get_mut(&node) else { return };
        if let Some(due) = dues.by_room.remove(&room) {
            dues.by_time.remove(&(due, room));
        }
    }

    /// None of the node's entries need be kept.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// The node's lease was renewed. `true`: over the same connection as the last time.
    pub(super) fn renewed_over(&mut self, node: NodeId, nth: Nth) -> bool {
        self.nodes.entry(node).or_default().nth.replace(nth) == Some(nth)
    }

    /// Rooms whose entries are to be renewed now: the most urgent first, not too many at a time.
    pub(super) fn due(&self, node: NodeId, now: Instant) -> Vec<RoomId> {
        let Some(dues) = self.nodes.get(&node) else { return Vec::new() };
        dues.by_time.iter().take_while(|(due, _)| *due <= now).take(AT_A_TIME).map(|(_, room)| *room).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NODE: NodeId = NodeId(Uuid::from_u128(1));

    fn room(n: u128) -> RoomId {
        RoomId(Uuid::from_u128(n))
    }

    #[test]
    fn an_entry_is_due_long_before_its_end_and_not_again_at_once() {
        let mut entries = Entries::new(TTL);
        let start = Instant::now();
        entries.entered(NODE, room(1), start);
        assert_eq!(entries.due(NODE, start + TTL / 4), []);
        let late = start + TTL / 2;
        assert_eq!(entries.due(NODE, late), [room(1)]);
        assert_eq!(entries.due(NodeId(Uuid::nil()), late), []);
        entries.entered(NODE, room(1), late);
        assert_eq!(entries.due(NODE, late), []);
        assert_eq!(entries.due(NODE, late + TTL / 2), [room(1)]);
    }

    #[test]
    fn what_was_left_is_never_due() {
        let mut entries = Entries::new(TTL);
        let now = Instant::now();
        for n in 0..4 {
            entries.entered(NODE, room(n), now);
        }
        entries.left(NODE, room(1));
        entries.left(NODE, room(9));
        assert_eq!(entries.due(NODE, now + TTL), [room(0), room(2), room(3)]);
        entries.forget(NODE);
        assert_eq!(entries.due(NODE, now + TTL), []);
    }

    /// At the usual four renewals a second, a hundred thousand entries are renewed in two minutes.
    #[test]
    fn many_entries_take_turns() {
        let mut entries = Entries::new(TTL);
        let start = Instant::now();
        for n in 0..100_000 {
            entries.entered(NODE, room(n), start);
        }
        let mut now = start + TTL / 2;
        let mut rounds = 0;
        loop {
            let due = entries.due(NODE, now);
            if due.is_empty() {
                break;
            }
            assert!(due.len() <= AT_A_TIME);
            for room in due {
                entries.entered(NODE, room, now);
            }
            rounds += 1;
            now += Duration::from_millis(250);
        }
        assert_eq!(rounds, 100_000_usize.div_ceil(AT_A_TIME));
        assert!(now < start + TTL);
    }
}
