//! The fields of every command, once: for the bodies of the resource-shaped routes and for commands as they are.

use crate::http::v1::rooms::schema::build::{
    Field, Made, any_object, count, date, flag, list, optional, or_null, reference, required, set, text, uuid,
};
use crate::http::v1::rooms::schema::command::commands;
use serde_json::json;
use tripsync_domain::trip::limits;

const SOME_ID: &str = "01920000-0000-7000-8000-0000000000ff";

commands! {
    "create" "Makes the trip; only as the body of `trips.create`." create() => {
        "title": "Lisbon in May", "destination": "Lisbon", "start_date": "2027-05-02", "end_date": "2027-05-06",
        "budget": {"minor": 120_000, "currency": "EUR"}
    };
    "update_details" "Changes the trip itself. Absent fields stay, null empties." update_details() => {"title": "Lisbon and Sintra", "description": null};
    "set_status" "Changes where the trip stands." vec![required("status", "The new status.", reference("TripStatus"))] => {"status": "active"};
    "delete" "Deletes the trip for everybody." Vec::new() => {};
    "add_member" "Takes a user in." vec![user("Whom."), role()] => {"user": SOME_ID, "role": "participant"};
    "set_role" "Changes a member's rights." vec![user("Whose."), role()] => {"user": SOME_ID, "role": "viewer"};
    "remove_member" "Puts a member out." vec![user("Whom.")] => {"user": SOME_ID};
    "leave" "Leaves the trip." Vec::new() => {};
    "add_activity" "Adds an activity." add_activity() => {
        "title": "Belém Tower", "kind": "sightseeing",
        "start": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}, "end": {"local": "2027-05-02T11:00", "tz": "Europe/Lisbon"},
        "cost": {"minor": 800, "currency": "EUR"}
    };
    "update_activity" "Changes an activity. Absent fields stay, null empties; a start on another day moves it there." update_activity() => {
        "activity": SOME_ID, "status": "booked", "notes": "Tickets are in the folder."
    };
    "remove_activity" "Removes an activity." vec![activity()] => {"activity": SOME_ID};
    "move_activity" "Moves an activity within its day or to another; its times move along." move_activity() => {
        "activity": SOME_ID, "day": "2027-05-03", "after": null
    };
    "add_place" "Adds a place; no two have the same name at the same position." add_place() => {
        "name": "Jerónimos Monastery", "position": {"lat": 38.6979, "lon": -9.2068}
    };
    "update_place" "Changes a place. Absent fields stay, null empties." update_place() => {"place": SOME_ID, "notes": "Closed on Mondays."};
    "remove_place" "Removes a place; activities there lose it." vec![place()] => {"place": SOME_ID};
    "vote_place" "Votes for a place or takes the vote back." vec![place(), on()] => {"place": SOME_ID, "on": true};
    "add_expense" "Adds an expense: who paid what, and exactly whose it was." add_expense() => {
        "title": "Tram", "payer": SOME_ID, "amount": {"minor": 600, "currency": "EUR"}, "shares": [{"user": SOME_ID, "minor": 600}]
    };
    "update_expense" "Changes an expense. Absent fields stay, null empties; what becomes of it must add up." update_expense() => {
        "expense": SOME_ID, "date": "2027-05-03"
    };
    "remove_expense" "Removes an expense." vec![expense()] => {"expense": SOME_ID};
    "send_message" "Writes to the chat." send_message() => {"body": "Who books the tram?"};
    "edit_message" "Changes what one's own message says." vec![message(), body()] => {"message": SOME_ID, "body": "Who books the tram 28?"};
    "delete_message" "Deletes a message: one's own, or as an organizer anybody's." vec![message()] => {"message": SOME_ID};
    "react" "Reacts to a message or takes the reaction back." vec![message(), emoji(), on()] => {"message": SOME_ID, "emoji": "👍", "on": true};
    "mark_read" "Says up to where the chat was read; a smaller seq than before changes nothing." vec![
        required("seq", "The newest seq of the trip that was read.", count())
    ] => {"seq": 42};
}

fn user(about: &str) -> Field {
    required("user", about, uuid())
}

fn role() -> Field {
    required("role", "The rights.", reference("Role"))
}

fn activity() -> Field {
    required("activity", "Which.", uuid())
}

fn place() -> Field {
    required("place", "Which.", uuid())
}

fn expense() -> Field {
    required("expense", "Which.", uuid())
}

fn message() -> Field {
    required("message", "Which.", uuid())
}

fn on() -> Field {
    required("on", "Whether so, or not any more.", flag())
}

fn emoji() -> Field {
    required("emoji", "How.", reference("Emoji"))
}

fn body() -> Field {
    required("body", "What it says.", text(limits::MESSAGE_CHARS_MAX))
}

fn new_id() -> Field {
    optional("id", "Its id, when the client makes it (UUIDv7).", or_null(uuid()))
}

fn money() -> Made {
    or_null(reference("Money"))
}

