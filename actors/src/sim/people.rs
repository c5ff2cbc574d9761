//! The clients of a simulation, with their sockets.

use super::acts::{Act, Since};
use super::client::{Connection, Model};
use super::names::{ROOMS, client, room, rooms, user};
use super::ward::Ward;
use crate::session::Shared;
use crate::testing::MemoryJournal;
use crate::testing::checker::Violation;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tripsync_domain::UserId;
use tripsync_domain::protocol::ClientFrame;
use uuid::Uuid;

/// Everybody.
pub(super) struct People {
    pub(super) models: Vec<Arc<Mutex<Model>>>,
    connections: Vec<Option<Connection>>,
    ward: Ward,
    budget_bytes: usize,
}

impl People {
    /// One client for each of these users.
    pub(super) fn new(users: &[usize], ward: &Ward, budget_bytes: usize) -> Self {
        let rooms = rooms();
        let model = |(index, of): (u64, &usize)| Model::new(user(*of), client(index), &rooms, ward.known.clone(), ward.violations.clone());
        Self {
            models: (0_u64..).zip(users).map(|each| Arc::new(Mutex::new(model(each)))).collect(),
            connections: users.iter().map(|_| None).collect(),
            ward: ward.clone(),
            budget_bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.models.len()
    }

    /// Opens a socket to the node whose runtime's context this is called in, and asks for the rooms that the client means to be in.
    pub(super) fn open(&mut self, client: usize, node: Arc<Shared>, id: Uuid) {
        let model = &self.models[client];
        let connection = Connection::open(model, node, self.ward.clone(), self.budget_bytes, id);
        for room in 0..ROOMS {
            let mut model = model.lock();
            if model.rooms[room].wanted {
                connection.send([model.join(room, Since::Position)]);
            }
        }
        self.connections[client] = Some(connection);
    }

    /// Ends a client's socket, if it has one; see [`Connection::cut`].
    pub(super) fn cut(&mut self, client: usize, goodbye: bool) -> Option<JoinHandle<()>> {
        let connection = self.connections[client].take()?;
        let task = connection.cut(goodbye);
        // What was sent on it is not answered any more.
        self.models[client].lock().connected();
        Some(task)
    }

    pub(super) fn act(&self, act: &Act) {
        match act {
            // Told only to a client with a socket: one without does not ask.
            Act::Join { client, room, since } => self.tell(*client, |model| vec![model.join(*room, *since)]),
            Act::Leave { client, room } => self.tell(*client, |model| model.leave(*room).into_iter().collect()),
            Act::Op { client, room, seed, times } => {
                let frames = {
                    let mut model = self.models[*client].lock();
                    let command = self.ward.command(*room, *seed, model.user, &model.rooms[*room].items);
                    model.op(*room, command, !seed.is_multiple_of(4), *times)
                };
                self.tell(*client, |_| frames);
            }
            Act::Resend { client, room } => self.tell(*client, |model| model.resend(*room)),
            Act::Repeat { client, room, back } => self.tell(*client, |model| model.repeat(*room, *back, false)),
            Act::Reuse { client, room, back } => self.tell(*client, |model| model.repeat(*room, *back, true)),
            Act::Presence { client, room } => self.tell(*client, |model| model.presence(*room)),
            Act::Stall(client) => self.stall(*client, true),
            Act::Unstall(client) => self.stall(*client, false),
        }
    }

    /// Lets a client send frames, if it has a socket.
    fn tell(&self, client: usize, frames: impl FnOnce(&mut Model) -> Vec<ClientFrame>) {
        if let Some(connection) = &self.connections[client] {
            let frames = frames(&mut self.models[client].lock());
            connection.send(frames);
        }
    }

    pub(super) fn stall(&self, client: usize, stalled: bool) {
        if let Some(connection) = &self.connections[client] {
            connection.stall(stalled);
        }
    }

    /// Lets a client with a socket read, and ask for the rooms that it is not in.
    pub(super) fn rejoin(&self, client: usize) {
        self.stall(client, false);
        for room in 0..ROOMS {
            let missing = |model: &mut Model| if model.rooms[room].is_out() { vec![model.join(room, Since::Position)] } else { Vec::new() };
            self.tell(client, missing);
        }
    }

    /// From now on everybody means to be in every room.
    pub(super) fn want_everything(&self) {
        for model in &self.models {
            model.lock().rooms.iter_mut().for_each(|room| room.wanted = true);
        }
    }

    /// Who is not where everybody should be.
    pub(super) fn unsettled(&self, journal: &MemoryJournal) -> Option<Violation> {
        for model in &self.models {
            let model = model.lock();
            for (index, of_room) in model.rooms.iter().enumerate() {
                if !of_room.wanted {
                    continue;
                }
                let (name, last) = (model.name(), journal.last(room(index)).0);
                if !of_room.observer.is_in() {
                    return Some(format!("{name} is not in room {index}"));
                }
                if of_room.observer.seq() != last {
                    return Some(format!("{name} is at {} of {last} in room {index}", of_room.observer.seq()));
                }
                if let Some(least) = of_room.awaits().filter(|_| self.ward.known.is_exact()) {
                    return Some(format!("{name} was not shown {least} in room {index} when it asked"));
                }
                if let Some(n) = of_room.pending.keys().next() {
                    return Some(format!("{name} waits for an answer to {n} in room {index}"));
                }
            }
        }
        None
    }

    /// Users with a socket in a room.
    pub(super) fn present(&self, room: usize) -> BTreeSet<UserId> {
        let models = self.models.iter().map(|model| model.lock());
        models.filter(|model| model.rooms[room].observer.is_in()).map(|model| model.user).collect()
    }
}
