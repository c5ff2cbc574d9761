//! Who is here: in memory only, folded per user, sent as deltas once per tick.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{PresenceDelta, PresenceEntry};
use tripsync_domain::{SessionId, Timestamp, UserId};

/// One user in the room.
struct Present {
    since: Timestamp,
    /// Each device's state and when it changed, as a running number.
    devices: BTreeMap<SessionId, (PresenceState, u64)>,
    /// What is shown while the last device is missing.
    last: PresenceState,
    /// Until when a user without devices stays; set when the last one drops, cleared when one comes back.
    grace_ends: Option<Instant>,
}

/// Everybody's presence in a room.
#[derive(Default)]
pub(crate) struct Board {
    users: BTreeMap<UserId, Present>,
    dirty: BTreeSet<UserId>,
    /// Whether one of them said something, or went for good: more than that somebody's socket came or dropped.
    is_pressing: bool,
    changes: u64,
}

impl Board {
    /// A device of a user has joined.
    pub(crate) fn enter(&mut self, user: UserId, session: SessionId, now: Timestamp) {
        let present = self.users.entry(user).or_insert_with(|| Present {
            since: now,
            devices: BTreeMap::new(),
            last: PresenceState::default(),
            grace_ends: None,
        });
        present.grace_ends = None;
        if !present.devices.contains_key(&session) {
            // Whoever comes back is shown as before; a further device shows nothing until it says what it does.
            let state = if present.devices.is_empty() { present.last.clone() } else { PresenceState::default() };
            present.devices.insert(session, (state, 0));
            self.dirty.insert(user);
        }
    }

    /// Whether a device is here.
    pub(crate) fn has(&self, user: UserId, session: SessionId) -> bool {
        self.users.get(&user).is_some_and(|present| present.devices.contains_key(&session))
    }

    /// A device says what its user does.
    pub(crate) fn update(&mut self, user: UserId, session: SessionId, state: PresenceState) {
        self.changes += 1;
        if let Some(device) = self.users.get_mut(&user).and_then(|present| present.devices.get_mut(&session)) {
            *device = (state, self.changes);
            self.dirty.insert(user);
            self.is_pressing = true;
        }
    }

    /// Looks at everything that is shown again: `change` says what is to be shown instead.
    pub(crate) fn revise(&mut self, change: impl Fn(UserId, &PresenceState) -> Option<PresenceState>) {
        for (user, present) in &mut self.users {
            let shown = present.devices.values_mut().map(|(state, _)| state).chain([&mut present.last]);
            for state in shown {
                if let Some(changed) = change(*user, state) {
                    *state = changed;
                    self.dirty.insert(*user);
                    self.is_pressing = true;
                }
            }
        }
    }

    /// Ends the grace of users who may not be here any more.
    pub(crate) fn forget_missing(&mut self, gone: impl Fn(UserId) -> bool) {
        for user in self.users.iter().filter(|(user, present)| present.devices.is_empty() && gone(**user)).map(|(user, _)| *user) {
            self.dirty.insert(user);
            self.is_pressing = true;
        }
        self.users.retain(|user, present| !present.devices.is_empty() || !gone(*user));
    }

    /// A device is gone; when it was the user's last and it dropped without a goodbye, the user stays for the grace.
    pub(crate) fn leave(&mut self, user: UserId, session: SessionId, grace: Option<Duration>) {
        let Some(present) = self.users.get_mut(&user) else { return };
        present.last = folded(present).clone();
        if present.devices.remove(&session).is_none() {
            return;
        }
        self.dirty.insert(user);
        if present.devices.is_empty() {
            match grace {
                Some(grace) => present.grace_ends = Some(Instant::now() + grace),
                None => {
                    self.users.remove(&user);
                    self.is_pressing = true;
                }
            }
        }
    }

    /// Drops users whose grace has ended.
    pub(crate) fn expire(&mut self) {
        let now = Instant::now();
        let ended = |present: &Present| present.grace_ends.is_some_and(|end| end <= now);
        let gone: Vec<_> = self.users.iter().filter(|(_, present)| ended(present)).map(|(user, _)| *user).collect();
        for user in gone {
            self.users.remove(&user);
            self.dirty.insert(user);
            self.is_pressing = true;
        }
    }

