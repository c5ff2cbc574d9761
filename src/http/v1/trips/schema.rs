//! Schemas of everything under `/trips`, built from the domain's constants, so that the document's bounds are the code's.
//!
//! Bodies of writes are judged by the domain's strict parser, not by types here; that the fields described here are exactly the
//! fields it knows is a test.

mod command;

use crate::http::v1::rooms::schema::build::{
    Field, Made, any_object, count, date, instant, list, map, object, one_of, optional, or_null, reference, required, set, strict, string,
    tags, text, uuid,
};
use crate::http::v1::rooms::schema::{AT, ID, any_command, body_of, page, schemas, sent_command, written};
pub(super) use crate::http::v1::rooms::schema::{LogPage, Receipt};
use command::COMMANDS;
use serde_json::{Value, json};
use tripsync_domain::trip::{self, limits};

schemas! {
    TripStatus = tags("Where a trip stands.", trip::TripStatus::ALL.iter().map(|tag| tag.as_str()));
    TripType = tags("What sort of trip it is.", trip::TripType::ALL.iter().map(|tag| tag.as_str()));
    Privacy = tags("Who may find a trip.", trip::Privacy::ALL.iter().map(|tag| tag.as_str()));
    ActivityKind = tags("What sort of activity it is.", trip::ActivityKind::ALL.iter().map(|tag| tag.as_str()));
    ActivityStatus = tags("Where an activity stands.", trip::ActivityStatus::ALL.iter().map(|tag| tag.as_str()));
    PlaceKind = tags("What sort of place it is.", trip::PlaceKind::ALL.iter().map(|tag| tag.as_str()));
    Emoji = string()
        .description(Some("An emoji: no letters, no blanks, not only ASCII."))
        .min_length(Some(1))
        .max_length(Some(limits::EMOJI_CHARS_MAX))
        .examples([json!("👍")])
        .build()
        .into();
    Anchor = one_of("What a message is about.", [
        strict("An activity.", vec![required("activity", "Which.", uuid())]).build().into(),
        strict("A place.", vec![required("place", "Which.", uuid())]).build().into(),
    ]);

    NewTrip = body_of(COMMANDS, "create", &[]);
    TripPatch = body_of(COMMANDS, "update_details", &[]);
    NewMember = new_member();
    MemberPatch = body_of(COMMANDS, "set_role", &["user"]);
    NewActivity = body_of(COMMANDS, "add_activity", &[]);
    ActivityPatch = body_of(COMMANDS, "update_activity", &["activity"]);
    ActivityMove = body_of(COMMANDS, "move_activity", &["activity"]);
    NewPlace = body_of(COMMANDS, "add_place", &[]);
    PlacePatch = body_of(COMMANDS, "update_place", &["place"]);
    NewExpense = body_of(COMMANDS, "add_expense", &[]);
    ExpensePatch = body_of(COMMANDS, "update_expense", &["expense"]);
    NewMessage = body_of(COMMANDS, "send_message", &[]);
    MessagePatch = body_of(COMMANDS, "edit_message", &["message"]);
    NewReadMark = body_of(COMMANDS, "mark_read", &[]);
    Command = any_command(COMMANDS);
    SentCommand = sent_command("Command", json!({"type": "send_message", "body": "Who books the tram?"}));

    Trip = object("A trip without its collections.", [vec![
        required("id", "The trip.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
        required("role", "The caller's rights.", reference("Role")),
        required("creator", "Who made it; stays an organizer.", or_null(uuid())),
    ], details(), vec![
        required("members", "How many.", count()),
        required("activities", "How many.", count()),
        required("places", "How many.", count()),
        required("expenses", "How many.", count()),
        required("created_at", "When it was made.", or_null(instant())),
    ]].concat(), example_trip());
    TripItem = object("A trip in a list.", [vec![
        required("id", "The trip.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
        required("role", "The caller's rights.", reference("Role")),
        required("title", "What it is called.", text(limits::TITLE_CHARS_MAX)),
        required("destination", "Where it goes.", or_null(text(limits::DESTINATION_CHARS_MAX))),
        required("start_date", "The first day.", or_null(date())),
        required("end_date", "The last day.", or_null(date())),
        required("status", "Where it stands.", reference("TripStatus")),
        required("trip_type", "What sort of trip it is.", reference("TripType")),
        required("privacy", "Who may find it.", reference("Privacy")),
        required("members", "How many.", count()),
        required("activities", "How many.", count()),
        required("created_at", "When it was made.", instant()),
        required("updated_at", "When anything in it changed last.", instant()),
    ]].concat(), json!({
        "id": ID, "seq": 42, "role": "organizer", "title": "Lisbon in May", "destination": "Lisbon", "start_date": "2027-05-02",
        "end_date": "2027-05-06", "status": "planning", "trip_type": "city", "privacy": "private", "members": 3, "activities": 12,
        "created_at": AT, "updated_at": AT
    }));
    TripState = object("The whole trip as a socket that joins gets it.", vec![
        required("room", "The trip.", uuid()),
        required("kind", "`trip`.", string().build().into()),
        required("epoch", "With `seq` the place from which a socket can resume.", count()),
        required("seq", "The version.", count()),
        required("role", "The caller's rights.", reference("Role")),
        required("state", "As `joined.state` of the live protocol.", any_object()),
    ], json!({"room": ID, "kind": "trip", "epoch": 1, "seq": 42, "role": "organizer", "state": {"kind": "trip"}}));
    Member = object("A member of a trip.", vec![
        required("user", "The account.", uuid()),
        required("role", "The rights.", reference("Role")),
        required("name", "The name that others see; null when the account is gone.", or_null(string().build().into())),
        required("username", "For finding the account.", or_null(string().build().into())),
        required("joined_at", "Since when.", instant()),
    ], json!({"user": ID, "role": "participant", "name": "Ann", "username": "ann", "joined_at": AT}));
    Activity = object("Something to do.", [vec![
        required("id", "The activity.", uuid()),
        required("title", "What it is called.", text(limits::TITLE_CHARS_MAX)),
        required("kind", "What sort of activity it is.", reference("ActivityKind")),
        required("status", "Where it stands.", reference("ActivityStatus")),
        required("day", "The day in whose list it is; null: unscheduled.", or_null(date())),
        required("start", "When it starts.", or_null(reference("Moment"))),
        required("end", "When it ends.", or_null(reference("Moment"))),
        required("place", "A place of this trip.", or_null(uuid())),
        required("cost", "What it costs.", or_null(reference("Money"))),
        required("assignees", "Members who take care of it.", set(uuid(), limits::ASSIGNEES_MAX)),
        required("notes", "Anything else.", or_null(text(limits::NOTES_CHARS_MAX))),
    ], stamps()].concat(), json!({
        "id": ID, "title": "Belém Tower", "kind": "sightseeing", "status": "planned", "day": "2027-05-02",
        "start": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}, "end": null, "place": null,
        "cost": {"minor": 800, "currency": "EUR"}, "assignees": [], "notes": null,
        "created_by": ID, "created_at": AT, "updated_by": ID, "updated_at": AT
    }));
    Place = object("Somewhere to go.", [vec![
        required("id", "The place.", uuid()),
        required("name", "What it is called.", text(limits::TITLE_CHARS_MAX)),
        required("kind", "What sort of place it is.", reference("PlaceKind")),
        required("position", "Where it is.", or_null(reference("Position"))),
        required("address", "Its postal address.", or_null(text(limits::ADDRESS_CHARS_MAX))),
        required("notes", "Anything else.", or_null(text(limits::NOTES_CHARS_MAX))),
        required("votes", "Members who want to go there.", set(uuid(), limits::MEMBERS_MAX)),
        optional("distance_m", "Metres from `near`, in a list that asks for it.", count()),
    ], stamps()].concat(), json!({
        "id": ID, "name": "Jerónimos Monastery", "kind": "poi", "position": {"lat": 38.6979, "lon": -9.2068}, "address": null,
        "notes": null, "votes": [ID], "created_by": ID, "created_at": AT, "updated_by": ID, "updated_at": AT
    }));
    ExpenseShare = strict("What an expense is to one person.", vec![
        required("user", "Who.", uuid()),
        required("minor", "How much, in minor units of the amount's currency; not negative.", count()),
    ]).build().into();
    Expense = object("What somebody paid for others.", [vec![
        required("id", "The expense.", uuid()),
        required("title", "What was paid for.", text(limits::TITLE_CHARS_MAX)),
        required("payer", "Who paid.", uuid()),
        required("amount", "What was paid.", reference("Money")),
        required("shares", "Whose it was: adds up to the amount. Whoever has left the trip stays in it.",
            list(reference("ExpenseShare"), limits::SHARES_MAX)),
        required("date", "The day on which it was paid.", or_null(date())),
        required("pool", "The pool whose ride it is.", or_null(uuid())),
    ], stamps()].concat(), json!({
        "id": ID, "title": "Tram", "payer": ID, "amount": {"minor": 600, "currency": "EUR"}, "shares": [{"user": ID, "minor": 600}],
        "date": "2027-05-02", "pool": null, "created_by": ID, "created_at": AT, "updated_by": ID, "updated_at": AT
    }));
    Message = object("A chat message.", vec![
        required("id", "The message.", uuid()),
        required("seq", "Its place in the chat, which read marks count.", count()),
        required("by", "Who wrote it.", uuid()),
        required("at", "When.", instant()),
        required("body", "What it says; null once it is deleted.", or_null(text(limits::MESSAGE_CHARS_MAX))),
        required("reply_to", "The message that it answers.", or_null(uuid())),
        required("anchor", "What it is about.", or_null(reference("Anchor"))),
        required("mentions", "Members that it mentions.", set(uuid(), limits::MENTIONS_MAX)),
        required("edited_at", "When it was last edited.", or_null(instant())),
        required("reactions", "Who reacted how: users by emoji.", map(set(uuid(), limits::MEMBERS_MAX))),
    ], json!({
        "id": ID, "seq": 42, "by": ID, "at": AT, "body": "Who books the tram?", "reply_to": null, "anchor": null, "mentions": [],
        "edited_at": null, "reactions": {"👍": [ID]}
    }));
    ReadMark = object("How far a member has read.", vec![
        required("user", "The member.", uuid()),
        required("seq", "The newest seq that was read.", count()),
    ], json!({"user": ID, "seq": 42}));
    WrittenTrip = written("Trip", example_trip());
    WrittenMember = written("Member", json!(null));
    WrittenActivity = written("Activity", json!(null));
    WrittenPlace = written("Place", json!(null));
    WrittenExpense = written("Expense", json!(null));
    WrittenMessage = written("Message", json!(null));
    TripPage = page("TripItem");
    MemberPage = page("Member");
    ActivityPage = page("Activity");
    PlacePage = page("Place");
    ExpensePage = page("Expense");
    MessagePage = page("Message");
    ReadMarkPage = object("The read marks of all members.", vec![
        required("items", "One per member who has read.", list(reference("ReadMark"), limits::MEMBERS_MAX)),
        required("next", "Always null: there is one page.", or_null(string().build().into())),
    ], json!({"items": [], "next": null}));
}

fn new_member() -> Made {
    let about = "A user to take in, by exactly one of `user`, `username` and `email`.";
    strict(
        about,
        vec![
            optional("user", "The account.", or_null(uuid())),
            optional("username", "The account's user name, in whatever case.", or_null(text(super::members::HANDLE_CHARS_MAX))),
            optional("email", "The account's e-mail address, in whatever case.", or_null(text(super::members::HANDLE_CHARS_MAX))),
            required("role", "The rights.", reference("Role")),
        ],
    )
    .examples([json!({"username": "ben", "role": "participant"})])
    .build()
    .into()
}

fn details() -> Vec<Field> {
    vec![
        required("title", "What it is called.", text(limits::TITLE_CHARS_MAX)),
        required("description", "What it is about.", or_null(text(limits::DESCRIPTION_CHARS_MAX))),
        required("destination", "Where it goes.", or_null(text(limits::DESTINATION_CHARS_MAX))),
        required("start_date", "The first day.", or_null(date())),
        required("end_date", "The last day.", or_null(date())),
        required("status", "Where it stands.", reference("TripStatus")),
        required("trip_type", "What sort of trip it is.", reference("TripType")),
        required("budget", "What it may cost.", or_null(reference("Money"))),
        required("privacy", "Who may find it.", reference("Privacy")),
        required("trip_data", "Free-form data.", or_null(any_object())),
    ]
}

fn stamps() -> Vec<Field> {
    vec![
        required("created_by", "Who made it.", uuid()),
        required("created_at", "When.", instant()),
        required("updated_by", "Who changed it last.", uuid()),
        required("updated_at", "When.", instant()),
    ]
}

fn example_trip() -> Value {
    json!({
        "id": ID, "seq": 42, "role": "organizer", "creator": ID, "title": "Lisbon in May", "description": null, "destination": "Lisbon",
        "start_date": "2027-05-02", "end_date": "2027-05-06", "status": "planning", "trip_type": "city",
        "budget": {"minor": 120_000, "currency": "EUR"}, "privacy": "private", "trip_data": null, "members": 3, "activities": 12,
        "places": 8, "expenses": 5, "created_at": AT
    })
}
