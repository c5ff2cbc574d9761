//! Every bound of a pool, in one place; the documentation and OpenAPI take them from here.
//!
//! Bounds of texts are counted in characters. They hold for stored events too, so they may be raised but never lowered.

use std::time::Duration;

/// Seats that a pool offers, the driver's not counted.
pub const SEATS_MAX: u8 = 16;
/// Stops, origin and destination included.
pub const STOPS_MAX: usize = 10;
/// What a seat costs at most, in minor units: what all seats of one rider cost is still an amount.
pub const PRICE_MAX: i64 = crate::money::MINOR_UNITS_MAX / SEATS_MAX as i64;
/// Requests that wait for the owner's answer.
pub const PENDING_MAX: usize = 200;
/// People on the waiting list.
pub const WAITING_MAX: usize = 200;
/// Requests of one person that wait for an answer, in all pools together.
pub const PENDING_PER_PERSON_MAX: u16 = 5;
/// Preferences.
pub const PREFERENCES_MAX: usize = 16;
/// Reviews: everybody in the car of everybody else would be more than are allowed, which is rider and driver, both ways.
pub const REVIEWS_MAX: usize = 2 * SEATS_MAX as usize;
/// Newest chat messages in the state; all are in the collection `messages`.
pub const MESSAGES_IN_STATE: usize = 50;

/// Metres per second below which no arrival is estimated: walking pace, at which a car stands in traffic.
pub const SPEED_MIN: f64 = 1.5;

/// Characters of a stop's name.
pub const STOP_CHARS_MAX: usize = 200;
/// Characters of a car's description.
pub const CAR_CHARS_MAX: usize = 100;
/// Characters of one preference.
pub const PREFERENCE_CHARS_MAX: usize = 40;
/// Characters of notes, of a request's message, of a reason and of a review.
pub const TEXT_CHARS_MAX: usize = 1_000;
/// Characters of a chat message.
pub const MESSAGE_CHARS_MAX: usize = 4_000;

/// Seconds that a hold or an offer lasts when the pool does not say otherwise.
pub const DECIDE_SECONDS_DEFAULT: u32 = 600;
/// The shortest time to decide in seconds.
pub const DECIDE_SECONDS_MIN: u32 = 60;
/// The longest time to decide in seconds.
pub const DECIDE_SECONDS_MAX: u32 = 86_400;

/// How far ahead a pool may depart.
pub const AHEAD_MAX: Duration = Duration::from_hours(366 * 24);
/// How long after its departure time a pool that never departed is cancelled, and after departing one that never arrived is completed.
pub const LINGER: Duration = Duration::from_hours(24);
