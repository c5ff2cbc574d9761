//! Who works in which rooms, and what all of them have in common: when to end, what was seen first and when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::client::Client;
use super::fleet::{Fleet, NODES};
use super::plan::Plan;
use super::rest::Caller;
use crate::harness::{self, Server, comes_true, http_client};

/// Clients at each node, and rooms of a client at most.
const CLIENTS_PER_NODE: usize = 10;
/// Requests at once while people and rooms are made.
const AT_ONCE: usize = 6;
/// How long answers and events may take once nothing is broken any more.
const SETTLE_LIMIT: Duration = Duration::from_secs(45);
/// A journal that has not grown for this long is at rest.
const AT_REST: Duration = Duration::from_secs(1);

/// Somebody with a login.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) token: String,
}

impl Account {
    pub(super) async fn register(node: SocketAddr, name: &str) -> Self {
        let email = format!("{}@example.org", Uuid::now_v7().simple());
        let body = json!({"email": email, "password": "correct horse battery", "display_name": name});
        let answer = http_client().post(format!("http://{node}/api/v1/auth/register")).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        Self { id: text(&body["user"]["id"]).parse().unwrap(), token: text(&body["access_token"]) }
    }

    /// A request in this account's name: the status, and the body or null.
    pub(super) async fn call(&self, node: SocketAddr, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = http_client().request(method, format!("http://{node}/api/v1{path}")).bearer_auth(&self.token);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A `POST` that must succeed.
    pub(super) async fn make(&self, node: SocketAddr, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(node, Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status}: {answer}");
        answer
    }

    /// A new trip, which this node owns, with participants.
    pub(super) async fn trip(&self, node: SocketAddr, members: &[&Self]) -> Uuid {
        let trip = self.make(node, "/trips", &json!({"title": "Lisbon"})).await;
        let id: Uuid = trip["id"].as_str().unwrap().parse().unwrap();
        for member in members {
            self.make(node, &format!("/trips/{id}/members"), &json!({"user": member.id, "role": "participant"})).await;
        }
        id
    }

    /// A client that keeps to the protocol, at a node.
    pub(super) async fn client(&self, node: &Server, codec: Codec) -> harness::Client {
        harness::Client::connect(&node.live_url(), &self.token, codec).await
    }
}

/// How long a command waited for its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// When it was made.
    pub(super) from: Instant,
    pub(super) to: Instant,
    /// Whether its author's connection was the same all the time.
    pub(super) stayed: bool,
}

/// What clients share.
pub(super) struct Control {
    pub(super) nodes: Vec<SocketAddr>,
    /// No further commands.
    ending: AtomicBool,
    /// How far each room goes, once that is known.
    goals: Mutex<Option<BTreeMap<Uuid, u64>>>,
    deadline: Mutex<Option<Instant>>,
    homecomings: AtomicU64,
    /// How many clients have followed the last call home.
    came_home: AtomicUsize,
    /// When each seq was seen first, by anybody.
    sightings: Mutex<BTreeMap<Uuid, BTreeMap<u64, Instant>>>,
    waits: Mutex<BTreeMap<Uuid, Vec<Wait>>>,
    broken: Mutex<Vec<String>>,
    noted: Mutex<BTreeMap<String, u64>>,
    chance: AtomicU64,
}

impl Control {
    pub(super) fn new(nodes: Vec<SocketAddr>) -> Self {
        Self {
            nodes,
            ending: AtomicBool::new(false),
            goals: Mutex::default(),
            deadline: Mutex::default(),
            homecomings: AtomicU64::new(0),
            came_home: AtomicUsize::new(0),
            sightings: Mutex::default(),
            waits: Mutex::default(),
            broken: Mutex::default(),
            noted: Mutex::default(),
            chance: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Whether a client has nothing left to do, or no time: `rests` says whether it is where rooms end, and all is answered.
    pub(super) fn is_over(&self, rests: impl FnOnce(&BTreeMap<Uuid, u64>) -> bool) -> bool {
        self.is_ending()
            && (self.deadline.lock().is_some_and(|deadline| Instant::now() > deadline) || self.goals.lock().as_ref().is_some_and(rests))
    }

    /// A number below `below`.
    pub(super) fn chance(&self, below: u64) -> u64 {
        let mixed = self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 31)) % below
    }

