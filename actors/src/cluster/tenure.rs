//! This node's lease, and how far it can be relied on.
//!
//! Time is counted from before a renewal was sent, so that the store's clock starts later than ours; nothing but the speed of the two
//! clocks matters, and the margin is for that. A process that was stopped finds its lease run out before it answers anything, because
//! the time went on meanwhile.

use super::ClusterConfig;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::time::Instant;
use tripsync_domain::NodeId;

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Tenure(Mutex<State>);

#[derive(Default)]
struct State {
    /// Until when nobody else can have claimed what this node owns; set by [`Tenure::renewed`].
    holds_until: Option<Instant>,
    /// When the present lease began: what was proved to be ours before that may be another's since.
    since: Option<Instant>,
    /// This node goes: it relies on nothing any more.
    ended: bool,
    /// Nodes whose leases lived when that was asked last.
    alive: BTreeSet<NodeId>,
}

impl Tenure {
    /// A renewal that was sent at `sent` succeeded; `unbroken` is what the store said.
    pub(crate) fn renewed(&self, sent: Instant, unbroken: bool, config: &ClusterConfig) {
        let mut state = self.0.lock();
        if state.ended {
            return;
        }
        if !unbroken || state.since.is_none() {
            state.since = Some(Instant::now());
        }
        state.holds_until = Some(sent + config.lease_ttl.saturating_sub(config.lease_margin));
    }

    /// The lease is given up.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        (state.ended, state.holds_until) = (true, None);
    }

    /// Whether [`Self::end`] was called.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.lock().ended
    }

    /// Whether the lease can be relied on now, so that nobody else owns what was proved to be ours at `proved`.
    pub(crate) fn covers(&self, proved: Instant) -> bool {
        let state = self.0.lock();
        state.holds_until.is_some_and(|until| Instant::now() < until) && state.since.is_some_and(|since| proved >= since)
    }

    /// Whether the lease can be relied on now.
    pub(crate) fn holds(&self) -> bool {
        self.0.lock().holds_until.is_some_and(|until| Instant::now() < until)
    }

    /// Notes who lives, as the store says.
    pub(crate) fn saw(&self, nodes: BTreeSet<NodeId>) {
        self.0.lock().alive = nodes;
    }

    /// Nodes that live, as far as is known.
    pub(crate) fn nodes(&self) -> BTreeSet<NodeId> {
        self.0.lock().alive.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_relied_on_for_less_than_it_lives() {
        let config = ClusterConfig::default();
        let tenure = Tenure::default();
        let sent = Instant::now();
        assert!(!tenure.holds(), "before it was ever renewed");
        // The answer was slow: that time is gone.
        tokio::time::advance(Duration::from_millis(300)).await;
        tenure.renewed(sent, false, &config);
        assert!(tenure.holds() && tenure.covers(Instant::now()));
        tokio::time::advance(config.lease_ttl - config.lease_margin - Duration::from_millis(301)).await;
        assert!(tenure.holds());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!tenure.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_proved_under_an_earlier_lease_must_be_proved_again() {
        let config = ClusterConfig::default();
        let tenure = Tenure::default();
        tenure.renewed(Instant::now(), false, &config);
        let proved = Instant::now();
        tokio::time::advance(Duration::from_millis(100)).await;
        tenure.renewed(Instant::now(), true, &config);
        assert!(tenure.covers(proved));
        tokio::time::advance(Duration::from_secs(5)).await;
        tenure.renewed(Instant::now(), false, &config);
        assert!(tenure.holds() && !tenure.covers(proved) && tenure.covers(Instant::now()));
    }
}
