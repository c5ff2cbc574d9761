//! How many sockets users have at other nodes, as these say; and what is to be said of the sockets here.
//!
//! Counts are said as they are, not as changes, and again from time to time, so that a lost one is made good; a node that is not heard of any more is
//! forgotten. Few sockets are not worth a word: a count below [`Counts::from`] is said as 0.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{NodeId, UserId};

/// What a node says counts for so long. Said again three times as often.
pub(crate) const COUNTS_FOR: Duration = Duration::from_secs(15);

/// Of the most sockets that a user may have, what is worth a word.
const WORTH_A_WORD: usize = 8;

/// What another node said of a user.
struct Said {
    node: NodeId,
    sockets: u32,
    at: Instant,
}

pub(super) struct Counts {
    from: usize,
    elsewhere: HashMap<UserId, Vec<Said>>,
    /// What was said last of the sockets here; nothing: 0.
    told: HashMap<UserId, u32>,
    /// Noted from the first telling on: a node that is alone tells nobody.
    changed: Option<BTreeSet<UserId>>,
}

impl Counts {
    pub(super) fn new(sockets_per_user_max: usize) -> Self {
        let from = (sockets_per_user_max / WORTH_A_WORD).max(2).min(sockets_per_user_max);
        Self { from, elsewhere: HashMap::new(), told: HashMap::new(), changed: None }
    }

    /// How many sockets a user has at other nodes.
    pub(super) fn elsewhere(&self, user: UserId) -> usize {
        let said = self.elsewhere.get(&user).map_or(&[][..], Vec::as_slice);
        said.iter().filter(|said| said.at.elapsed() < COUNTS_FOR).map(|said| said.sockets as usize).sum()
    }

    /// A node says how many sockets users have there.
    pub(super) fn said(&mut self, node: NodeId, counts: &[(UserId, u32)]) {
        let at = Instant::now();
        for (user, sockets) in counts {
            let said = self.elsewhere.entry(*user).or_default();
            said.retain(|said| said.node != node);
            if *sockets > 0 {
                said.push(Said { node, sockets: *sockets, at });
            } else if said.is_empty() {
                self.elsewhere.remove(user);
            }
        }
    }

    /// A node is gone, and its sockets with it.
    pub(super) fn gone(&mut self, node: NodeId) {
        self.forget(|said| said.node == node);
    }

    /// A user has more or fewer sockets here than before.
    pub(super) fn changed(&mut self, user: UserId, sockets: usize) {
        if let Some(changed) = &mut self.changed
            && (sockets >= self.from || self.told.contains_key(&user))
        {
            changed.insert(user);
        }
    }

    /// What other nodes do not know yet, by `count` of the sockets of `users` here; or all of it, so that they need not have heard it before.
    pub(super) fn tell(&mut self, all: bool, users: impl Iterator<Item = UserId>, count: impl Fn(UserId) -> usize) -> Vec<(UserId, u32)> {
        let mut changed = self.changed.replace(BTreeSet::new()).unwrap_or_else(|| users.collect());
        if all {
            self.forget(|said| said.at.elapsed() >= COUNTS_FOR);
            changed.extend(self.told.keys());
        }
        let mut counts = Vec::new();
        for user in changed {
            let sockets = Some(count(user)).filter(|count| *count >= self.from).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX));
            let told = if sockets > 0 { self.told.insert(user, sockets) } else { self.told.remove(&user) };
            let is_news = told.unwrap_or(0) != sockets;
            if is_news || (all && sockets > 0) {
                counts.push((user, sockets));
            }
        }
        counts
    }

    #[cfg(test)]
    pub(super) fn noted(&self) -> usize {
        self.changed.as_ref().map_or(0, BTreeSet::len)
    }

    fn forget(&mut self, which: impl Fn(&Said) -> bool) {
        self.elsewhere.retain(|_, said| {
            said.retain(|said| !which(said));
            !said.is_empty()
        });
    }
}
