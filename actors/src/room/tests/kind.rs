//! A room kind for tests: notes with audiences, members that come and go, and rules that can be made to panic.

use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tripsync_domain::{
    Audience, Ctx, Decision, Effect, ErrorCode, EventMeta, ItemId, Projection, Quota, Rejection, Role, RoomKind, Timestamp, UserCard,
    UserId,
};

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// How often these rules have panicked in this test.
pub(super) fn panics() -> usize {
    PANICS.get()
}

fn trip_over(wanted: bool) {
    if wanted {
        PANICS.set(PANICS.get() + 1);
        panic!("the rules of the test panic as asked");
    }
}

pub(super) struct Notes;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Command {
    Open {},
    /// A note, for everybody unless it says for whom.
    Note {
        text: String,
        #[serde(default)]
        to: Option<BTreeSet<UserId>>,
        #[serde(default)]
        at_least: Option<Role>,
    },
    Admit {
        user: UserId,
        role: Role,
    },
    Remove {
        user: UserId,
    },
    Close {},
    Refuse {},
    /// Sets the room's deadline.
    SetAlarm {
        after_s: u64,
    },
    /// Counts against a quota of one; refused unless told otherwise.
    Reserve {
        accept: bool,
    },
    /// Panics there, or makes no event at all.
    Break {
        at: Spot,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spot {
    Decide,
    NoEvent,
    /// After a first event that was fine.
    Evolve,
    Project,
    /// Every view from then on.
    View,
    /// When the alarm rings.
    Expire,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Event {
    Opened { by: UserId },
    Noted { text: String, to: Option<BTreeSet<UserId>>, at_least: Option<Role> },
    Admitted { user: UserId, role: Role },
    Removed { user: UserId },
    Closed,
    AlarmSet { at: Timestamp },
    AlarmRang,
    Reserved { by: UserId },
    Broken { at: Spot },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    members: BTreeMap<UserId, Role>,
    notes: Vec<String>,
    closed: bool,
    cursed: bool,
    alarm: Option<Timestamp>,
    broken_alarm: bool,
}

impl RoomKind for Notes {
    const KIND: &'static str = "notes";
    type Command = Command;
    type Event = Event;
    type State = State;

    fn decide(_: &State, ctx: &Ctx<'_>, command: &Command) -> Result<Decision<Event>, Rejection> {
        let events = match command.clone() {
            Command::Open {} => vec![Event::Opened { by: ctx.author }],
            Command::Note { text, to, at_least } => vec![Event::Noted { text, to, at_least }],
            Command::Admit { user, role } => vec![Event::Admitted { user, role }],
            Command::Remove { user } => vec![Event::Removed { user }],
            Command::Close {} => vec![Event::Closed],
            Command::SetAlarm { after_s } => vec![Event::AlarmSet { at: ctx.at.plus(Duration::from_secs(after_s)) }],
            Command::Reserve { .. } if !ctx.reserved => return Err(Rejection::new(ErrorCode::LimitReached, "refused for the bound")),
            Command::Reserve { accept: true } => vec![Event::Reserved { by: ctx.author }],
            Command::Refuse {} | Command::Reserve { accept: false } => return Err(Rejection::new(ErrorCode::Conflict, "refused as asked")),
            Command::Break { at: Spot::NoEvent } => Vec::new(),
            Command::Break { at } => {
                trip_over(at == Spot::Decide);
                let text = "fine".to_owned();
                vec![Event::Noted { text, to: None, at_least: None }, Event::Broken { at }]
            }
        };
        Ok(Decision { events, conflicts: Vec::new() })
    }

    fn evolve(state: &mut State, _: &EventMeta, event: &Event) {
        match event.clone() {
            Event::Opened { by: user } => {
                state.members.insert(user, Role::Organizer);
            }
            Event::Noted { text, .. } => state.notes.push(text),
            Event::Admitted { user, role } => {
                state.members.insert(user, role);
            }
            Event::Removed { user } => {
                state.members.remove(&user);
            }
            Event::Closed => state.closed = true,
            Event::AlarmSet { at } => state.alarm = Some(at),
            Event::AlarmRang => state.alarm = None,
            Event::Reserved { .. } => {}
            Event::Broken { at } => {
                state.broken_alarm |= at == Spot::Expire;
                trip_over(at == Spot::Evolve);
                state.cursed |= at == Spot::View;
            }
        }
    }

    fn deadline(state: &State) -> Option<Timestamp> {
        state.alarm
    }

    fn expire(state: &State, _: &Ctx<'_>) -> Vec<Event> {
        trip_over(state.broken_alarm);
        vec![Event::AlarmRang]
    }

    fn quota(command: &Command) -> Option<Quota> {
        matches!(command, Command::Reserve { .. }).then_some(Quota { what: "tests", max: 1 })
    }

    const PRESENCE: Role = Role::Participant;

    fn access(state: &State, who: &UserCard) -> Option<Role> {
        state.members.get(&who.user).copied().filter(|_| !state.closed)
    }

    fn users_needed(_: &Command) -> Vec<UserId> {
        Vec::new()
    }

    fn audience(event: &Event) -> Audience {
        match event {
            Event::Noted { to: Some(users), .. } => Audience::Users(users.clone()),
            Event::Noted { at_least: Some(role), .. } => Audience::AtLeast(*role),
            Event::Noted { .. }
            | Event::Opened { .. }
            | Event::Admitted { .. }
            | Event::Removed { .. }
            | Event::Closed
            | Event::AlarmSet { .. }
            | Event::AlarmRang
            | Event::Reserved { .. }
            | Event::Broken { .. } => Audience::Everyone,
        }
    }

    fn view_key(_: &State, _: UserId) -> u64 {
        0
    }

    fn view(state: &State, _: UserId) -> Vec<u8> {
        trip_over(state.cursed);
        rmp_serde::to_vec_named(&serde_json::json!({ "notes": state.notes })).unwrap()
    }

    fn is_ended(state: &State) -> bool {
        state.closed
    }

    fn project(_: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
        let project = |event: &Event| match event {
            Event::Opened { by: user } => Some(Projection::MemberSet { user: *user, role: Role::Organizer }),
            Event::Admitted { user, role } => Some(Projection::MemberSet { user: *user, role: *role }),
            Event::Removed { user } => Some(Projection::MemberGone { user: *user }),
            Event::Closed => Some(Projection::RoomGone),
            Event::Broken { at } => {
                trip_over(*at == Spot::Project);
                None
            }
            Event::Reserved { by: user } => Some(Projection::Reserved { user: *user, what: "tests" }),
            Event::Noted { .. } | Event::AlarmSet { .. } | Event::AlarmRang => None,
        };
        events.iter().filter_map(|(_, event)| project(event)).collect()
    }

    fn effects(_: &State, _: &EventMeta, _: &Event) -> Vec<Effect> {
        Vec::new()
    }

    fn tag(_: &Event) -> &'static str {
        "event"
    }

    fn entity(_: &Event) -> Option<ItemId> {
        None
    }

    fn describe(_: &Event) -> String {
        "did something".to_owned()
    }

    fn validate(_: &State) -> Result<(), String> {
        Ok(())
    }
}
