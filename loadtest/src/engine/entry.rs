//! How clients get in, and in again.

use super::member::Place;
use super::shard::Shard;
use super::socket::{Opening, nobody_listens};
use crate::rest::Rest;
use anyhow::anyhow;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Attempts to get in, one after the other, before a client gives up.
const ATTEMPTS_MAX: u32 = 20;
/// Who was in for so long has got in, even if the server then ended the socket.
const STAYED_US: u64 = 1_000_000;
/// Wait before another attempt when the server does not say, times the attempts so far.
const AGAIN: Duration = Duration::from_millis(100);

impl Shard {
    /// The socket drops, as it does in a tunnel, and the client comes back after a while.
    pub(super) fn drop_out(self: &Rc<Self>, slot: u32, due_us: u64, away_us: u64, storm: Option<(usize, u64)>) {
        let mut member = self.members[slot as usize].borrow_mut();
        if member.place != Place::In {
            return;
        }
        if let Some(task) = member.task.take() {
            task.abort();
        }
        member.place = Place::Away;
        member.left_itself = true;
        member.storm = storm;
        member.failures = 0;
        member.forget_socket();
        self.sockets.set(self.sockets.get().saturating_sub(1));
        member.since_us = due_us + away_us;
        let task = tokio::task::spawn_local(Rc::clone(self).live(slot, false, Duration::from_micros(away_us)));
        member.task = Some(task.abort_handle());
    }

    /// Gets a client in, reads for it, and gets it in again, until it is gone for good.
    pub(super) async fn live(self: Rc<Self>, slot: u32, at_start: bool, after: Duration) {
        if !after.is_zero() {
            sleep(after).await;
        }
        loop {
            match self.enter(slot, at_start).await {
                Ok(()) => {
                    self.read(slot).await;
                    self.ended(slot);
                }
                Err(error) => self.failed(slot, &error),
            }
            let wait = {
                let mut member = self.members[slot as usize].borrow_mut();
                if member.socket.is_some() {
                    self.sockets.set(self.sockets.get().saturating_sub(1));
                    self.tally.borrow_mut().at(self.clock.now_us()).counters.closes += 1;
                    member.since_us = self.clock.now_us();
                }
                member.forget_socket();
                if member.failures > ATTEMPTS_MAX {
                    member.place = Place::Gone;
                    if !member.joined && at_start {
                        self.common.settled.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if member.place == Place::Gone {
                    return;
                }
                member.place = Place::Out;
                let said = member.retry_after_ms.take().map(Duration::from_millis);
                said.unwrap_or(AGAIN * member.failures)
            };
            if !wait.is_zero() {
                sleep(wait).await;
            }
        }
    }

    /// The server ended the socket. That is a failure, too, unless the client had been in for a while: else it would come again at once, for ever.
    fn ended(&self, slot: u32) {
        let mut member = self.members[slot as usize].borrow_mut();
        let told = member.told.take().unwrap_or_else(|| "nothing".to_owned());
        if member.place != Place::In {
            drop(member);
            return self.failed(slot, &anyhow!("the server ended the socket before the client was in, and said {told}"));
        }
        let stayed = self.clock.now_us().saturating_sub(member.entered_us) >= STAYED_US;
        member.failures = if stayed { 0 } else { member.failures + 1 };
    }

    fn failed(&self, slot: u32, error: &anyhow::Error) {
        let mut member = self.members[slot as usize].borrow_mut();
        member.failures += 1;
        member.passed_over += usize::from(nobody_listens(error));
        if member.failures > ATTEMPTS_MAX {
            // Sockets, ports, limits and tokens run out without a promise being broken: it is absent.
            self.verified.borrow_mut().slow.says(format!("client {} could not get in: {error:#}", member.client.index));
        }
    }

    async fn enter(&self, slot: u32, at_start: bool) -> anyhow::Result<()> {
        let first = at_start && !self.members[slot as usize].borrow().joined;
        let gate = if first { &self.opening } else { &self.returning };
        let permit = gate.acquire().await?;
        let (client, codec, passed_over) = {
            let mut member = self.members[slot as usize].borrow_mut();
            member.place = Place::Out;
            if member.since_us == 0 {
                member.since_us = self.clock.now_us();
            }
            (member.client, member.codec, member.passed_over)
        };
        let persona = &self.job.scenario.personas[usize::from(client.persona)];
        let at = client.index as usize;
        let source: Option<Ipv4Addr> = if self.job.sources.is_empty() { None } else { Some(self.job.sources[at % self.job.sources.len()]) };
        let address = &self.job.addresses[(at + passed_over) % self.job.addresses.len()];
        let account = &self.job.accounts[client.account as usize];
        let fresh = if persona.logs_in { Some(self.log_in(&account.name).await?) } else { None };
        let token = fresh.as_deref().unwrap_or(&account.token);
        let opening = Opening { address, source, token, run: self.job.run, index: client.index, codec, reads: persona.reads };
        let socket = opening.open(&self.meter).await?;
        drop(permit);
        let mut member = self.members[slot as usize].borrow_mut();
        member.socket = Some(socket);
        self.sockets.set(self.sockets.get() + 1);
        member.place = Place::Asking;
        member.send_join();
        Ok(())
    }

    /// A token of somebody's own, for which the server hashes a password.
    async fn log_in(&self, name: &str) -> anyhow::Result<String> {
        let rest = match self.rest.get() {
            Some(rest) => rest,
            None => {
                let rest = Rest::new(&self.job.addresses)?;
                self.rest.get_or_init(|| rest)
            }
        };
        rest.log_in(name).await
    }
}
