//! Two who go the same way make a pool of their ride requests, in one step.
//!
//! Whoever asks first offers the ride and drives; the other one is invited and has the seats as soon as they say yes. When both ask at
//! once there is one pool: its id derives from the two requests. Every step has an identity, so that a step that failed is done by asking
//! again and never twice.

use super::App;
use super::outbox::server;
use crate::store::search::RADIUS_DEFAULT_M;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tripsync_actors::engine::CallOptions;
use tripsync_domain::civil::Moment;
use tripsync_domain::inbox::{Label, RideRequest, Spot};
use tripsync_domain::money::Money;
use tripsync_domain::pool::limits::SEATS_MAX;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, Inbox, Pool, Rejection, RoomId, UserCard, UserId};
use uuid::Uuid;

/// When the ride leaves, unless it is said.
const LEAVES_AFTER: Duration = Duration::from_secs(600);

/// How somebody wants to share a ride.
#[derive(Debug, Deserialize)]
pub struct Sharing {
    /// The other one.
    pub with: UserId,
    /// Seats for riders; as many as the other one needs when absent.
    pub seats: Option<u8>,
    /// When it leaves; in ten minutes when absent.
    pub departure: Option<Moment>,
    /// What a seat costs; nothing when absent.
    pub price: Option<Money>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The pool.
    pub pool: RoomId,
    /// Whether the caller offers the ride; otherwise the other one was faster, and the caller is invited or already in.
    pub owner: bool,
}

/// What an inbox is asked for.
#[derive(Deserialize)]
struct Rides {
    ride: Option<RideRequest>,
}

/// Makes a pool of the caller's ride request and another user's.
///
/// # Errors
/// `conflict` when one of them has no ride request any more, or they do not match; as [`tripsync_actors::Engine::call`].
pub async fn share(app: &App, me: UserCard, sharing: &Sharing) -> Result<Shared, Rejection> {
    let caller = me.user;
    let gone =
        |whose: &str| Rejection::new(ErrorCode::Conflict, format!("{whose} ride request is over; if it became a pool, the inbox says so"));
    let mine = ride_of(app, me.user).await?.ok_or_else(|| gone("your"))?;
    // Whether somebody has a request is for those whom it matches, so there is one answer for all others.
    let theirs = ride_of(app, sharing.with).await?.filter(|theirs| me.user != sharing.with && match_each_other(&mine, theirs));
    let theirs = theirs.ok_or_else(|| gone("their matching"))?;
    // Both are still of the group that they asked in.
    let them = app.rooms.engine.cards(&[sharing.with]).await?;
    if mine.group.is_some() && (mine.group != me.group || them.iter().all(|them| them.group != mine.group)) {
        return Err(gone("their matching"));
    }
    // Before there is a pool: an invitation that does not fit would leave it empty.
    if sharing.seats.is_some_and(|seats| !(theirs.seats..=SEATS_MAX).contains(&seats)) {
        let message = format!("must be between {}, which the other one needs, and {SEATS_MAX}", theirs.seats);
        return Err(Rejection::invalid("/seats", message));
    }
    let (first, last) = (mine.id.0.min(theirs.id.0), mine.id.0.max(theirs.id.0));
    let pool = RoomId(Uuid::new_v5(&first, last.as_bytes()));
    let step = |name: &str| Uuid::new_v5(&pool.0, name.as_bytes());
    let identity = |name: &str| Some((ClientId(step(name)), CommandNumber(1)));
    let invitation = step("invitation");

    let made = app.rooms.engine.create::<Pool>(pool, me.clone(), &create(app, &mine, &theirs, sharing), identity("create")).await;
    let owner = match made {
        Ok(_) => true,
        // Said before in other words, as of another time.
        Err(refused) if refused.code == ErrorCode::CommandIdReused => true,
        Err(refused) if refused.code == ErrorCode::AlreadyExists => false,
        Err(refused) => return Err(refused),
    };
    let (command, name) = if owner {
        (json!({"type": "invite", "id": invitation, "user": sharing.with, "seats": theirs.seats}), "invite")
    } else {
        (json!({"type": "accept", "claim": invitation}), "accept")
    };
    let options = CallOptions { id: identity(name), ..CallOptions::default() };
    match app.rooms.engine.call(pool, me, &command, options).await {
        Ok(_) => {}
        // The other one is about to invite, and the invitation comes to the inbox. Until then the requests stay, so that whoever failed
        // in between can ask again.
        Err(refused) if !owner && refused.code == ErrorCode::NotFound => return Ok(Shared { pool, owner }),
        Err(refused) => return Err(refused),
    }
    for (user, ride) in [(sharing.with, theirs.id), (caller, mine.id)] {
        let command = json!({"type": "cancel_ride", "ride": ride, "pooled": true});
        match app.rooms.engine.call(Inbox::room_of(user), server(), &command, CallOptions::default()).await {
            // Over already: by the other one, or by itself.
            Err(refused) if refused.code != ErrorCode::NotFound => return Err(refused),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Shared { pool, owner })
}

async fn ride_of(app: &App, user: UserId) -> Result<Option<RideRequest>, Rejection> {
    match app.rooms.engine.read(Inbox::room_of(user), UserId::ROOM).await {
        Ok(view) => {
            let rides: Result<Rides, _> = rmp_serde::from_slice(view.state.packed());
            rides.map(|rides| rides.ride).map_err(|error| {
                tracing::error!(%error, "the state of an inbox cannot be read");
                Rejection::new(ErrorCode::Internal, "the inbox cannot be read")
            })
        }
        // Who was never told anything has no inbox yet.
        Err(refused) if refused.code == ErrorCode::NotFound => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// As [`super::matching`] finds them.
fn match_each_other(one: &RideRequest, other: &RideRequest) -> bool {
    let near = |from: &Spot, to: &Spot| from.position.distance_m(to.position) <= f64::from(RADIUS_DEFAULT_M);
    one.group == other.group && near(&one.from, &other.from) && near(&one.to, &other.to)
}

/// The command that makes the pool: the caller's way.
fn create(app: &App, mine: &RideRequest, theirs: &RideRequest, sharing: &Sharing) -> Value {
    let stop = |spot: &Spot, unnamed: &str| json!({"name": spot.name.as_ref().map_or(unnamed, Label::as_str), "position": spot.position});
    // 2027-05-02T09:30:00.123Z without its milliseconds and zone.
    let soon: String = app.clock.now().plus(LEAVES_AFTER).to_string().chars().take(19).collect();
    let departure = sharing.departure.as_ref().map_or_else(|| json!({"local": soon, "tz": "UTC"}), |departure| json!(departure));
    json!({
        "type": "create",
        "stops": [stop(&mine.from, "Start"), stop(&mine.to, "Destination")],
        "departure": departure,
        "seats": sharing.seats.unwrap_or(theirs.seats),
        "price": sharing.price,
        "group": mine.group,
    })
}
