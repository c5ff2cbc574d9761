//! What lists, searches, inboxes and the activity log learn from events.

use super::KIND;
use super::event::Event;
use super::limits::PENDING_PER_PERSON_MAX;
use super::state::{Pool, State};
use super::types::{Claim, Ending, Phase, Stage};
use crate::{EventMeta, ItemId, Listing, Projection, Quota, Role, Section, Task, UserId};
use serde_json::{Value, json};

/// The collection of chat messages.
pub const MESSAGES: &str = "messages";

/// Requests that wait for an owner's answer.
pub(super) const PENDING: Quota = Quota { what: "pool_requests", max: PENDING_PER_PERSON_MAX };

pub(super) fn project(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
    let Some(pool) = &state.pool else { return Vec::new() };
    let mut out = Out { state, pool, list: Vec::new() };
    let mut row = false;
    for (meta, event) in events {
        row |= matches!(
            event,
            Event::PoolCreated { .. }
                | Event::DetailsUpdated { .. }
                | Event::SeatsChanged { .. }
                | Event::PoolDeparted {}
                | Event::PoolCompleted {}
                | Event::PoolCancelled { .. }
        );
        out.event(meta, event);
    }
    if row {
        out.rows();
    }
    out.list
}

struct Out<'a> {
    state: &'a State,
    pool: &'a Pool,
    list: Vec<Projection>,
}

impl Out<'_> {
    fn event(&mut self, meta: &EventMeta, event: &Event) {
        match event {
            Event::PoolCreated { owner, .. } => {
                self.capacity();
                self.list.push(Projection::MemberSet { user: *owner, role: Role::Organizer });
                self.list.push(Projection::Task { seq: meta.seq, index: 0, task: Task::Match {} });
            }
            Event::DetailsUpdated { .. } => self.capacity(),
            Event::Claimed { claim, .. } => {
                self.list.push(Projection::MemberSet { user: claim.user, role: Role::Viewer });
                match claim.stage {
                    Stage::Pending {} | Stage::Waiting { approved: false } => {
                        self.list.push(Projection::Reserved { user: claim.user, what: PENDING.what });
                    }
                    Stage::Held { .. } | Stage::Offered { .. } => self.takes(claim),
                    Stage::Waiting { approved: true } | Stage::Confirmed {} => {}
                }
            }
            Event::Offered { claim, .. } => {
                // Without the claim it is over already, later in the same append.
                if let Some(claim) = self.state.claims.get(claim) {
                    self.takes(claim);
                }
            }
            Event::Confirmed { claim, .. } => {
                self.list.push(Projection::MemberSet { user: claim.user, role: Role::Participant });
                self.list.push(Projection::Released { user: claim.user, what: PENDING.what });
                self.takes(claim);
            }
            Event::ClaimEnded { claim, user, .. } => {
                self.list.push(Projection::MemberSet { user: *user, role: Role::Viewer });
                self.list.push(Projection::Released { user: *user, what: PENDING.what });
                self.list.push(Projection::Freed { id: *claim });
            }
            Event::MessageSent { id, body, to } => {
                let doc = json!({"id": id, "seq": meta.seq, "by": meta.by, "at": meta.at, "body": body, "to": to});
                self.list.push(Projection::Item { collection: MESSAGES, id: *id, seq: meta.seq, doc });
            }
            Event::WaitingApproved { user, .. } => {
                self.list.push(Projection::Released { user: *user, what: PENDING.what });
            }
            Event::RidersShown { .. }
            | Event::SeatsChanged { .. }
            | Event::PoolDeparted {}
            | Event::Boarded { .. }
            | Event::PoolCompleted {}
            | Event::CostsShared { .. }
            | Event::PoolCancelled { .. }
            | Event::Reviewed { .. }
            | Event::Unknown => {}
        }
        for (index, (user, item)) in inbox(self.state, self.pool, meta, event).into_iter().enumerate() {
            let index = u16::try_from(index + 1).unwrap_or(u16::MAX);
            self.list.push(Projection::Task { seq: meta.seq, index, task: Task::Deliver { user, item } });
        }
    }

    fn capacity(&mut self) {
        let details = &self.pool.details;
        let parts = u16::try_from(details.legs()).unwrap_or(u16::MAX);
        self.list.push(Projection::Capacity { parts, total: u16::from(details.seats) });
    }

    fn takes(&mut self, claim: &Claim) {
        let legs = self.state.legs_of(claim.from, claim.to);
        let part = |leg: usize| u16::try_from(leg).unwrap_or(u16::MAX);
        let taken = Projection::Taken { id: claim.id, from: part(legs.start), to: part(legs.end), count: u16::from(claim.seats) };
        self.list.push(taken);
    }

    fn rows(&mut self) {
        let details = &self.pool.details;
        let taken = self.state.taken().into_iter().max().unwrap_or(0);
        let summary = json!({
            "owner": self.pool.owner,
            "owner_name": self.pool.owner_name,
            "stops": details.stops,
            "departure": details.departure,
            "seats": details.seats,
            "seats_left": details.seats.saturating_sub(taken),
            "price": details.price,
            "booking": details.booking,
            "group": details.group,
        });
        self.list.push(Projection::Room { title: title(self.pool), status: self.state.status().to_string(), summary });
        if self.state.phase != Phase::Scheduled {
            self.list.push(Projection::Unlisted);
            return;
        }
        let mut sections = Vec::new();
        for (index, from) in details.stops.iter().enumerate() {
            for to in details.stops.iter().skip(index + 1) {
                let seats = self.state.left(from.id, to.id);
                sections.push(Section { from_stop: from.id, from: from.position, to_stop: to.id, to: to.position, seats });
            }
        }
        let listing =
            Listing { group: details.group.clone(), owner: self.pool.owner, at: details.departure.at, price: details.price, sections };
        self.list.push(Projection::Listing(Box::new(listing)));
    }
}

