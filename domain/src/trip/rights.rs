//! Who may do what, decided here and nowhere else.

use crate::Role;

/// What the rights are given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See the trip and its history.
    View,
    /// Write, react, edit and delete one's own messages, mark as read.
    Chat,
    /// Leave the trip (the creator may not, see [`super::rules`]).
    Leave,
    /// Vote for places.
    Vote,
    /// Change the trip itself, activities and places.
    Edit,
    /// Change the trip's status.
    SetStatus,
    /// Add, promote, demote and remove members.
    ManageMembers,
    /// Delete other people's messages.
    Moderate,
    /// Delete the trip.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::View, Self::Chat, Self::Leave, Self::Vote, Self::Edit, Self::SetStatus, Self::ManageMembers, Self::Moderate, Self::Delete];
}

/// Whether a role has a right.
///
/// | | viewer | participant | organizer |
/// |---|---|---|---|
/// | view, chat, leave | yes | yes | yes |
/// | vote, edit | no | yes | yes |
/// | set status, manage members, moderate, delete | no | no | yes |
///
/// The creator is an organizer whom nobody can demote or remove, and who cannot leave.
#[must_use]
pub fn may(role: Role, action: Action) -> bool {
    let least = match action {
        Action::View | Action::Chat | Action::Leave => Role::Viewer,
        Action::Vote | Action::Edit => Role::Participant,
        Action::SetStatus | Action::ManageMembers | Action::Moderate | Action::Delete => Role::Organizer,
    };
    role >= least
}
