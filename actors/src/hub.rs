//! The live sessions of this node, by user and by login.
//!
//! Owns: how many sockets a user may have, notices to a user, and the ends that come from outside (logout, a disabled account, the
//! server's own end). Promises that a socket is known from before its upgrade until it is gone, so that a revocation in between
//! does not miss it. Deliberately does not know what sessions do.

mod elsewhere;

pub(crate) use elsewhere::COUNTS_FOR;

use crate::frame::Frame;
use crate::ports::{Notifier, SessionSink};
use crate::session::{Control, Ending};
use crate::spread::spread_hint;
use elsewhere::Counts;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tripsync_domain::{ErrorCode, NodeId, Rejection, UserId};
use uuid::Uuid;

/// Sockets that come back per second after a restart, which `retry_after_ms` is spread for.
const RETURNS_PER_S: u64 = 1_000;

/// The live sessions of this node.
pub struct Hub {
    sockets_per_user_max: usize,
    users: Mutex<Users>,
}

struct Users {
    by_user: HashMap<UserId, Vec<Arc<Entry>>>,
    count: usize,
    counts: Counts,
    draining: Option<Ending>,
}

struct Entry {
    login: Uuid,
    control: Arc<Control>,
    /// Set once the socket is open.
    sink: OnceLock<Arc<dyn SessionSink>>,
}

/// A session's registration; dropping it takes the session out.
pub struct Registration {
    hub: Arc<Hub>,
    user: UserId,
    entry: Arc<Entry>,
}

impl Hub {
    /// An empty hub.
    #[must_use]
    pub fn new(sockets_per_user_max: u32) -> Arc<Self> {
        let sockets_per_user_max = sockets_per_user_max.try_into().unwrap_or(usize::MAX);
        let users = Users { by_user: HashMap::new(), count: 0, counts: Counts::new(sockets_per_user_max), draining: None };
        Arc::new(Self { sockets_per_user_max, users: Mutex::new(users) })
    }

    /// Takes a place for a socket of a user, before it is open.
    ///
    /// # Errors
    /// `too_many_sockets` when the user has as many as allowed, those included that other nodes said of; `restarting` while the server goes away.
    pub fn register(self: &Arc<Self>, user: UserId, login: Uuid) -> Result<Registration, Rejection> {
        let mut users = self.users.lock();
        let users = &mut *users;
        if let Some(ending) = &users.draining {
            let refused = Rejection { retry_after_ms: ending.retry_after_ms, ..Rejection::new(ending.code, ending.message.clone()) };
            return Err(spread_hint(refused, Uuid::from_u128(user.0.as_u128() ^ login.as_u128())));
        }
        let entries = users.by_user.entry(user).or_default();
        let (here, elsewhere) = (entries.len(), users.counts.elsewhere(user));
        if here + elsewhere >= self.sockets_per_user_max {
            if entries.is_empty() {
                users.by_user.remove(&user);
            }
            let text = format!("at most {} sockets per user; close one first", self.sockets_per_user_max);
            // Those elsewhere may be of a node that is gone, which is known in a moment.
            let again_ms = if here >= self.sockets_per_user_max { 5_000 } else { 1_000 };
            return Err(Rejection::new(ErrorCode::TooManySockets, text).retry_after_ms(again_ms));
        }
        let entry = Arc::new(Entry { login, control: Arc::default(), sink: OnceLock::new() });
        entries.push(Arc::clone(&entry));
        users.counts.changed(user, here + 1);
        users.count += 1;
        metrics::gauge!("tripsync_sockets").set(gauge(users.count));
        Ok(Registration { hub: Arc::clone(self), user, entry })
    }

    /// Ends the sessions of one login, as its logout asks.
    pub fn close_login(&self, user: UserId, login: Uuid, ending: &Ending) {
        for entry in self.of(user).into_iter().filter(|entry| entry.login == login) {
            entry.control.end(ending.clone());
        }
    }

    /// Ends all sessions of a user (logout everywhere, account disabled).
    pub fn close_user(&self, user: UserId, ending: &Ending) {
        for entry in self.of(user) {
            entry.control.end(ending.clone());
        }
    }

    /// Every login that has a socket, with its user; for checking all of them when news of ended logins was missed.
    #[must_use]
    pub fn logins(&self) -> Vec<(UserId, Uuid)> {
        let users = self.users.lock();
        users.by_user.iter().flat_map(|(user, entries)| entries.iter().map(|entry| (*user, entry.login))).collect()
    }

    /// Ends every session and refuses new ones. What clients are told when to come back is spread, from `after` on, so that about a
    /// thousand a second do.
    pub fn drain(&self, after: Duration) {
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let ending = Ending::new(ErrorCode::Restarting, "the server restarts; connect again and resume").retry_after_ms(after_ms);
        let all: Vec<_> = {
            let mut users = self.users.lock();
            users.draining = Some(ending.clone());
            users.by_user.values().flatten().cloned().collect()
        };
        for (entry, index) in all.into_iter().zip(0_u64..) {
            entry.control.end(ending.clone().retry_after_ms(after_ms.saturating_add(index * 1_000 / RETURNS_PER_S)));
        }
    }

    /// How many sockets there are, those included that are about to open.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.users.lock().count
    }

    /// How many sockets a user has.
    #[must_use]
    pub fn sockets_of(&self, user: UserId) -> usize {
        self.users.lock().by_user.get(&user).map_or(0, Vec::len)
    }

    fn of(&self, user: UserId) -> Vec<Arc<Entry>> {
        self.users.lock().by_user.get(&user).cloned().unwrap_or_default()
    }
}

impl Notifier for Hub {
    fn notice(&self, user: UserId, frame: &Frame) {
        for entry in self.of(user) {
            if let Some(sink) = entry.sink.get() {
                sink.send_always(std::slice::from_ref(frame));
            }
        }
    }

    fn socket_counts(&self, all: bool) -> Vec<(UserId, u32)> {
        let mut users = self.users.lock();
        let Users { by_user, counts, draining, .. } = &mut *users;
        // Those of a node that goes away end, and come back at others.
        let count = |user| if draining.is_some() { 0 } else { by_user.get(&user).map_or(0, Vec::len) };
        counts.tell(all || draining.is_some(), by_user.keys().copied(), count)
    }

    fn sockets_elsewhere(&self, node: NodeId, counts: &[(UserId, u32)]) {
        self.users.lock().counts.said(node, counts);
    }

    fn node_gone(&self, node: NodeId) {
        self.users.lock().counts.gone(node);
    }
}

impl Registration {
    /// By which the session is ended and woken.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.entry.control
    }

    /// The socket is open: notices reach it from now on.
    pub fn open(&self, sink: Arc<dyn SessionSink>) {
        let _ = self.entry.sink.set(sink);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut users = self.hub.users.lock();
        let users = &mut *users;
        if let Some(entries) = users.by_user.get_mut(&self.user) {
            entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
            users.counts.changed(self.user, entries.len());
            if entries.is_empty() {
                users.by_user.remove(&self.user);
            }
            users.count -= 1;
            metrics::gauge!("tripsync_sockets").set(gauge(users.count));
        }
    }
}

fn gauge(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests;