/// What a pool is called in lists.
pub(super) fn title(pool: &Pool) -> String {
    match (pool.details.stops.first(), pool.details.stops.last()) {
        (Some(from), Some(to)) => format!("{} → {}", from.name, to.name),
        _ => String::new(),
    }
}

/// Who is told what in their inbox; never the author, who knows.
fn inbox(state: &State, pool: &Pool, meta: &EventMeta, event: &Event) -> Vec<(UserId, Value)> {
    let item = |kind: &str, text: String, more: Value| {
        let mut item =
            json!({"type": kind, "room": pool.room, "kind": KIND, "title": title(pool), "by": meta.by, "at": meta.at, "text": text});
        if let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) {
            item.extend(more);
        }
        item
    };
    let told = match event {
        Event::Claimed { claim, .. } if let Some(until) = claim.stage.until().filter(|_| meta.by == pool.owner) => {
            let text = format!("You are invited to ride along, {}; say yes or no until {until}", seats(claim.seats));
            vec![(claim.user, item("pool_invited", text, json!({"claim": claim.id, "seats": claim.seats, "until": until})))]
        }
        // That they ride is told when they do.
        Event::Claimed { claim, .. } if claim.stage == (Stage::Confirmed {}) => Vec::new(),
        Event::Claimed { claim, place, .. } => {
            let what = match claim.stage {
                Stage::Waiting { .. } => "waits for",
                Stage::Held { .. } => "holds",
                Stage::Pending {} | Stage::Offered { .. } | Stage::Confirmed {} => "asks for",
            };
            let text = format!("{} {what} {}", claim.name, seats(claim.seats));
            let more = json!({"claim": claim.id, "name": claim.name, "seats": claim.seats, "stage": claim.stage.as_str(), "place": place});
            vec![(pool.owner, item("pool_claimed", text, more))]
        }
        Event::WaitingApproved { claim, user, .. } => {
            let text = "The owner agrees: you are offered a seat as soon as one is free".to_owned();
            vec![(*user, item("pool_waiting_approved", text, json!({"claim": claim})))]
        }
        Event::Offered { claim, user, until, .. } => {
            let text = format!("A seat is free for you; it is kept until {until}, say yes or no");
            vec![(*user, item("pool_offered", text, json!({"claim": claim, "until": until})))]
        }
        Event::Confirmed { claim, .. } => {
            let more = json!({"claim": claim.id, "name": claim.name, "seats": claim.seats});
            let rider = item("pool_confirmed", format!("You have {} in this ride", seats(claim.seats)), more.clone());
            let owner = item("pool_rider_joined", format!("{} has {} in your ride", claim.name, seats(claim.seats)), more);
            vec![(claim.user, rider), (pool.owner, owner)]
        }
        Event::ClaimEnded { claim, user, was, ending, reason, .. } => {
            let more = json!({"claim": claim, "was": was, "ending": ending, "reason": reason});
            let rider = item("pool_claim_ended", meaning(*ending, was).into(), more.clone());
            let rode = was == (Stage::Confirmed {}).as_str();
            let text = if rode { format!("A rider is gone: {ending}") } else { format!("Somebody who was {was} is gone: {ending}") };
            let owner = item("pool_rider_left", text, more);
            // What the owner or the departure ends, the owner knows.
            let by_rider = matches!(ending, Ending::Withdrawn | Ending::Expired);
            if rode || by_rider { vec![(*user, rider), (pool.owner, owner)] } else { vec![(*user, rider)] }
        }
        Event::DetailsUpdated { from, to } if from.departure != to.departure => {
            let text = format!("The ride leaves at another time: {} instead of {}", to.departure.at, from.departure.at);
            let more = json!({"departure": to.departure, "before": from.departure});
            state.claims.values().map(|claim| (claim.user, item("pool_moved", text.clone(), more.clone()))).collect()
        }
        Event::CostsShared { shares, .. } => {
            let currency = pool.details.price.map(|price| price.currency);
            let told = |minor| {
                item("pool_completed", "The ride is over; this is your share".into(), json!({"minor": minor, "currency": currency}))
            };
            shares.iter().map(|share| (share.user, told(share.minor))).collect()
        }
        Event::PoolCancelled { reason } => {
            let text = "Your ride is off: nobody departed in time".to_owned();
            vec![(pool.owner, item("pool_cancelled", text, json!({"reason": reason})))]
        }
        Event::Reviewed { review } => {
            vec![(review.of, item("pool_reviewed", format!("You were given {} of 5 stars", review.stars), json!({"stars": review.stars})))]
        }
        Event::DetailsUpdated { .. }
        | Event::PoolCreated { .. }
        | Event::RidersShown { .. }
        | Event::SeatsChanged { .. }
        | Event::PoolDeparted {}
        | Event::Boarded { .. }
        | Event::PoolCompleted {}
        | Event::MessageSent { .. }
        | Event::Unknown => Vec::new(),
    };
    told.into_iter().filter(|(user, _)| *user != meta.by).collect()
}

