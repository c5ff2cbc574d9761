//! What is made before the first socket: accounts, rooms, memberships, and who is who.

use super::Options;
use crate::client;
use crate::engine::job::Account;
use crate::engine::{Client, Job, Room};
use crate::rest::Rest;
use crate::scenario::{Persona, Role, RoomKind, Rooms, Scenario};
use crate::server;
use crate::target::Target;
use crate::wire::Codec;
use anyhow::Context as _;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use tripsync_loadtest::results::ServerKind;
use uuid::Uuid;

/// Requests at once.
const AT_ONCE: usize = 32;
/// Users who own rooms.
const OWNERS_MAX: u32 = 16;
/// Users of one persona, over all rooms, unless a room needs more.
const USERS_MAX: u32 = 40;
/// Longest notes of an activity that a state is filled with.
const NOTES_BYTES: u32 = 1_000;
/// Replicas of one room.
const REPLICAS_PER_ROOM_MAX: u32 = 5;

pub(super) struct Setup {
    pub(super) job: Job,
    pub(super) doomed: Vec<Doomed>,
    /// Resident memory of the server with the accounts, whose passwords took some to hash, and without rooms.
    pub(super) resident: Option<u64>,
}

/// Somebody who will be removed when a phase begins.
pub(super) struct Doomed {
    pub(super) phase: usize,
    pub(super) room: Uuid,
    pub(super) user: Uuid,
    pub(super) token: String,
}

/// The users of a persona, as indices into the accounts.
struct Pool {
    first: u32,
    size: u32,
    per_room: u32,
}

impl Pool {
    fn of(&self, room: u32, place: u32) -> u32 {
        let begin = u64::from(room) * u64::from(self.per_room);
        let at = (begin + u64::from(place % self.per_room.max(1))) % u64::from(self.size.max(1));
        self.first + u32::try_from(at).unwrap_or_default()
    }
}

pub(super) async fn make(scenario: &Scenario, target: &Target, options: &Options, run: u64) -> anyhow::Result<Setup> {
    super::check_descriptors(scenario.clients(), options.workers)?;
    let rest = &target.rest;
    let all_rooms: u32 = scenario.rooms.iter().map(|rooms| rooms.count).sum();
    let owners = Pool { first: 0, size: all_rooms.clamp(1, OWNERS_MAX), per_room: 1 };
    let mut count = owners.size;
    let mut pools = Vec::new();
    for persona in &scenario.personas {
        let rooms = scenario.rooms[scenario.rooms_of(persona)?].count;
        let per_room = persona.users_per_room.unwrap_or(persona.per_room.min(8)).clamp(1, persona.per_room.max(1));
        let size = if persona.role == Role::Owner { 0 } else { (per_room * rooms).min(USERS_MAX.max(per_room)) };
        pools.push(Pool { first: count, size, per_room });
        count += size;
    }
    let register = |index: u32| async move {
        let name = format!("load-{run}-{index}");
        let (user, token) = rest.register(&name).await?;
        anyhow::Ok(Account { name, user, token })
    };
    let accounts: Vec<Account> = stream::iter(0..count).map(register).buffered(AT_ONCE).try_collect().await?;

    let resident = super::sample::resident(target.pid());
    let mut wanted = Vec::new();
    let mut first_room = Vec::new();
    for rooms in &scenario.rooms {
        first_room.push(u32::try_from(wanted.len())?);
        wanted.extend((0..rooms.count).map(|_| rooms));
    }
    let mut making = Vec::new();
    for (index, rooms) in (0..).zip(wanted) {
        let owner = owners.of(index, 0);
        making.push(room(rest, rooms, index, owner, &accounts[owner as usize].token, run));
    }
    let rooms: Vec<Room> = stream::iter(making).buffered(AT_ONCE).try_collect().await?;
    if target.kind != ServerKind::Floor {
        histories(scenario, target, &accounts, &rooms).await?;
    }

    let mut job = Job {
        run,
        addresses: target.addresses.clone(),
        sources: options.sources.clone(),
        threads: options.threads,
        scenario: scenario.clone(),
        rooms,
        accounts,
        clients: Vec::new(),
    };
    let mut doomed = Vec::new();
    let mut members: BTreeMap<(u32, u32), Role> = BTreeMap::new();
    for (index, (persona, pool)) in scenario.personas.iter().zip(&pools).enumerate() {
        let phase = scenario.phases.iter().position(|phase| phase.removes.as_ref() == Some(&persona.name));
        let rooms = scenario.rooms_of(persona)?;
        let of = scenario.rooms[rooms].count * persona.per_room;
        for nth in 0..scenario.rooms[rooms].count {
            let room = first_room[rooms] + nth;
            for place in 0..persona.per_room {
                let account = if persona.role == Role::Owner { owners.of(room, 0) } else { pool.of(nth, place) };
                if matches!(persona.role, Role::Editor | Role::Viewer) {
                    let new = members.insert((room, account), persona.role).is_none();
                    if let (Some(phase), true) = (phase, new) {
                        let about = &job.rooms[room as usize];
                        let token = job.accounts[about.owner as usize].token.clone();
                        doomed.push(Doomed { phase, room: about.id, user: job.accounts[account as usize].user, token });
                    }
                }
                job.clients.push(Client {
                    index: u32::try_from(job.clients.len())?,
                    persona: u16::try_from(index)?,
                    room,
                    account,
                    place: nth * persona.per_room + place,
                    of,
                    replica: false,
                    doomed: phase.is_some(),
                    stays: phase.is_none() && scenario.stays(persona),
                });
            }
        }
    }
    doomed.sort_by_key(|doomed| doomed.phase);
    if target.kind != ServerKind::Floor {
        let add = |((room, account), role): ((u32, u32), Role)| {
            let job = &job;
            let role = if role == Role::Viewer { "viewer" } else { "participant" };
            async move {
                let about = &job.rooms[room as usize];
                rest.member(&job.accounts[about.owner as usize].token, about.id, job.accounts[account as usize].user, role).await
            }
        };
        stream::iter(members).map(add).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        choose_replicas(&mut job);
        expect_presence(&mut job);
    }
    Ok(Setup { job, doomed, resident })
}

