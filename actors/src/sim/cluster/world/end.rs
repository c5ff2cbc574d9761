//! How a run ends: everything is healed, everybody agrees, what is due happens, and nothing is left behind.

use super::{NODES, Process, Step, World};
use crate::ports::Clock as _;
use crate::sim::judge::Story;
use crate::sim::kinds::{Kind, Simulated, kind};
use crate::sim::names::{ROOMS, room};
use crate::testing::BusFaults;
use crate::testing::checker::Violation;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tripsync_domain::pool::Pool;
use tripsync_domain::trip::Trip;

/// Within so much time after everything is healed everybody agrees.
const HEALING: Duration = Duration::from_secs(90);
/// After a jump of the clock what is due happens within so much time.
const DUE: Duration = Duration::from_millis(2_500);
/// Pools depart two hours after the beginning; a day after that they would be cancelled.
const PAST_DEPARTURE_MS: i64 = 4 * 3_600_000;

impl World {
    /// Everything works again.
    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        let hub = self.ground.hub.clone();
        hub.set_bus_faults(BusFaults { delay_ms: (0, 1), ..BusFaults::default() });
        hub.set_bus_away(false);
        hub.set_leases_unanswered(0);
        for step in [Step::Join, Step::LeasesBack, Step::JournalBack, Step::Thaw, Step::AppendDelay(0)] {
            self.step(&step);
        }
        (0..NODES).for_each(|node| self.step(&Step::Wake(node)));
        self.until("all nodes are up", Duration::from_secs(30), |world| world.all_up() && !world.is_draining())?;
        self.people.want_everything();
        for client in 0..self.people.len() {
            // Half of those who have a socket keep it: what is amiss with it must mend by itself.
            match self.at.get(&client).copied() {
                Some(_) if self.random.one_in(2) => self.people.rejoin(client),
                at => self.connect(client, at.unwrap_or(client % NODES)),
            }
        }
        self.settle()?;
        self.let_time_come()?;
        self.settle()?;
        // The grace of presence ends, and what is late has come.
        self.sleep(Duration::from_secs(4));
        self.people.unsettled(&self.ground.memory).map_or(Ok(()), |what| Err(format!("it did not last: {what}")))
    }

    /// Waits until everybody agrees.
    fn settle(&mut self) -> Result<(), Violation> {
        let settled = |world: &Self| world.people.unsettled(&world.ground.memory).is_none() && !world.calls.is_waiting();
        if self.until("everybody agrees", HEALING, settled).is_err() {
            let what = self.people.unsettled(&self.ground.memory).unwrap_or_else(|| "a call is not answered".into());
            return Err(format!("{}s after everything was healed: {what}", HEALING.as_secs()));
        }
        Ok(())
    }

    /// All clocks go past the time of departure: what waits for a decision ends, and stays ended.
    fn let_time_come(&mut self) -> Result<(), Violation> {
        for node in 0..NODES {
            self.step(&Step::SetClock { node, ms: PAST_DEPARTURE_MS });
        }
        self.until("what is due has happened", DUE, |world| !world.is_overdue())
    }

    fn is_overdue(&self) -> bool {
        let deadlines = (0..ROOMS).filter_map(|index| self.ground.memory.deadline(room(index)));
        deadlines.min().is_some_and(|due| {
            self.places.iter().filter_map(|place| place.process.as_ref()).any(|process| {
                let _on = process.machine.enter();
                due <= process.clock.now()
            })
        })
    }

    fn is_draining(&self) -> bool {
        self.places.iter().any(|place| place.process.as_ref().is_some_and(Process::is_draining))
    }

    /// Compares what everybody has with the journal, and the journal with itself.
    pub(super) fn judge(&mut self) {
        for index in 0..ROOMS {
            let judged = match kind(index) {
                Kind::Trip => self.judge_room::<Trip>(index),
                Kind::Pool => self.judge_room::<Pool>(index),
            };
            if let Err(violation) = judged {
                self.ward.violations.add(format!("room {index}: {violation}"));
            }
        }
    }

    fn judge_room<K: Simulated>(&mut self, index: usize) -> Result<(), Violation> {
        let story = Arc::new(Story::<K>::read(&self.ground.memory, index)?);
        story.people(&self.people)?;
        story.calls(&self.calls)?;
        story.lists(&self.ground.memory)?;
        for node in 0..NODES {
            let Some((process, engine)) = self.process(node).and_then(|up| up.engine().map(|engine| (up, engine.clone()))) else {
                continue;
            };
            let verdict = Arc::new(Mutex::new(None));
            let (story, told) = (Arc::clone(&story), Arc::clone(&verdict));
            process.machine.handle().spawn(async move {
                let live = story.live(&engine).await;
                *told.lock() = Some(live);
            });
            self.until("the live state is read", Duration::from_secs(20), |_| verdict.lock().is_some())?;
            let verdict = verdict.lock().take();
            verdict.unwrap_or(Ok(())).map_err(|what| format!("read through node {node}: {what}"))?;
        }
        Ok(())
    }

    /// Ends everything; nothing may be left behind.
    pub(super) fn finish(&mut self) -> Result<(), Violation> {
        (0..self.people.len()).for_each(|client| self.disconnect(client, true));
        for node in 0..NODES {
            if let Some(process) = &mut self.places[node].process {
                process.drain(Duration::from_secs(30));
                // Not followed by another one.
                self.places[node].down_until = Duration::MAX;
            }
            let drained = |world: &Self| world.process(node).is_none_or(|process| process.drained().is_some());
            self.until("the node has gone away", Duration::from_secs(40), drained)?;
            let clean = self
                .process(node)
                .is_none_or(|process| process.drained() == Some(true) && process.engine().is_none_or(|engine| engine.rooms() == 0));
            if !clean {
                return Err(format!("an actor is left behind on node {node}"));
            }
        }
        Ok(())
    }
}
