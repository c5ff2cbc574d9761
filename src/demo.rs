//! A trip with life in it, for whoever wants to see the server at work before reading about it.
//!
//! Owns: the demo's content, its three accounts, and the two companions who keep editing. Promises: everything is made through the
//! public interfaces, as a user would (REST and live sockets; nothing reaches into the server); a second start goes on with what the first one
//! made; passwords are random; what the companions change is bounded. Deliberately knows nothing of the rest of the server: it is
//! given an address and a folder.

mod account;
mod api;
mod companion;
mod content;
mod desk;
mod guide;
mod link;
mod ride;
mod saved;
mod script;
mod setup;

use crate::clock::SystemClock;
use account::Account;
use api::Api;
use companion::Companion;
use content::Person;
use desk::Desk;
use guide::Guide;
use link::Link;
use saved::Saved;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripsync_actors::ports::Clock as _;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

/// The file with the values of the guide for a shell, in the demo's folder.
const ENVIRONMENT: &str = "demo.env";

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The server refused something.
    #[error("{what} was refused ({status} {code}): {detail}")]
    Refused {
        /// What was tried.
        what: String,
        /// The HTTP status; 0 on a socket.
        status: u16,
        /// The error code.
        code: String,
        /// What the server said.
        detail: String,
    },
    /// The connection failed.
    #[error("{what}: {reason}")]
    Unreachable {
        /// What was tried.
        what: String,
        /// Why it failed.
        reason: String,
    },
    /// An answer lacks what the API promises.
    #[error("the server's answer has no usable {what}")]
    Odd {
        /// What is missing.
        what: &'static str,
    },
    /// The account is there, but not with the password that was kept.
    #[error("{email} exists in this database with another password: delete the demo's folder, or give the demo another database")]
    Stranger {
        /// The account.
        email: &'static str,
    },
    /// The demo's own files.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A demo that runs.
#[derive(Debug)]
pub(crate) struct Demo {
    /// What to tell the newcomer.
    pub(crate) guide: String,
    /// The companions; they end by themselves once stopped.
    pub(crate) companions: TaskTracker,
}

/// Makes what is missing and lets the companions begin; they go on until `stop`.
///
/// `address` is where the server listens, `folder` where the demo keeps what it must remember.
///
/// # Errors
/// [`DemoError`], each with what was tried.
pub(crate) async fn start(address: SocketAddr, folder: &Path, stop: &CancellationToken) -> Result<Demo, DemoError> {
    let api = Api::new(reachable(address));
    let mut saved = Saved::open(folder)?;
    let mut accounts = BTreeMap::new();
    for person in Person::ALL {
        accounts.insert(person, Account::enter(api, person, saved.of(person)).await?);
    }
    let Some(robin) = accounts.get(&Person::Robin) else {
        return Err(DemoError::Odd { what: "account" });
    };
    let trip = setup::trip(api, robin, &mut saved, folder).await?;
    if !saved.filled {
        accounts = setup::fill(api, accounts, &saved, trip).await?;
        saved.filled = true;
        saved.write(folder)?;
    }
    let Some(ines) = accounts.get(&Person::Ines) else {
        return Err(DemoError::Odd { what: "account" });
    };
    let pool = ride::offer(api, ines, SystemClock.now()).await?;
    // A login of its own, as from another device.
    let rider = Account::enter(api, Person::Tomas, saved.of(Person::Tomas)).await?;
    let guide = Guide { base: format!("http://{}", api.address()), password: &saved.of(Person::Robin).password, trip, pool, folder };
    saved::write_private(&folder.join(ENVIRONMENT), guide.environment().as_bytes())?;
    let guide = guide.text();
    let companions = let_companions_begin(api, accounts, trip, stop);
    let stop = stop.clone();
    companions.spawn(async move { ride::want(api, rider, pool, &stop).await });
    Ok(Demo { guide, companions })
}

fn let_companions_begin(api: Api, accounts: BTreeMap<Person, Account>, trip: Uuid, stop: &CancellationToken) -> TaskTracker {
    let tasks = TaskTracker::new();
    let users = accounts.iter().map(|(person, account)| (*person, account.user)).collect();
    for (person, account) in accounts {
        // One of each, so that both codecs are seen at work.
        let codec = match person {
            Person::Robin => continue,
            Person::Ines => Codec::MessagePack,
            Person::Tomas => Codec::Json,
        };
        let mut companion = Companion::new(person, trip, &users);
        let mut link = Link::new(api, account, codec, Uuid::now_v7(), Desk::new(trip.to_string(), 0));
        let stop = stop.clone();
        tasks.spawn(async move {
            let ended = link.run(&mut companion, &stop).await;
            tracing::info!(person = person.name(), ?ended, "a companion has left");
        });
    }
    tasks.close();
    tasks
}

/// "Every address" is no address to connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
