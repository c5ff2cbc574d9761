//! Who and what is in a simulation.

use tripsync_domain::{ClientId, RoomId, UserCard, UserId};
use uuid::Uuid;

/// Users: the creator, a participant, a viewer, and one who is not a member at first.
pub(super) const USERS: usize = 4;
/// Rooms: trips, and a pool.
pub(super) const ROOMS: usize = TRIPS + 1;
pub(super) const TRIPS: usize = 2;
pub(super) const POOL: usize = TRIPS;
/// The client of calls without a socket.
pub(super) const REST: u64 = 900;

pub(super) fn room(index: usize) -> RoomId {
    RoomId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0100 + index as u128))
}

pub(super) fn rooms() -> [RoomId; ROOMS] {
    std::array::from_fn(room)
}

pub(super) fn user(index: usize) -> UserId {
    UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0200 + index as u128))
}

pub(super) fn card(index: usize) -> UserCard {
    UserCard { name: format!("User {index}"), ..card_of(user(index)) }
}

/// The card of somebody without a name: what rights are judged by.
pub(super) const fn card_of(user: UserId) -> UserCard {
    UserCard { user, name: String::new(), group: None }
}

pub(super) fn client(index: u64) -> ClientId {
    ClientId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0300 + u128::from(index)))
}