    /// The earliest end of a grace.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.users.values().filter_map(|present| present.grace_ends).min()
    }

    /// Whether nobody is here, not even within a grace.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Whether somebody changed since the last delta.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether what changed should be told soon; comings alone, of which a storm brings many, may be gathered for longer.
    pub(crate) const fn is_pressing(&self) -> bool {
        self.is_pressing
    }

    /// What changed since the last delta; `None` when nothing did.
    pub(crate) fn take_delta(&mut self) -> Option<PresenceDelta> {
        if self.dirty.is_empty() {
            return None;
        }
        self.is_pressing = false;
        let mut delta = PresenceDelta::default();
        for user in std::mem::take(&mut self.dirty) {
            match self.users.get(&user) {
                Some(present) => delta.set.push(entry(user, present)),
                None => delta.gone.push(user),
            }
        }
        Some(delta)
    }

    /// Whoever may be shown somewhere: everybody, and who is gone since the last delta.
    pub(crate) fn shown(&self) -> Vec<UserId> {
        let users: BTreeSet<_> = self.users.keys().chain(&self.dirty).copied().collect();
        users.into_iter().collect()
    }

    /// Everybody, for somebody who joins.
    pub(crate) fn entries(&self) -> Vec<PresenceEntry> {
        self.users.iter().map(|(user, present)| entry(*user, present)).collect()
    }
}

fn entry(user: UserId, present: &Present) -> PresenceEntry {
    PresenceEntry {
        user,
        state: folded(present).clone(),
        devices: u32::try_from(present.devices.len()).unwrap_or(u32::MAX),
        since: present.since,
    }
}

/// The state of the device that changed last, preferring one that is not idle.
fn folded(present: &Present) -> &PresenceState {
    present.devices.values().max_by_key(|(state, changed)| (!state.idle, *changed)).map_or(&present.last, |(state, _)| state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn session(n: u128) -> SessionId {
        SessionId(Uuid::from_u128(n))
    }

    fn typing() -> PresenceState {
        PresenceState { typing: true, ..PresenceState::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn devices_fold_and_the_last_active_one_counts() {
        let mut board = Board::default();
        board.enter(user(1), session(1), Timestamp::from_ms(5));
        board.enter(user(1), session(2), Timestamp::from_ms(6));
        board.update(user(1), session(1), typing());
        board.update(user(1), session(2), PresenceState { idle: true, ..PresenceState::default() });
        let delta = board.take_delta().unwrap();
        assert_eq!(delta.set.len(), 1);
        assert_eq!((delta.set[0].devices, delta.set[0].state.typing, delta.set[0].since), (2, true, Timestamp::from_ms(5)));
        assert!(board.take_delta().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_drop_does_not_flicker_and_a_long_one_leaves_no_ghost() {
        let mut board = Board::default();
        let grace = Duration::from_secs(5);
        board.enter(user(1), session(1), Timestamp::default());
        board.update(user(1), session(1), typing());
        board.leave(user(1), session(1), Some(grace));
        tokio::time::advance(Duration::from_secs(4)).await;
        board.expire();
        assert!(board.entries()[0].state.typing, "what the user did is still shown");
        board.enter(user(1), session(2), Timestamp::default());
        tokio::time::advance(Duration::from_secs(4)).await;
        board.expire();
        assert_eq!(board.entries().len(), 1, "the user is back");
        board.leave(user(1), session(2), Some(grace));
        tokio::time::advance(grace).await;
        board.expire();
        assert!(board.is_empty());
        assert_eq!(board.take_delta().unwrap().gone, [user(1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_device_did_ends_with_it() {
        let mut board = Board::default();
        board.enter(user(1), session(1), Timestamp::default());
        board.enter(user(1), session(2), Timestamp::default());
        board.update(user(1), session(1), typing());
        board.leave(user(1), session(1), None);
        // Not shown by the device that stays, nor by one that comes.
        board.enter(user(1), session(3), Timestamp::default());
        board.leave(user(1), session(2), None);
        let entries = board.entries();
        assert_eq!((entries[0].devices, entries[0].state.typing), (1, false));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_gone_is_still_shown_until_that_is_told() {
        let mut board = Board::default();
        board.enter(user(1), session(1), Timestamp::default());
        board.enter(user(2), session(2), Timestamp::default());
        board.take_delta();
        board.leave(user(1), session(1), None);
        assert_eq!(board.shown(), [user(1), user(2)]);
        board.take_delta();
        assert_eq!(board.shown(), [user(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_ends_at_once() {
        let mut board = Board::default();
        board.enter(user(1), session(1), Timestamp::default());
        board.take_delta();
        board.leave(user(1), session(1), None);
        assert_eq!(board.take_delta().unwrap().gone, [user(1)]);
    }
}
