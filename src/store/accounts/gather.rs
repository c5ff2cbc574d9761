//! Many questions for accounts, one query.
//!
//! Every socket that opens asks for its user's card. One query each, with its ways to and from a connection's thread, was most of what
//! a join cost; now whoever asks while a query is under way shares the next one. Nothing is remembered: a card is read after it was
//! asked for.

use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tripsync_actors::ports::{Directory, JournalError};
use tripsync_domain::{UserCard, UserId};

/// Users in one query, as far as one question does not name more.
const QUERY_USERS_MAX: usize = 512;
/// Questions that may wait; beyond it they are asked one by one, which the pool of connections bounds.
const WAITING_MAX: usize = 16_384;

/// How long a query may take: a connection that hangs must not keep everybody waiting for good.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory in front of another one, which asks it one thing at a time.
#[derive(Clone)]
pub struct Gathered(Arc<Inner>);

struct Inner {
    behind: Arc<dyn Directory>,
    waiting_max: usize,
    waiting: Mutex<Waiting>,
}

/// `asking`: set by who finds it unset and starts the task; cleared by the task's end, under the lock under which it found nothing to ask.
#[derive(Default)]
struct Waiting {
    questions: Vec<Question>,
    asking: bool,
}

struct Question {
    users: Vec<UserId>,
    reply: oneshot::Sender<Result<Vec<UserCard>, JournalError>>,
}

/// Why a question has no answer: shared by everybody whose question was in the query that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the accounts could not be read")]
struct Failed(#[source] Arc<JournalError>);

impl Gathered {
    /// In front of `behind`.
    #[must_use]
    pub fn new(behind: Arc<dyn Directory>) -> Self {
        Self::with_waiting_max(behind, WAITING_MAX)
    }

    fn with_waiting_max(behind: Arc<dyn Directory>, waiting_max: usize) -> Self {
        Self(Arc::new(Inner { behind, waiting_max, waiting: Mutex::default() }))
    }

    /// Puts a question to those that wait; `None` when they are too many.
    fn ask_with_others(&self, users: &[UserId]) -> Option<oneshot::Receiver<Result<Vec<UserCard>, JournalError>>> {
        let mut waiting = self.0.waiting.lock();
        if waiting.questions.len() >= self.0.waiting_max {
            return None;
        }
        let (reply, answer) = oneshot::channel();
        waiting.questions.push(Question { users: users.to_vec(), reply });
        if !std::mem::replace(&mut waiting.asking, true) {
            // A task of its own, because whoever asked may give up.
            tokio::spawn(ask(Asking(Arc::clone(&self.0))));
        }
        Some(answer)
    }
}

#[async_trait]
impl Directory for Gathered {
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, JournalError> {
        match self.ask_with_others(users) {
            Some(answer) => match answer.await {
                Ok(answer) => answer,
                // The task that asks has ended with a panic.
                Err(_) => self.0.behind.cards(users).await,
            },
            None => self.0.behind.cards(users).await,
        }
    }
}

/// The task that asks. However it ends, nobody waits for it in vain.
struct Asking(Arc<Inner>);

impl Drop for Asking {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.waiting.lock() = Waiting::default();
        }
    }
}

async fn ask(asking: Asking) {
    while let Some(questions) = asking.0.next() {
        let mut users: Vec<UserId> = questions.iter().flat_map(|question| question.users.iter().copied()).collect();
        users.sort_unstable();
        users.dedup();
        let cards = timeout(PATIENCE, asking.0.behind.cards(&users)).await;
        match cards.unwrap_or_else(|_| Err(JournalError::Unavailable("no answer in time".into()))) {
            Ok(cards) => {
                let cards: HashMap<UserId, UserCard> = cards.into_iter().map(|card| (card.user, card)).collect();
                for Question { mut users, reply } in questions {
                    users.sort_unstable();
                    users.dedup();
                    // Who gave up needs no answer.
                    let _ = reply.send(Ok(users.iter().filter_map(|user| cards.get(user).cloned()).collect()));
                }
            }
            Err(error) => {
                let failed = Failed(Arc::new(error));
                for Question { reply, .. } in questions {
                    let _ = reply.send(Err(JournalError::Unavailable(Box::new(failed.clone()))));
                }
            }
        }
    }
}

impl Inner {
    /// What the next query asks; `None` when there is nothing, and the task that asks is done.
    fn next(&self) -> Option<Vec<Question>> {
        let mut waiting = self.waiting.lock();
        let mut users = 0;
        let fits = waiting.questions.iter().take_while(|question| {
            users += question.users.len();
            users <= QUERY_USERS_MAX
        });
        let count = fits.count().max(1).min(waiting.questions.len());
        if count == 0 {
            waiting.asking = false;
            // What a storm needed is given back.
            waiting.questions = Vec::new();
            return None;
        }
        Some(waiting.questions.drain(..count).collect())
    }
}

#[cfg(test)]
mod tests;
