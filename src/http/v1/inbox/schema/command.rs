//! The fields of every command to an inbox that is not the server's own, once.

use crate::http::v1::rooms::schema::build::{
    Field, Made, count, flag, instant, integer, optional, or_null, reference, required, set, text, uuid,
};
use crate::http::v1::rooms::schema::command::commands;
use serde_json::json;
use tripsync_domain::inbox::limits;
use tripsync_domain::pool::limits::SEATS_MAX;

const SOME_ID: &str = "01920000-0000-7000-8000-0000000000ff";

commands! {
    "mark_read" "Marks as read. What comes later stays unread." vec![
        optional("up_to", "Everything up to this seq.", or_null(count())),
        optional("items", "These items.", set(uuid(), limits::MARKS_MAX)),
    ] => {"up_to": 42};
    "request_ride" "\"I am going there now\"; replaces the request that is there." vec![
        id(), spot("from", "Where the ride starts."), spot("to", "Where it ends."), seats("How many people want to ride; one unless told."),
    ] => {"from": {"name": "Gate 3", "position": {"lat": 38.77, "lon": -9.13}}, "to": {"position": {"lat": 38.71, "lon": -9.14}}};
    "cancel_ride" "Takes the ride request back." vec![
        required("ride", "Which.", uuid()), optional("pooled", "The server's own.", flag())
    ] => {"ride": SOME_ID};
    "save_search" "Keeps a search, or replaces the one with the same id." save_search() => {
        "name": "Home on Fridays", "from": {"position": {"lat": 38.77, "lon": -9.1}}, "to": {"position": {"lat": 41.15, "lon": -8.6}}
    };
    "delete_search" "Drops a search." vec![required("search", "Which.", uuid())] => {"search": SOME_ID};
}

fn id() -> Field {
    optional("id", "Its id, when the client makes it (UUIDv7).", or_null(uuid()))
}

fn spot(name: &'static str, about: &str) -> Field {
    required(name, about, reference("Spot"))
}

fn seats(about: &str) -> Field {
    optional("seats", about, seat_count())
}

fn seat_count() -> Made {
    integer(1, i64::from(SEATS_MAX))
}

fn save_search() -> Vec<Field> {
    let radius = integer(100, i64::from(limits::RADIUS_MAX_M));
    vec![
        id(),
        required("name", "What it is called.", text(limits::LABEL_CHARS_MAX)),
        spot("from", "Near which start."),
        spot("to", "Near which destination."),
        optional("radius_m", "How far around both, in metres; 5,000 unless told.", or_null(radius)),
        optional("after", "Departing at or after.", or_null(instant())),
        optional("before", "Departing at or before.", or_null(instant())),
        seats("With at least so many free seats; one unless told."),
        optional("price_max", "For at most this price per seat.", or_null(reference("Money"))),
    ]
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::http::v1::rooms::schema::command::check;
    use tripsync_domain::inbox::Command;

    #[test]
    fn every_command_is_described_with_exactly_its_fields() {
        check::<Command>(COMMANDS, &["open", "deliver"]);
    }
}
