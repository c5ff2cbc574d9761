//! A trip under test.

use crate::trip::{Event, Moved, State, Trip};
use crate::{
    Conflict, Ctx, Decision, ErrorCode, EventMeta, ItemId, Projection, Rejection, RoomId, RoomKind, Seq, Timestamp, UserCard, UserId,
    command,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Creator.
pub(super) const ANA: UserId = UserId(Uuid::from_u128(0xa));
/// Participant.
pub(super) const BEN: UserId = UserId(Uuid::from_u128(0xb));
/// Viewer.
pub(super) const VIC: UserId = UserId(Uuid::from_u128(0xc));
/// Known to the system, no member.
pub(super) const ZOE: UserId = UserId(Uuid::from_u128(0xd));

pub(super) fn id(number: u128) -> ItemId {
    ItemId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number))
}

/// A user as the room knows them.
pub(super) fn card(user: UserId) -> UserCard {
    UserCard { user, name: String::new(), group: None }
}

/// What lists learn from events: without the tasks, which inboxes and searches get.
pub(super) fn lists(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
    let mut projections = Trip::project(state, events);
    projections.retain(|projection| !matches!(projection, Projection::Task { .. }));
    projections
}

/// A room that remembers what happened.
pub(super) struct Room {
    pub(super) state: State,
    pub(super) journal: Vec<(EventMeta, Event)>,
    base: Option<Seq>,
    origin: Option<RoomId>,
}

impl Room {
    /// Before the first event.
    pub(super) fn empty() -> Self {
        Self { state: State::default(), journal: Vec::new(), base: None, origin: None }
    }

    /// A trip of Ana with Ben as participant and Vic as viewer; three events.
    pub(super) fn trip() -> Self {
        let mut room = Self::empty();
        room.ok(ANA, json!({"type": "create", "title": "Lisbon"}));
        room.ok(ANA, json!({"type": "add_member", "user": BEN, "role": "participant"}));
        room.ok(ANA, json!({"type": "add_member", "user": VIC, "role": "viewer"}));
        room
    }

    /// What the next commands' authors have seen.
    pub(super) fn seen(&mut self, seq: u64) -> &mut Self {
        self.base = Some(Seq(seq));
        self
    }

    /// Which room the server makes the next commands from.
    pub(super) fn from(&mut self, origin: Option<RoomId>) -> &mut Self {
        self.origin = origin;
        self
    }

    pub(super) fn seq(&self) -> u64 {
        self.state.seq.0
    }

    /// The one door for commands: reads the wire form, judges, applies, and checks what always holds.
    pub(super) fn check(&mut self, author: UserId, wire: &Value) -> Result<Decision<Event>, Rejection> {
        let before = self.state.clone();
        let decision = self.judge(author, wire);
        if decision.is_err() {
            assert_eq!(before, self.state, "a refusal changed the state");
        }
        let decision = decision?;
        assert!(!decision.events.is_empty(), "accepted without an event: {wire}");
        for event in &decision.events {
            assert_eq!(rmp_serde::from_slice::<Event>(&rmp_serde::to_vec_named(event).unwrap()).unwrap(), *event);
            assert_eq!(serde_json::to_value(event).unwrap()["type"], event.tag());
            assert!(!Trip::describe(event).is_empty());
            // Where an event says that an activity stands, it stands: clients place it by the event alone.
            if let Event::ActivityMoved { activity, to, .. } | Event::ActivityUpdated { activity, moved: Some(Moved { to, .. }), .. } =
                event
            {
                assert_eq!(self.state.slot(self.state.activity(*activity).unwrap()), *to, "{wire}");
            }
            if let Event::ActivityAdded { activity, after } = event {
                assert_eq!(self.state.slot(self.state.activity(activity.id).unwrap()).after, *after, "{wire}");
            }
        }
        Trip::validate(&self.state).unwrap_or_else(|broken| panic!("{broken} after {wire}"));
        Ok(decision)
    }

    fn judge(&mut self, author: UserId, wire: &Value) -> Result<Decision<Event>, Rejection> {
        let command = command::parse(wire)?;
        let users =
            [(ANA, "Ana"), (BEN, "Ben"), (VIC, "Vic"), (ZOE, "Zoe")].map(|(user, name)| UserCard { user, name: name.into(), group: None });
        let room = RoomId(Uuid::from_u128(1));
        let at = Timestamp::from_ms(1_800_000_000_000 + i64::try_from(self.journal.len()).unwrap() * 1_000);
        let new_id = id(0x1_0000 + u128::from(self.seq()));
        let ctx = Ctx { room, author, at, base: self.base, new_id, users: &users, reserved: true, origin: self.origin };
        let decision = Trip::decide(&self.state, &ctx, &command)?;
        for event in &decision.events {
            let meta = EventMeta { seq: self.state.seq.next(), at, by: author, command: None };
            Trip::evolve(&mut self.state, &meta, event);
            self.journal.push((meta, event.clone()));
        }
        Ok(decision)
    }

    /// The command is accepted; without the checks, which take long in a full trip.
    #[track_caller]
    pub(super) fn quick(&mut self, author: UserId, wire: Value) {
        self.judge(author, &wire).unwrap_or_else(|refused| panic!("{refused} for {wire}"));
    }

    /// The command is accepted; its last event as JSON.
    #[track_caller]
    pub(super) fn ok(&mut self, author: UserId, wire: Value) -> Value {
        let decision = self.check(author, &wire).unwrap_or_else(|refused| panic!("{refused} for {wire}"));
        serde_json::to_value(decision.events.last().unwrap()).unwrap()
    }

    /// The command is accepted and overwrites these unseen values.
    #[track_caller]
    pub(super) fn conflicts(&mut self, author: UserId, wire: Value) -> Vec<Conflict> {
        self.check(author, &wire).unwrap_or_else(|refused| panic!("{refused} for {wire}")).conflicts
    }

    /// The command is refused with a code at a pointer; the sentence.
    #[track_caller]
    pub(super) fn refused(&mut self, author: UserId, wire: Value, code: ErrorCode, pointer: &str) -> String {
        match self.check(author, &wire) {
            Ok(decision) => panic!("accepted {wire}: {decision:?}"),
            Err(refused) => {
                assert_eq!((refused.code, refused.pointer.as_deref().unwrap_or("")), (code, pointer), "{refused} for {wire}");
                refused.message.into_owned()
            }
        }
    }

    pub(super) fn add_activity(&mut self, number: u128, day: Option<&str>) -> ItemId {
        self.ok(ANA, json!({"type": "add_activity", "id": id(number), "title": format!("Activity {number}"), "day": day}));
        id(number)
    }
}
