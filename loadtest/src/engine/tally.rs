//! What is counted and timed, per phase and per second.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use tripsync_loadtest::results::{Counters, Latencies, Latency, empty_histogram};

/// A histogram that can be sent to another process.
#[derive(Clone, Debug)]
pub(crate) struct Times(pub(crate) Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(empty_histogram())
    }
}

impl Times {
    /// Notes a latency; longer than a minute counts as a minute.
    pub(crate) fn note(&mut self, us: u64) {
        self.0.saturating_record(us.max(1));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same constant bounds.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn latency(&self) -> Option<Latency> {
        Latency::of(&self.0)
    }

    /// A quantile in milliseconds; none without anything.
    pub(crate) fn ms(&self, quantile: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "below a minute")]
        let ms = self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.0.is_empty()).then_some(ms)
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.latency().map(|latency| latency.histogram).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(histogram) = Option::<String>::deserialize(deserializer)? else { return Ok(Self::default()) };
        Latency { histogram, ..Latency::default() }.histogram().map(Self).map_err(D::Error::custom)
    }
}

/// All that one phase knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sheet {
    pub(crate) counters: Counters,
    pub(crate) ack: Times,
    pub(crate) ack_from_send: Times,
    pub(crate) delivery: Times,
    pub(crate) join: Times,
    pub(crate) resume: Times,
    pub(crate) lag: Times,
    /// Of those alone who stay while others drop.
    pub(crate) stayed_ack: Times,
    pub(crate) stayed_delivery: Times,
}

impl Sheet {
    pub(crate) fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.ack.add(&other.ack);
        self.ack_from_send.add(&other.ack_from_send);
        self.delivery.add(&other.delivery);
        self.join.add(&other.join);
        self.resume.add(&other.resume);
        self.lag.add(&other.lag);
        self.stayed_ack.add(&other.stayed_ack);
        self.stayed_delivery.add(&other.stayed_delivery);
    }

    pub(crate) fn latencies(&self) -> Latencies {
        let stayed = [("stayed_ack", &self.stayed_ack), ("stayed_delivery", &self.stayed_delivery)];
        Latencies {
            ack: self.ack.latency(),
            ack_from_send: self.ack_from_send.latency(),
            delivery: self.delivery.latency(),
            join: self.join.latency(),
            resume: self.resume.latency(),
            lag: self.lag.latency(),
            other: stayed.into_iter().filter_map(|(name, times)| Some((name.to_owned(), times.latency()?))).collect(),
        }
    }
}

/// What happened in one second.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tick {
    /// Which second of the run.
    pub(crate) second: u64,
    pub(crate) counters: Counters,
    pub(crate) ack: Times,
    pub(crate) delivery: Times,
    pub(crate) lag: Times,
    pub(crate) sockets: u64,
}

impl Tick {
    pub(crate) fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.ack.add(&other.ack);
        self.delivery.add(&other.delivery);
        self.lag.add(&other.lag);
        self.sockets += other.sockets;
    }
}

/// The sheets of one thread: one for joining, one per phase, one for the end; and the second that is running.
#[derive(Debug)]
pub(crate) struct Tally {
    /// When each phase begins; empty before the run does.
    pub(crate) starts_us: Vec<u64>,
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) now: Tick,
}

impl Tally {
    pub(crate) fn new(phases: usize) -> Self {
        Self { starts_us: Vec::new(), sheets: vec![Sheet::default(); phases + 2], now: Tick::default() }
    }

    /// The sheet of a moment.
    pub(crate) fn at(&mut self, us: u64) -> &mut Sheet {
        let index = self.starts_us.iter().take_while(|start| **start <= us).count();
        let last = self.sheets.len() - 1;
        &mut self.sheets[index.min(last)]
    }

    /// A command was acknowledged; `stays` of one whom no storm touches.
    pub(crate) fn ack(&mut self, due_us: u64, sent_us: u64, now_us: u64, stays: bool) {
        let latency = now_us.saturating_sub(due_us);
        let sheet = self.at(due_us);
        sheet.counters.acks += 1;
        sheet.ack.note(latency);
        sheet.ack_from_send.note(now_us.saturating_sub(sent_us));
        if stays {
            sheet.stayed_ack.note(latency);
        }
        self.now.counters.acks += 1;
        self.now.ack.note(latency);
    }

    /// An event of a command that was due then has arrived; `stays` at one whom no storm touches.
    pub(crate) fn delivery(&mut self, due_us: u64, now_us: u64, stays: bool) {
        let latency = now_us.saturating_sub(due_us);
        let sheet = self.at(due_us);
        sheet.counters.deliveries += 1;
        sheet.delivery.note(latency);
        if stays {
            sheet.stayed_delivery.note(latency);
        }
        self.arrived(now_us);
        self.now.delivery.note(latency);
    }

    /// An event that nobody here sent, or whose time says nothing.
    pub(crate) fn delivery_untimed(&mut self, now_us: u64) {
        self.at(now_us).counters.deliveries += 1;
        self.arrived(now_us);
    }

    /// Counts a delivery where it arrived, however long ago it was due.
    fn arrived(&mut self, now_us: u64) {
        self.at(now_us).counters.arrivals += 1;
        self.now.counters.deliveries += 1;
    }

    pub(crate) fn sent(&mut self, due_us: u64, now_us: u64, command: bool) {
        let lag = now_us.saturating_sub(due_us);
        let sheet = self.at(due_us);
        sheet.counters.commands += u64::from(command);
        sheet.lag.note(lag);
        self.now.counters.commands += u64::from(command);
        self.now.lag.note(lag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_in_a_phase_counts_there_however_late_it_comes() {
        let mut tally = Tally::new(2);
        tally.ack(5, 5, 9, false);
        tally.starts_us = vec![100, 200, 300];
        tally.delivery(150, 10_150, false);
        tally.delivery(299, 301, true);
        tally.ack(300, 310, 400, true);
        let counts: Vec<_> = tally.sheets.iter().map(|sheet| (sheet.counters.acks, sheet.counters.deliveries)).collect();
        assert_eq!(counts, [(1, 0), (0, 1), (0, 1), (1, 0)]);
        let arrived: Vec<_> = tally.sheets.iter().map(|sheet| sheet.counters.arrivals).collect();
        assert_eq!(arrived, [0, 0, 0, 2], "and arrives where it comes");
        assert_eq!(tally.sheets[1].delivery.ms(1.0).map(f64::round), Some(10.0));
        let stayed: Vec<Vec<_>> = tally.sheets.iter().map(|sheet| sheet.latencies().other.into_keys().collect()).collect();
        assert_eq!(stayed, [vec![], vec![], vec!["stayed_delivery".to_owned()], vec!["stayed_ack".to_owned()]]);
        let text = serde_json::to_string(&tally.sheets).unwrap();
        let back: Vec<Sheet> = serde_json::from_str(&text).unwrap();
        assert_eq!(back[3].latencies(), tally.sheets[3].latencies());
        assert_eq!(back[2].latencies().ack, None);
    }
}