/// What an ending means for the rider.
fn meaning(ending: Ending, was: &str) -> &'static str {
    match (ending, was == (Stage::Confirmed {}).as_str()) {
        (Ending::Withdrawn, _) => "You gave it back",
        (Ending::Rejected, _) => "The owner said no; you may ask again",
        (Ending::Removed, _) => "The owner took your seat back; look for another ride",
        (Ending::Expired, _) => "You did not decide in time; the seat went on. You may ask again",
        (Ending::Cancelled, true) => "The ride is off and your seat with it; look for another ride",
        (Ending::Cancelled, false) => "The ride is off; your request has ended",
        (Ending::Departed, _) => "The ride left before you had a seat",
    }
}

fn seats(count: u8) -> String {
    if count == 1 { "1 seat".into() } else { format!("{count} seats") }
}

pub(super) fn entity(event: &Event) -> Option<ItemId> {
    match event {
        Event::Claimed { claim, .. } | Event::Confirmed { claim, .. } => Some(claim.id),
        Event::WaitingApproved { claim, .. }
        | Event::Offered { claim, .. }
        | Event::ClaimEnded { claim, .. }
        | Event::Boarded { claim, .. } => Some(*claim),
        Event::MessageSent { id, .. } => Some(*id),
        Event::PoolCreated { .. }
        | Event::DetailsUpdated { .. }
        | Event::RidersShown { .. }
        | Event::SeatsChanged { .. }
        | Event::PoolDeparted {}
        | Event::PoolCompleted {}
        | Event::CostsShared { .. }
        | Event::PoolCancelled { .. }
        | Event::Reviewed { .. }
        | Event::Unknown => None,
    }
}

pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::PoolCreated { details, .. } => format!("offered a ride with {}", seats(details.seats)),
        Event::DetailsUpdated { .. } => "changed the ride".into(),
        Event::Claimed { claim, .. } => match claim.stage {
            Stage::Waiting { .. } => format!("{} waits for {}", claim.name, seats(claim.seats)),
            Stage::Held { .. } => format!("{} holds {}", claim.name, seats(claim.seats)),
            Stage::Pending {} | Stage::Offered { .. } | Stage::Confirmed {} => format!("{} asks for {}", claim.name, seats(claim.seats)),
        },
        Event::WaitingApproved { .. } => "agreed to take somebody who waits".into(),
        Event::Offered { until, .. } => format!("offered a free seat until {until}"),
        Event::Confirmed { claim, .. } => format!("{} has {}", claim.name, seats(claim.seats)),
        Event::RidersShown { .. } => "showed who rides along".into(),
        Event::ClaimEnded { was, ending, .. } => format!("a claim ended: it was {was}, {ending}"),
        Event::SeatsChanged { .. } => "the free seats changed".into(),
        Event::PoolDeparted {} => "departed".into(),
        Event::Boarded { boarded: true, .. } => "a rider got in".into(),
        Event::Boarded { boarded: false, .. } => "a rider did not get in".into(),
        Event::PoolCompleted {} => "arrived".into(),
        Event::CostsShared { .. } => "shared the costs".into(),
        Event::PoolCancelled { .. } => "cancelled the ride".into(),
        Event::MessageSent { .. } => "wrote a message".into(),
        Event::Reviewed { review } => format!("gave {} of 5 stars", review.stars),
        Event::Unknown => "did something that this version does not know".into(),
    }
}
