//! Accounts in memory.

use crate::ports::{Directory, JournalError};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tripsync_domain::{UserCard, UserId};

/// A [`Directory`] for tests; clones share the accounts.
#[derive(Clone, Debug, Default)]
pub struct MemoryDirectory(Arc<Mutex<Accounts>>);

#[derive(Debug, Default)]
struct Accounts {
    cards: BTreeMap<UserId, UserCard>,
    away: bool,
}

impl MemoryDirectory {
    /// Adds or renames an account.
    pub fn put(&self, user: UserId, name: &str) {
        self.put_card(UserCard { user, name: name.to_owned(), group: None });
    }

    /// Adds or changes an account, with all that rooms know of it.
    pub fn put_card(&self, card: UserCard) {
        self.0.lock().cards.insert(card.user, card);
    }

    /// Removes an account.
    pub fn remove(&self, user: UserId) {
        self.0.lock().cards.remove(&user);
    }

    /// Makes every look-up fail as unavailable, or work again.
    pub fn set_away(&self, away: bool) {
        self.0.lock().away = away;
    }
}

#[async_trait]
impl Directory for MemoryDirectory {
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, JournalError> {
        let accounts = self.0.lock();
        if accounts.away {
            return Err(JournalError::Unavailable("the directory is away".into()));
        }
        Ok(users.iter().filter_map(|user| accounts.cards.get(user).cloned()).collect())
    }
}