    pub(super) fn homecomings(&self) -> u64 {
        self.homecomings.load(Ordering::Relaxed)
    }

    /// A client has followed the last call home.
    pub(super) fn came_home(&self) {
        self.came_home.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn saw(&self, room: Uuid, before: u64, now: u64) {
        let at = Instant::now();
        let mut sightings = self.sightings.lock();
        let seen = sightings.entry(room).or_default();
        for seq in before + 1..=now {
            seen.entry(seq).or_insert(at);
        }
    }

    pub(super) fn acked(&self, room: Uuid, wait: Wait) {
        self.waits.lock().entry(room).or_default().push(wait);
    }

    /// A promise does not hold.
    pub(super) fn broken(&self, what: &str) {
        self.broken.lock().push(what.to_owned());
    }

    /// Something that may happen did.
    pub(super) fn noted(&self, what: &str) {
        *self.noted.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn last_seen(&self, room: Uuid) -> u64 {
        self.sightings.lock().get(&room).and_then(|seen| seen.last_key_value().map(|(seq, _)| *seq)).unwrap_or(0)
    }
}

/// Rooms, and people at work in them.
pub(super) struct Load {
    pub(super) rooms: Vec<Uuid>,
    pub(super) control: Arc<Control>,
    working: Vec<JoinHandle<Client>>,
    calling: Vec<JoinHandle<Caller>>,
    began: Instant,
}

/// What came of it.
pub(super) struct Outcome {
    /// How far each room goes.
    pub(super) goals: BTreeMap<Uuid, u64>,
    pub(super) clients: Vec<Client>,
    pub(super) callers: Vec<Caller>,
    pub(super) sightings: BTreeMap<Uuid, BTreeMap<u64, Instant>>,
    pub(super) waits: BTreeMap<Uuid, Vec<Wait>>,
    pub(super) broken: Vec<String>,
    pub(super) noted: BTreeMap<String, u64>,
    pub(super) took: Duration,
}

impl Load {
    /// Makes rooms with three members each, one at each node, and lets them work.
    pub(super) async fn start(fleet: &Fleet, plan: &Plan, people: &[Account]) -> Self {
        let nodes = fleet.addresses();
        let control = Arc::new(Control::new(nodes.clone()));
        let members = |room: usize| (0..NODES).map(move |node| (room + node * (room / CLIENTS_PER_NODE)) % CLIENTS_PER_NODE * NODES + node);
        let make = |index: usize| {
            let (nodes, who) = (&nodes, members(index).map(|client| &people[client]).collect::<Vec<_>>());
            async move {
                let node = nodes[index % NODES];
                let trip = who[0].make(node, "/trips", &json!({"title": format!("Trip {index}")})).await;
                let id: Uuid = trip["id"].as_str().unwrap().parse().unwrap();
                for member in &who[1..] {
                    let body = json!({"user": member.id, "role": "participant"});
                    who[0].make(node, &format!("/trips/{id}/members"), &body).await;
                }
                id
            }
        };
        let rooms: Vec<Uuid> = stream::iter((0..plan.rooms).map(make)).buffered(AT_ONCE).collect().await;
        let mut clients: Vec<_> =
            people.iter().enumerate().map(|(index, account)| Client::new(account.clone(), index % NODES, Arc::clone(&control))).collect();
        let period = plan.period();
        for (index, room) in rooms.iter().enumerate() {
            for (turn, client) in (0_u32..).zip(members(index)) {
                // The three take turns, and rooms do not all speak at once.
                let phase = period * turn / 3 + period * u32::try_from(index % 7).unwrap() / 21;
                clients[client].enters(*room, phase, period);
            }
        }
        let working = clients.into_iter().filter(|client| !client.rooms.is_empty()).map(|client| tokio::spawn(client.run())).collect();
        let caller = |index: usize| {
            let owned = rooms.iter().enumerate().filter(|(room, _)| members(*room).next() == Some(index * NODES)).map(|(_, room)| *room);
            Caller::new(people[index * NODES].clone(), owned.collect(), Arc::clone(&control))
        };
        let calling = (0..2).map(caller).filter(Caller::has_rooms).map(|caller| tokio::spawn(caller.run())).collect();
        let load = Self { rooms, control, working, calling, began: Instant::now() };
        load.goes_on("the beginning").await;
        load
    }

    /// Waits until somebody has seen something new in every room; `false` when that does not happen.
    pub(super) async fn goes_on(&self, when: &str) -> bool {
        let before: Vec<_> = self.rooms.iter().map(|room| self.control.last_seen(*room)).collect();
        let stuck = || self.rooms.iter().zip(&before).filter(|(room, before)| self.control.last_seen(**room) <= **before);
        let goes_on = comes_true(SETTLE_LIMIT, || stuck().next().is_none()).await;
        if !goes_on {
            let stuck: Vec<_> = stuck().collect();
            self.control.broken(&format!("after {when} nothing comes any more in {} rooms: {:?}", stuck.len(), stuck.first()));
        }
        goes_on
    }

    /// Calls everybody to the node that they prefer, and waits until they are in their rooms there.
    pub(super) async fn go_home(&self, when: &str) {
        // Nobody is on the way any more: the last call was followed by all before this one.
        self.control.came_home.store(0, Ordering::Relaxed);
        self.control.homecomings.fetch_add(1, Ordering::Relaxed);
        let home = || self.control.came_home.load(Ordering::Relaxed);
        if !comes_true(SETTLE_LIMIT, || home() >= self.working.len()).await {
            let home = home();
            self.control.broken(&format!("after {when} nothing comes any more: {home} of {} clients are home", self.working.len()));
        }
    }

    /// Lets everybody finish.
    pub(super) async fn end(self, fleet: &Fleet) -> Outcome {
        let took = self.began.elapsed();
        self.control.ending.store(true, Ordering::Relaxed);
        let callers = join_all(self.calling).await.into_iter().map(Result::unwrap).collect();
        let deadline = Instant::now() + SETTLE_LIMIT;
        *self.control.deadline.lock() = Some(deadline);
        // How far rooms go is settled when the journal grows no more: nobody says anything new.
        let mut goals = fleet.last_seqs(&self.rooms).await;
        while Instant::now() < deadline {
            tokio::time::sleep(AT_REST).await;
            let before = std::mem::replace(&mut goals, fleet.last_seqs(&self.rooms).await);
            if before == goals {
                break;
            }
        }
        *self.control.goals.lock() = Some(goals.clone());
        let clients = join_all(self.working).await.into_iter().map(Result::unwrap).collect();
        Outcome {
            goals,
            clients,
            callers,
            sightings: std::mem::take(&mut self.control.sightings.lock()),
            waits: std::mem::take(&mut self.control.waits.lock()),
            broken: std::mem::take(&mut self.control.broken.lock()),
            noted: std::mem::take(&mut self.control.noted.lock()),
            took,
        }
    }
}

/// The people of a campaign: ten at each node.
pub(super) async fn people(fleet: &Fleet) -> Vec<Account> {
    let nodes = fleet.addresses();
    let register = |index: usize| {
        let node = nodes[index % NODES];
        async move { Account::register(node, &format!("Person {index}")).await }
    };
    stream::iter((0..CLIENTS_PER_NODE * NODES).map(register)).buffered(AT_ONCE).collect().await
}
