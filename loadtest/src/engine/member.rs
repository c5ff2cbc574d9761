//! One client: its place in the room and the commands that it has not done with.

use super::job::Client;
use super::replica::Replica;
use super::socket::Socket;
use crate::scenario::Mix;
use crate::wire::Out;
use crate::wire::{Codec, Since, encode};
use futures_util::{FutureExt, Sink, SinkExt};
use serde_json::Value;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

/// Commands that wait for an answer at most; beyond it a client stops sending, and what it would have sent is unanswered.
pub(crate) const WAITING_MAX: usize = 20_000;

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Has not come yet.
    Before,
    /// Wants in: connecting, or waiting to try again.
    Out,
    /// The socket is open and `join` is sent.
    Asking,
    In,
    /// Away of its own will.
    Away,
    /// Was removed, or cannot get in.
    Gone,
}

/// A command that is not done with.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) n: u64,
    pub(crate) due_us: u64,
    pub(crate) sent_us: u64,
    pub(crate) message: Message,
    /// On this socket.
    pub(crate) sendings: u32,
    pub(crate) answers: u32,
    pub(crate) outcome: Outcome,
    /// Answers that said that this very sending applied it.
    pub(crate) applied: u32,
    /// The claim that it makes.
    pub(crate) claim: Option<Uuid>,
    pub(crate) mix: Mix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    None,
    Acked { seq: u64 },
    Refused,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) room: Uuid,
    pub(crate) codec: Codec,
    pub(crate) place: Place,
    pub(crate) socket: Option<Socket>,
    pub(crate) task: Option<AbortHandle>,
    /// Of the task that reads, so that it can be told to write what would block.
    pub(crate) waker: Option<Waker>,
    pub(crate) blocked: bool,
    /// What it says of itself, held back while the socket would block.
    pub(crate) presence: Option<Message>,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    /// Whether it was in the room before.
    pub(crate) joined: bool,
    pub(crate) last_n: u64,
    pub(crate) waiting: VecDeque<Waiting>,
    /// Acknowledged, but nobody has seen the event yet: number and seq.
    pub(crate) unseen: Vec<(u64, u64)>,
    /// The seq of the last snapshot that it was sent.
    pub(crate) shown: Option<u64>,
    /// When it came further last.
    pub(crate) moved_us: u64,
    /// When it first tried to get in this time.
    pub(crate) since_us: u64,
    /// When it came in last.
    pub(crate) entered_us: u64,
    pub(crate) retry_after_ms: Option<u64>,
    /// What the server said last before it ended the socket.
    pub(crate) told: Option<String>,
    /// The phase and beginning of the storm that it is away in.
    pub(crate) storm: Option<(usize, u64)>,
    /// Whether it is out of its own will, so that what it does not get meanwhile is not the server's doing.
    pub(crate) left_itself: bool,
    /// Whether its last socket was closed with the code for those who read too slowly.
    pub(crate) told_slow: bool,
    /// Attempts that failed one after the other: sockets that could not be opened, or ended before the client was in for a while.
    pub(crate) failures: u32,
    /// Nodes that were not there any more.
    pub(crate) passed_over: usize,
    pub(crate) replica: Option<Box<Replica>>,
    pub(crate) claim: Option<Uuid>,
    pub(crate) random: u64,
}

impl Member {
    pub(crate) fn new(client: Client, room: Uuid, codec: Codec, run: u64) -> Self {
        let replica = client.replica.then(Box::<Replica>::default);
        Self {
            client,
            room,
            codec,
            place: Place::Before,
            socket: None,
            task: None,
            waker: None,
            blocked: false,
            presence: None,
            epoch: 0,
            seq: 0,
            joined: false,
            last_n: 0,
            waiting: VecDeque::new(),
            unseen: Vec::new(),
            shown: None,
            moved_us: 0,
            since_us: 0,
            entered_us: 0,
            retry_after_ms: None,
            told: None,
            storm: None,
            left_itself: false,
            told_slow: false,
            failures: 0,
            passed_over: 0,
            replica,
            claim: None,
            random: run ^ (u64::from(client.index) << 20),
        }
    }

    /// The number of a command that is due then: the time itself, unless the one before has it.
    pub(crate) fn number(&mut self, due_us: u64) -> u64 {
        self.last_n = due_us.max(self.last_n + 1);
        self.last_n
    }

    /// Whether every command has its answer.
    pub(crate) fn is_answered(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.outcome != Outcome::None)
    }

    /// Writes a message; what the socket does not take now is written by the task that reads.
    pub(crate) fn send(&mut self, message: Message) {
        let Some(socket) = &mut self.socket else { return };
        // Not after `poll_ready`: a blocked socket takes the message as well, and keeps it until the task that reads has written it. An error is
        // met by that task too, which deals with it.
        Pin::new(&mut *socket).start_send(message).ok();
        if socket.flush().now_or_never().is_none() {
            self.blocked = true;
            if let Some(waker) = &self.waker {
                waker.wake_by_ref();
            }
        }
    }

    pub(crate) fn send_join(&mut self) {
        // A replica begins with the first event, which has the first epoch.
        let zero = self.client.replica.then_some(Since { epoch: 1, seq: 0 });
        let since = if self.joined { Some(Since { epoch: self.epoch, seq: self.seq }) } else { zero };
        let message = encode(self.codec, &Out::Join { room: self.room, since });
        self.send(message);
    }

    pub(crate) fn send_presence(&mut self, state: &Value) {
        let message = encode(self.codec, &Out::Presence { room: self.room, state });
        // Only the newest waits, so that a blocked socket does not collect them.
        if self.blocked { self.presence = Some(message) } else { self.send(message) }
    }

    /// Writes what the socket did not take; says whether all of it is written.
    pub(crate) fn poll_written(&mut self, cx: &mut Context<'_>) -> bool {
        while self.blocked {
            let Some(socket) = &mut self.socket else { return false };
            if Pin::new(socket).poll_flush(cx).is_pending() {
                return false;
            }
            self.blocked = false;
            if let Some(presence) = self.presence.take() {
                self.send(presence);
            }
        }
        true
    }

    /// Sends what has no outcome, in order: again after every `joined`.
    pub(crate) fn send_waiting(&mut self, now_us: u64) {
        self.waiting.retain(|waiting| waiting.outcome == Outcome::None);
        let mut messages = Vec::with_capacity(self.waiting.len());
        for waiting in &mut self.waiting {
            waiting.sendings += 1;
            if waiting.sent_us == 0 {
                waiting.sent_us = now_us;
            }
            messages.push(waiting.message.clone());
        }
        for message in messages {
            self.send(message);
        }
    }

    /// The socket is gone: answers to what was sent on it will not come.
    pub(crate) fn forget_socket(&mut self) {
        self.socket = None;
        self.waker = None;
        self.blocked = false;
        self.presence = None;
        self.waiting.retain(|waiting| waiting.outcome == Outcome::None);
        for waiting in &mut self.waiting {
            (waiting.sendings, waiting.answers) = (0, 0);
        }
    }
}
