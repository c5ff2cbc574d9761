//! Hashing passwords with Argon2id, within bounds.
//!
//! A hash takes 19 MiB and about 25 ms. On the runtime's blocking pool 600 parallel logins took 11.7 GiB and other requests
//! waited 11 s; so hashing has its own few threads, each with one set of memory blocks that it keeps, and a waiting room of
//! bounded size. Whoever finds it full is told to come back.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use rand::Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Memory that a stored hash may ask for, in KiB: a broken row must not take the machine down.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Why there is no answer about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// The waiting room is full.
    #[error("too many password checks are waiting")]
    Overloaded,
    /// The stored hash cannot be used, or a thread is gone.
    #[error("the password could not be hashed")]
    Broken,
}

pub(super) struct Passwords {
    queue: SyncSender<Job>,
    done: Arc<AtomicU64>,
    /// Has the form and the cost of a real one, and matches nothing.
    dummy: String,
}

struct Job {
    password: String,
    task: Task,
}

enum Task {
    Hash(oneshot::Sender<Result<String, PasswordError>>),
    Verify(String, oneshot::Sender<Result<bool, PasswordError>>),
}

impl Task {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Hash(reply) => reply.is_closed(),
            Self::Verify(_, reply) => reply.is_closed(),
        }
    }
}

impl Passwords {
    /// Starts `threads` threads with a common waiting room of `waiting_max`. They end when this is dropped.
    pub(super) fn start(threads: usize, waiting_max: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting_max);
        let jobs = Arc::new(Mutex::new(jobs));
        let done = Arc::new(AtomicU64::new(0));
        for index in 0..threads {
            let jobs = jobs.clone();
            let done = done.clone();
            std::thread::Builder::new().name(format!("password-{index}")).spawn(move || work(&jobs, &done))?;
        }
        let mut output = [0_u8; 32];
        rand::rng().fill_bytes(&mut output);
        Ok(Self { queue, done, dummy: phc(&random_salt(), &output).unwrap_or_default() })
    }

    /// A PHC string for a new password.
    pub(super) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let (reply, answer) = oneshot::channel();
        self.submit(password, Task::Hash(reply))?;
        answer.await.unwrap_or(Err(PasswordError::Broken))
    }

    /// Whether the password belongs to the stored hash. Without one (no such account) it costs the same and is wrong.
    pub(super) async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        let (reply, answer) = oneshot::channel();
        let stored = stored.unwrap_or_else(|| self.dummy.clone());
        self.submit(password, Task::Verify(stored, reply))?;
        answer.await.unwrap_or(Err(PasswordError::Broken))
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn submit(&self, password: String, task: Task) -> Result<(), PasswordError> {
        self.queue.try_send(Job { password, task }).map_err(|error| match error {
            TrySendError::Full(_) => {
                metrics::counter!("tripsync_password_checks_refused_total").increment(1);
                PasswordError::Overloaded
            }
            TrySendError::Disconnected(_) => PasswordError::Broken,
        })
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, done: &AtomicU64) {
    let mut blocks: Vec<Block> = Vec::new();
    loop {
        // The lock is held while waiting: the others wait for the lock instead of the queue, which is the same.
        let job = jobs.lock().recv();
        let Ok(Job { password, task }) = job else {
            return;
        };
        if task.is_abandoned() {
            continue;
        }
        done.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("tripsync_password_hashes_total").increment(1);
        // A receiver that is gone is nobody's loss.
        match task {
            Task::Hash(reply) => drop(reply.send(hash(&password, &mut blocks))),
            Task::Verify(stored, reply) => drop(reply.send(verify(&password, &stored, &mut blocks))),
        }
    }
}

fn random_salt() -> [u8; 16] {
    let mut salt = [0_u8; 16];
    rand::rng().fill_bytes(&mut salt);
    salt
}

fn hash(password: &str, blocks: &mut Vec<Block>) -> Result<String, PasswordError> {
    let salt = random_salt();
    let mut output = [0_u8; 32];
    compute(Params::DEFAULT, password, &salt, &mut output, blocks)?;
    phc(&salt, &output)
}

fn verify(password: &str, stored: &str, blocks: &mut Vec<Block>) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|_| PasswordError::Broken)?;
    let params = Params::try_from(&stored).map_err(|_| PasswordError::Broken)?;
    let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else {
        return Err(PasswordError::Broken);
    };
    if stored.algorithm != ARGON2ID_IDENT || params.m_cost() > MEMORY_KIB_MAX {
        return Err(PasswordError::Broken);
    }
    let mut output = vec![0_u8; expected.len()];
    compute(params, password, salt.as_ref(), &mut output, blocks)?;
    // `Output` compares in constant time.
    Ok(Output::new(&output).is_ok_and(|output| output == expected))
}

fn compute(params: Params, password: &str, salt: &[u8], output: &mut [u8], blocks: &mut Vec<Block>) -> Result<(), PasswordError> {
    let needed = params.block_count();
    if blocks.len() < needed {
        blocks.resize(needed, Block::default());
    }
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, output, &mut blocks[..needed])
        .map_err(|_| PasswordError::Broken)
}

/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`
fn phc(salt: &[u8], output: &[u8]) -> Result<String, PasswordError> {
    let broken = |_| PasswordError::Broken;
    Ok(PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&Params::DEFAULT).map_err(|_| PasswordError::Broken)?,
        salt: Some(Salt::new(salt).map_err(broken)?),
        hash: Some(Output::new(output).map_err(broken)?),
    }
    .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier;

    #[tokio::test]
    async fn a_hash_is_standard_and_verifies() {
        let passwords = Passwords::start(1, 4).unwrap();
        let stored = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        Argon2::default().verify_password(b"correct horse", &PasswordHash::new(&stored).unwrap()).unwrap();
        assert!(passwords.verify("correct horse".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("wrong".to_owned(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(String::new(), Some(stored)).await.unwrap());
        assert_eq!(passwords.done(), 4);
    }

    #[tokio::test]
    async fn an_unknown_account_costs_one_hash_too() {
        let passwords = Passwords::start(1, 4).unwrap();
        assert!(!passwords.verify("x".to_owned(), None).await.unwrap());
        assert!(!passwords.verify(String::new(), None).await.unwrap());
        assert_eq!(passwords.done(), 2);
    }

    #[tokio::test]
    async fn a_full_waiting_room_refuses_and_abandoned_checks_are_skipped() {
        let passwords = Passwords::start(1, 2).unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            let (reply, answer) = oneshot::channel();
            match passwords.submit("x".to_owned(), Task::Hash(reply)) {
                Ok(()) => waiting.push(answer),
                Err(error) => break error,
            }
            assert!(waiting.len() < 1000, "the waiting room has no bound");
        };
        assert_eq!(refused, PasswordError::Overloaded);
        let last = waiting.pop().unwrap();
        let abandoned = waiting.pop();
        drop(abandoned);
        last.await.unwrap().unwrap();
        assert!(passwords.done() <= u64::try_from(waiting.len()).unwrap() + 2);
    }

    #[tokio::test]
    async fn a_broken_row_is_no_match_and_no_harm() {
        let passwords = Passwords::start(1, 4).unwrap();
        for stored in ["", "x", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"] {
            let answer = passwords.verify("x".to_owned(), Some(stored.to_owned())).await;
            assert_eq!(answer, Err(PasswordError::Broken), "{stored}");
        }
    }
}
