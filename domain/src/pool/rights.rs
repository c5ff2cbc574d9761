//! Who may do what, decided here and nowhere else.

use super::state::State;
use super::types::Stage;
use crate::UserId;

/// What a user is to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Offers it and drives.
    Owner,
    /// Has a confirmed seat.
    Rider,
    /// Has asked, waits, holds or is offered a seat.
    Claimant,
    /// Sees it, nothing more.
    Visitor,
}

impl Relation {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Owner, Self::Rider, Self::Claimant, Self::Visitor];

    /// What a user is to a pool that the user may see.
    #[must_use]
    pub fn of(state: &State, user: UserId) -> Self {
        if state.pool.as_ref().is_some_and(|pool| pool.owner == user) {
            return Self::Owner;
        }
        match state.claim_of(user) {
            Some(claim) if claim.stage == Stage::Confirmed {} => Self::Rider,
            Some(_) => Self::Claimant,
            None => Self::Visitor,
        }
    }
}

/// What the rights are given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See the way, the time, the price and how many seats are left.
    View,
    /// Ask for seats or hold them; once at a time, and not in one's own pool.
    Ask,
    /// Decide for seats that are held for one or offered to one.
    Accept,
    /// Give back what one has asked for or has.
    Withdraw,
    /// See who sits in the car, read and write its chat.
    Ride,
    /// See requests and the waiting list, answer them, take seats back.
    Answer,
    /// Change the pool.
    Edit,
    /// Depart, mark who got in, complete.
    Drive,
    /// Call the ride off.
    Cancel,
    /// Say what one thinks of the driver (riders) or of a rider (the driver), after the ride.
    Review,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::View,
        Self::Ask,
        Self::Accept,
        Self::Withdraw,
        Self::Ride,
        Self::Answer,
        Self::Edit,
        Self::Drive,
        Self::Cancel,
        Self::Review,
    ];

    /// The word for it in the table of the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Ask => "ask",
            Self::Accept => "accept",
            Self::Withdraw => "withdraw",
            Self::Ride => "ride",
            Self::Answer => "answer",
            Self::Edit => "edit",
            Self::Drive => "drive",
            Self::Cancel => "cancel",
            Self::Review => "review",
        }
    }
}

/// Whether somebody has a right.
///
/// | | owner | rider | claimant | visitor |
/// |---|---|---|---|---|
/// | view | yes | yes | yes | yes |
/// | ask | no | no | no | yes |
/// | accept | no | no | yes | no |
/// | withdraw | no | yes | yes | no |
/// | ride | yes | yes | no | no |
/// | answer, edit, drive, cancel | yes | no | no | no |
/// | review | yes | yes | no | no |
///
/// Who is not of the pool's group, nor concerned by it, does not know that it exists.
#[must_use]
pub const fn may(relation: Relation, action: Action) -> bool {
    use Relation::{Claimant, Owner, Rider, Visitor};
    match action {
        Action::View => true,
        Action::Ask => matches!(relation, Visitor),
        Action::Accept => matches!(relation, Claimant),
        Action::Withdraw => matches!(relation, Rider | Claimant),
        Action::Ride | Action::Review => matches!(relation, Owner | Rider),
        Action::Answer | Action::Edit | Action::Drive | Action::Cancel => matches!(relation, Owner),
    }
}