fn moment() -> Made {
    or_null(reference("Moment"))
}

fn details() -> Vec<Field> {
    vec![
        optional("description", "What it is about.", or_null(text(limits::DESCRIPTION_CHARS_MAX))),
        optional("destination", "Where it goes.", or_null(text(limits::DESTINATION_CHARS_MAX))),
        optional("start_date", "The first day.", or_null(date())),
        optional("end_date", "The last day; not before the first.", or_null(date())),
        optional("trip_type", "What sort of trip it is.", reference("TripType")),
        optional("budget", "What it may cost; not negative.", money()),
        optional("privacy", "Who may find it. Reading always needs membership.", reference("Privacy")),
        optional("trip_data", "Free-form data, at most 8 KiB as JSON and 8 levels deep; replaced as a whole.", or_null(any_object())),
    ]
}

fn title() -> Made {
    text(limits::TITLE_CHARS_MAX)
}

fn create() -> Vec<Field> {
    [vec![required("title", "What it is called.", title())], details()].concat()
}

fn update_details() -> Vec<Field> {
    let status = "The new status, for organizers: planning → active, cancelled; active → completed, cancelled, planning; completed → active; \
        cancelled → planning.";
    let own = vec![optional("title", "What it is called.", title()), optional("status", status, reference("TripStatus"))];
    [own, details()].concat()
}

/// What an activity has beside its title.
fn activity_fields() -> Vec<Field> {
    vec![
        optional("kind", "What sort of activity it is.", reference("ActivityKind")),
        optional("status", "Where it stands.", reference("ActivityStatus")),
        optional("start", "When it starts.", moment()),
        optional("end", "When it ends; only with a start.", moment()),
        optional("place", "A place of this trip.", or_null(uuid())),
        optional("cost", "What it costs; not negative.", money()),
        optional("assignees", "Members who take care of it; replaced as a whole.", set(uuid(), limits::ASSIGNEES_MAX)),
        optional("notes", "Anything else.", or_null(text(limits::NOTES_CHARS_MAX))),
    ]
}

fn after() -> Field {
    optional("after", "The activity to place it behind: absent for the end of the day's list, null for its beginning.", or_null(uuid()))
}

fn add_activity() -> Vec<Field> {
    let own = vec![
        new_id(),
        required("title", "What it is called.", title()),
        optional("day", "The day; when absent that of `start`; without both it is unscheduled.", or_null(date())),
        after(),
    ];
    [own, activity_fields()].concat()
}

fn update_activity() -> Vec<Field> {
    [vec![activity(), optional("title", "What it is called.", title())], activity_fields()].concat()
}

fn move_activity() -> Vec<Field> {
    let day = optional("day", "The day: absent for the one where it is, null for the unscheduled ones.", or_null(date()));
    vec![activity(), day, after()]
}

fn place_fields() -> Vec<Field> {
    vec![
        optional("kind", "What sort of place it is.", reference("PlaceKind")),
        optional("position", "Where it is.", or_null(reference("Position"))),
        optional("address", "Its postal address.", or_null(text(limits::ADDRESS_CHARS_MAX))),
        optional("notes", "Anything else.", or_null(text(limits::NOTES_CHARS_MAX))),
    ]
}

fn add_place() -> Vec<Field> {
    [vec![new_id(), required("name", "What it is called.", title())], place_fields()].concat()
}

fn update_place() -> Vec<Field> {
    [vec![place(), optional("name", "What it is called.", title())], place_fields()].concat()
}

fn shares() -> Made {
    list(reference("ExpenseShare"), limits::SHARES_MAX)
}

fn paid_on() -> Field {
    optional("date", "The day on which it was paid.", or_null(date()))
}

fn add_expense() -> Vec<Field> {
    vec![
        new_id(),
        required("title", "What was paid for.", title()),
        required("payer", "The member who paid.", uuid()),
        required("amount", "What was paid; more than nothing.", reference("Money")),
        required("shares", "What it is to each member who takes part, each once; adds up to the amount exactly.", shares()),
        paid_on(),
    ]
}

fn update_expense() -> Vec<Field> {
    vec![
        expense(),
        optional("title", "What was paid for.", title()),
        optional("payer", "Who paid.", uuid()),
        optional("amount", "What was paid; more than nothing.", reference("Money")),
        optional("shares", "What it is to each, replaced as a whole.", shares()),
        paid_on(),
    ]
}

fn send_message() -> Vec<Field> {
    vec![
        new_id(),
        body(),
        optional("reply_to", "One of the newest messages, which it answers.", or_null(uuid())),
        optional("anchor", "What it is about.", or_null(reference("Anchor"))),
        optional("mentions", "Members that it mentions.", set(uuid(), limits::MENTIONS_MAX)),
    ]
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::http::v1::rooms::schema::command::check;
    use tripsync_domain::trip::Command;

    #[test]
    fn every_command_is_described_with_exactly_its_fields() {
        check::<Command>(COMMANDS, &[]);
    }
}