async fn room(rest: &Rest, rooms: &Rooms, index: u32, owner: u32, token: &str, run: u64) -> anyhow::Result<Room> {
    let kind = rooms.kind;
    let id = match kind {
        RoomKind::Trip => rest.trip(token, index).await?,
        RoomKind::Pool => rest.pool(token, rooms.seats, run).await?,
    };
    let mut items = Vec::new();
    if kind == RoomKind::Trip {
        for _ in 0..rooms.activities {
            items.push(rest.activity(token, id, None).await?);
        }
        let mut left = rooms.state_bytes;
        while left > 0 {
            let notes = crate::engine::acts::text(u64::from(left), left.min(NOTES_BYTES));
            items.push(rest.activity(token, id, Some(notes)).await?);
            left = left.saturating_sub(NOTES_BYTES);
        }
    }
    Ok(Room { id, kind, items, owner, expected: Vec::new() })
}

/// Writes what the trips have from the beginning, a trip after the other: each takes as much of the server as it can get.
async fn histories(scenario: &Scenario, target: &Target, accounts: &[Account], rooms: &[Room]) -> anyhow::Result<()> {
    let lengths = scenario.rooms.iter().flat_map(|rooms| (0..rooms.count).map(|_| rooms.history));
    for (room, length) in rooms.iter().zip(lengths).filter(|(room, length)| *length > 0 && room.kind == RoomKind::Trip) {
        let owner = server::Account { token: accounts[room.owner as usize].token.clone() };
        let mut client = client::Client::join(&target.addresses[0], &owner, &room.id.to_string()).await?;
        client.say_many(length).await.context("a trip's history could not be written")?;
    }
    Ok(())
}

fn can_keep_replica(persona: &Persona) -> bool {
    persona.codec == Codec::Msgpack && persona.reads && persona.churn.is_none() && persona.arrives == "start"
}

/// Spreads the replicas over the rooms.
fn choose_replicas(job: &mut Job) {
    let trips = job.rooms.iter().filter(|room| room.kind == RoomKind::Trip).count();
    let Some(trips) = u32::try_from(trips).ok().filter(|trips| *trips > 0) else { return };
    let most = job.scenario.limits.replicas;
    let each = (most / trips).clamp(1, REPLICAS_PER_ROOM_MAX);
    // With more rooms than replicas: every so many-th room.
    let step = trips.div_ceil(most.max(1));
    let mut chosen: BTreeMap<u32, u32> = BTreeMap::new();
    if most == 0 {
        return;
    }
    for client in &mut job.clients {
        let persona = &job.scenario.personas[usize::from(client.persona)];
        let fits = job.rooms[client.room as usize].kind == RoomKind::Trip && client.room.is_multiple_of(step);
        let here = chosen.entry(client.room).or_default();
        if fits && *here < each && !client.doomed && can_keep_replica(persona) {
            client.replica = true;
            *here += 1;
        }
    }
}

/// Who should be present at the end in rooms that have replicas.
fn expect_presence(job: &mut Job) {
    let mut present: BTreeMap<u32, BTreeMap<Uuid, u32>> = BTreeMap::new();
    for client in job.clients.iter().filter(|client| client.replica) {
        present.entry(client.room).or_default();
    }
    for client in &job.clients {
        if !job.scenario.personas[usize::from(client.persona)].reads {
            // Whether one that never reads is still there is up to its patience and the server's.
            present.remove(&client.room);
        }
    }
    for client in job.clients.iter().filter(|client| !client.doomed) {
        if let Some(users) = present.get_mut(&client.room) {
            *users.entry(job.accounts[client.account as usize].user).or_default() += 1;
        }
    }
    for (room, users) in present {
        job.rooms[room as usize].expected = users.into_iter().collect();
    }
}
