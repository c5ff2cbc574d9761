//! The fields of every command to a pool, once.

use crate::http::v1::rooms::schema::build::{Field, Made, flag, integer, list, optional, or_null, reference, required, set, text, uuid};
use crate::http::v1::rooms::schema::command::commands;
use serde_json::json;
use tripsync_domain::group::GROUP_CHARS_MAX;
use tripsync_domain::pool::limits;

const SOME_ID: &str = "01920000-0000-7000-8000-0000000000ff";

commands! {
    "create" "Offers the ride; only as the body of `pools.create`." create() => {
        "stops": [
            {"name": "Lisboa Oriente", "position": {"lat": 38.7678, "lon": -9.0991}},
            {"name": "Porto Campanhã", "position": {"lat": 41.1487, "lon": -8.5856}}
        ],
        "departure": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}, "seats": 3, "price": {"minor": 1500, "currency": "EUR"}
    };
    "update_details" "Changes the pool itself. Absent fields stay, null empties." update_details() => {"seats": 4, "notes": null};
    "request" "Asks for seats: books them at once or asks the owner, as the pool has it." request() => {"seats": 2, "message": "Two of us, little luggage."};
    "hold" "Takes seats while one decides; in pools with instant booking." hold() => {"seats": 1};
    "invite" "Offers seats to somebody who has not asked; they are taken while the invited decides." invite() => {"user": SOME_ID};
    "accept" "Decides for the held or offered seats." vec![claim("One's own.")] => {"claim": SOME_ID};
    "withdraw" "Gives back what one has asked for, holds, was offered or has." vec![claim("One's own.")] => {"claim": SOME_ID};
    "approve" "Says yes to a claim that is pending or waits." vec![claim("Which.")] => {"claim": SOME_ID};
    "reject" "Says no to a claim that is pending or waits." vec![claim("Which."), reason()] => {"claim": SOME_ID, "reason": "The car is full of books."};
    "remove" "Takes seats back." vec![claim("One that has seats."), reason()] => {"claim": SOME_ID};
    "depart" "The ride begins: what is not settled ends." Vec::new() => {};
    "board" "Says whether a rider got in." vec![claim("A confirmed one."), required("boarded", "Whether so.", flag())] => {"claim": SOME_ID, "boarded": true};
    "complete" "The ride is over." Vec::new() => {};
    "cancel" "Calls the ride off." vec![reason()] => {"reason": "The car broke down."};
    "send_message" "Writes to everybody in the car." vec![
        id(), required("body", "What it says.", text(limits::MESSAGE_CHARS_MAX))
    ] => {"body": "I am at the gate."};
    "review" "Says what one thinks of somebody with whom one rode." vec![
        required("of", "Of whom: riders of the driver, the driver of riders.", uuid()),
        required("stars", "How good.", integer(1, 5)),
        optional("text", "In words.", or_null(text(limits::TEXT_CHARS_MAX))),
    ] => {"of": SOME_ID, "stars": 5, "text": "Calm and on time."};
}

fn id() -> Field {
    optional("id", "Its id, when the client makes it (UUIDv7).", or_null(uuid()))
}

fn claim(about: &str) -> Field {
    required("claim", about, uuid())
}

fn reason() -> Field {
    optional("reason", "Why; whoever is concerned reads it.", or_null(words()))
}

fn words() -> Made {
    text(limits::TEXT_CHARS_MAX)
}

fn seats() -> Made {
    integer(1, i64::from(limits::SEATS_MAX))
}

fn deciding() -> Made {
    integer(i64::from(limits::DECIDE_SECONDS_MIN), i64::from(limits::DECIDE_SECONDS_MAX))
}

fn stops() -> Made {
    list(reference("NewStop"), limits::STOPS_MAX)
}

fn preferences() -> Made {
    set(text(limits::PREFERENCE_CHARS_MAX), limits::PREFERENCES_MAX)
}

/// What can be changed later and may be left out at first, too.
fn more() -> Vec<Field> {
    vec![
        optional("price", "What one seat costs, however far; nothing when null.", or_null(reference("Money"))),
        optional("car", "What the car is.", or_null(text(limits::CAR_CHARS_MAX))),
        optional("preferences", "What the owner wants or does not want; replaced as a whole.", preferences()),
        optional("notes", "Anything else.", or_null(words())),
    ]
}

fn create() -> Vec<Field> {
    let first = vec![
        required("stops", "Origin first, destination last; at least two.", stops()),
        required("departure", "When it leaves the origin: a local time with its zone, within the next 366 days.", reference("Moment")),
        required("seats", "For riders.", seats()),
    ];
    let last = vec![
        optional("group", "Shows the pool to this group alone; the caller's own.", or_null(text(GROUP_CHARS_MAX))),
        optional("booking", "How one gets a seat; `approval` unless told.", reference("Booking")),
        optional("hold_seconds", "How long a hold lasts; 600 unless told.", or_null(deciding())),
        optional("offer_seconds", "How long an offer to the waiting list lasts; 600 unless told.", or_null(deciding())),
    ];
    [first, more(), last].concat()
}

fn update_details() -> Vec<Field> {
    let first = vec![
        optional("stops", "Another way; only while nobody has asked for a seat.", or_null(stops())),
        optional("departure", "Another time.", or_null(reference("Moment"))),
        optional("seats", "More, or fewer as far as they are free.", or_null(seats())),
    ];
    let last = vec![
        optional("hold_seconds", "How long later holds last.", or_null(deciding())),
        optional("offer_seconds", "How long later offers last.", or_null(deciding())),
    ];
    [first, more(), last].concat()
}

fn part() -> Vec<Field> {
    vec![
        optional("seats", "How many; one unless told.", seats()),
        optional("from", "The stop where one gets in; the origin unless told.", or_null(uuid())),
        optional("to", "The stop where one gets out; the destination unless told.", or_null(uuid())),
    ]
}

fn hold() -> Vec<Field> {
    [vec![id()], part()].concat()
}

fn invite() -> Vec<Field> {
    [vec![id(), required("user", "Whom.", uuid())], part()].concat()
}

fn request() -> Vec<Field> {
    let wait = "Whether to be put on the waiting list when the seats are not free; otherwise the request is refused then.";
    let more = vec![optional("message", "What one writes to the owner.", or_null(words())), optional("wait", wait, flag())];
    [hold(), more].concat()
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::http::v1::rooms::schema::command::check;
    use tripsync_domain::pool::Command;

    #[test]
    fn every_command_is_described_with_exactly_its_fields() {
        check::<Command>(COMMANDS, &[]);
    }
}
