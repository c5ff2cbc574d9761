//! Schemas of everything under `/pools`, built from the domain's constants, so that the document's bounds are the code's.

mod command;

use crate::http::v1::rooms::schema::build::{
    Field, Made, any_list, any_object, count, flag, instant, integer, list, object, optional, or_null, reference, required, set, strict,
    string, tags, text, uuid,
};
use crate::http::v1::rooms::schema::{AT, ID, any_command, body_of, page, schemas, sent_command, written};
pub(super) use crate::http::v1::rooms::schema::{LogPage, Receipt};
use command::COMMANDS;
use serde_json::{Value, json};
use tripsync_domain::group::GROUP_CHARS_MAX;
use tripsync_domain::pool::{self, limits};

schemas! {
    PoolStatus = tags("Where a pool stands: `full` is without a free seat on any leg.", pool::PoolStatus::ALL.iter().map(|tag| tag.as_str()));
    Phase = tags("What the owner has told of the ride.", pool::Phase::ALL.iter().map(|tag| tag.as_str()));
    Booking = tags("How one gets a seat: the owner answers, or whoever asks first has it.", pool::Booking::ALL.iter().map(|tag| tag.as_str()));
    Relation = tags("What the caller is to the pool.", ["owner", "rider", "claimant", "visitor"].into_iter());
    NewStop = strict("A point of the way where people get in and out.", vec![
        optional("id", "Its id, when the client makes it (UUIDv7).", or_null(uuid())),
        required("name", "What it is called.", text(limits::STOP_CHARS_MAX)),
        required("position", "Where it is.", reference("Position")),
    ]).examples([json!({"name": "Lisboa Oriente", "position": {"lat": 38.7678, "lon": -9.0991}})]).build().into();
    Stop = object("A point of the way where people get in and out.", vec![
        required("id", "The stop.", uuid()),
        required("name", "What it is called.", text(limits::STOP_CHARS_MAX)),
        required("position", "Where it is.", reference("Position")),
    ], json!({"id": ID, "name": "Lisboa Oriente", "position": {"lat": 38.7678, "lon": -9.0991}}));
    Departure = object("When a pool leaves its first stop.", vec![
        required("local", "What the clock on the wall shows, with the zone.", reference("Moment")),
        required("at", "The instant.", instant()),
    ], json!({"local": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}, "at": "2027-05-02T08:30:00.000Z"}));

    NewPool = body_of(COMMANDS, "create", &[]);
    PoolPatch = body_of(COMMANDS, "update_details", &[]);
    SeatRequest = body_of(COMMANDS, "request", &[]);
    SeatHold = body_of(COMMANDS, "hold", &[]);
    SeatInvitation = body_of(COMMANDS, "invite", &[]);
    Boarding = body_of(COMMANDS, "board", &["claim"]);
    Reason = strict("Why, if one wants to say.", vec![
        optional("reason", "Whoever is concerned reads it.", or_null(text(limits::TEXT_CHARS_MAX))),
    ]).examples([json!({"reason": "The car broke down."})]).build().into();
    NewPoolMessage = body_of(COMMANDS, "send_message", &[]);
    NewReview = body_of(COMMANDS, "review", &[]);
    PoolCommand = any_command(COMMANDS);
    SentPoolCommand = sent_command("PoolCommand", json!({"type": "request", "seats": 2}));

    Pool = object("A pool as the caller sees it.", [vec![
        required("id", "The pool.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
        required("role", "The caller's rights: `organizer` for the owner, `participant` for riders, `viewer` for all others.", reference("Role")),
        required("relation", "What the caller is to it.", reference("Relation")),
        required("owner", "Who offers the ride and drives.", or_null(uuid())),
        required("owner_name", "The name, as it was when the pool was made.", or_null(string().build().into())),
        required("status", "Where it stands.", reference("PoolStatus")),
        required("phase", "What the owner has told.", reference("Phase")),
        required("phase_at", "Since when.", instant()),
    ], details(), vec![
        required("taken", "Taken seats on each leg between two stops.", list(seat_count(), limits::STOPS_MAX - 1)),
        required("seats_left", "Free seats all the way.", seat_count()),
        required("waiting", "How many are on the waiting list.", count()),
        required("claim", "The caller's own.", or_null(reference("Claim"))),
        required("riders", "Who is in the car; for those in it, else null.", or_null(list(reference("Rider"), usize::from(limits::SEATS_MAX)))),
        required("shares", "What riders owe, after the ride; for those in the car, else null.",
            or_null(list(reference("Share"), usize::from(limits::SEATS_MAX)))),
    ]].concat(), example_pool());
    PoolItem = object("A pool in the list of the caller's.", [vec![
        required("id", "The pool.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
        required("role", "The caller's rights.", reference("Role")),
        required("relation", "What the caller is to it.", reference("Relation")),
    ], summary(), vec![
        required("created_at", "When it was made.", instant()),
        required("updated_at", "When anything in it changed last.", instant()),
    ]].concat(), example_item(json!({"role": "viewer", "relation": "claimant", "created_at": AT, "updated_at": AT})));
    PoolHit = object("A pool that was found, with the section of its way that is nearest.", [vec![
        required("id", "The pool.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
    ], summary(), vec![
        required("section", "Where to get in and out.", object("A part of the way.", vec![
            required("from", "The stop where to get in.", uuid()),
            required("to", "The stop where to get out.", uuid()),
            required("seats", "Free seats there.", seat_count()),
        ], json!({"from": ID, "to": ID, "seats": 2}))),
        required("from_m", "Metres from where the search starts.", count()),
        required("to_m", "Metres to where the search goes; null when it goes anywhere.", or_null(count())),
    ]].concat(), example_item(json!({"section": {"from": ID, "to": ID, "seats": 2}, "from_m": 120, "to_m": 850})));
    PoolHitPage = object("One page of what was found.", vec![
        required("items", "Nearest first.", list(reference("PoolHit"), 100)),
        required("next", "The `cursor` of the next page; null on the last.", or_null(string().build().into())),
        required("complete", "Whether everything that could fit was looked at; otherwise a smaller radius or window finds what is missing.", flag()),
    ], json!({"items": [], "next": null, "complete": true}));
    PoolState = object("The pool as a socket that joins gets it.", vec![
        required("room", "The pool.", uuid()),
        required("kind", "`pool`.", string().build().into()),
        required("epoch", "With `seq` the place from which a socket can resume.", count()),
        required("seq", "The version.", count()),
        required("role", "The caller's rights.", reference("Role")),
        required("state", "As `joined.state` of the live protocol.", any_object()),
    ], json!({"room": ID, "kind": "pool", "epoch": 1, "seq": 42, "role": "viewer", "state": {"kind": "pool"}}));
    Claim = object("What somebody has asked for, holds, was offered, waits for or has.", vec![
        required("id", "The claim.", uuid()),
        required("user", "Whose.", uuid()),
        required("name", "The name, as it was when asking.", string().build().into()),
        required("seats", "How many.", seat_count()),
        required("from", "The stop where the rider gets in.", uuid()),
        required("to", "The stop where the rider gets out.", uuid()),
        required("message", "What the rider wrote to the owner.", or_null(text(limits::TEXT_CHARS_MAX))),
        required("asked_at", "When it was asked for.", instant()),
        required("stage", "How far it has come.", tags("How far a claim has come.", STAGES.into_iter())),
        required("approved", "Of one that waits: whether a free seat is offered to it; else null.", or_null(flag())),
        required("until", "When it ends by itself.", or_null(instant())),
        required("place", "The place on the waiting list, from 1.", or_null(count())),
        required("boarded", "Whether the rider got in; null before the driver has said.", or_null(flag())),
    ], example_claim());
    Rider = object("A rider as the others in the car see them.", vec![
        required("claim", "The claim.", uuid()),
        required("user", "Who.", uuid()),
        required("name", "The name.", string().build().into()),
        required("seats", "How many.", seat_count()),
        required("from", "The stop where they get in.", uuid()),
        required("to", "The stop where they get out.", uuid()),
        optional("boarded", "Whether they got in; absent before the driver has said.", flag()),
    ], json!({"claim": ID, "user": ID, "name": "Ben", "seats": 1, "from": ID, "to": ID}));
    Share = object("What a rider owes the owner.", vec![
        required("user", "Who.", uuid()),
        required("seats", "For how many seats.", seat_count()),
        required("minor", "In minor units of the pool's currency.", count()),
    ], json!({"user": ID, "seats": 1, "minor": 1500}));
    PoolMessage = object("A chat message.", vec![
        required("id", "The message.", uuid()),
        required("seq", "Its place in the pool's order.", count()),
        required("by", "Who wrote it.", uuid()),
        required("at", "When.", instant()),
        required("body", "What it says.", text(limits::MESSAGE_CHARS_MAX)),
        required("to", "Who was in the car and may read it.", set(uuid(), usize::from(limits::SEATS_MAX) + 1)),
    ], json!({"id": ID, "seq": 42, "by": ID, "at": AT, "body": "I am at the gate.", "to": [ID]}));
    Review = object("What somebody thinks of somebody with whom they rode.", vec![
        required("by", "Whose.", uuid()),
        required("of", "Of whom.", uuid()),
        required("stars", "How good.", integer(1, 5)),
        required("text", "In words.", or_null(text(limits::TEXT_CHARS_MAX))),
        required("at", "When.", instant()),
    ], json!({"by": ID, "of": ID, "stars": 5, "text": "Calm and on time.", "at": AT}));
    Pickup = strict("Where exactly a rider wants to be picked up.", vec![
        required("name", "What the place is called.", text(limits::STOP_CHARS_MAX)),
        required("position", "Where it is.", reference("Position")),
        optional("note", "How to find it.", or_null(text(limits::TEXT_CHARS_MAX))),
    ]).examples([json!({"name": "Rua Augusta 12", "position": {"lat": 38.7103, "lon": -9.1366}, "note": "The green door."})]).build().into();
    Contact = object("How to reach somebody.", vec![
        required("user", "Who.", uuid()),
        required("name", "The account's present name.", string().build().into()),
        required("claim", "The rider's claim.", uuid()),
        required("email", "The account's e-mail address.", string().build().into()),
        required("phone", "The account's phone number.", or_null(string().build().into())),
        required("pickup", "Where a rider wants to be picked up; for the owner.", or_null(reference("Pickup"))),
    ], json!({"user": ID, "name": "Ben", "claim": ID, "email": "ben@example.org", "phone": "+351210000000", "pickup": null}));

    WrittenPool = written("Pool", json!(null));
    WrittenClaim = written("Claim", json!(null));
    WrittenPoolMessage = written("PoolMessage", json!(null));
    WrittenReview = written("Review", json!(null));
    PoolPage = page("PoolItem");
    ClaimPage = page("Claim");
    PoolMessagePage = page("PoolMessage");
    ReviewPage = whole("The reviews of a ride.", "Review");
    ContactPage = whole("Those whom the caller can reach.", "Contact");
}

const STAGES: [&str; 5] = ["pending", "waiting", "held", "offered", "confirmed"];

fn seat_count() -> Made {
    integer(0, i64::from(limits::SEATS_MAX))
}

fn stops() -> Made {
    list(reference("Stop"), limits::STOPS_MAX)
}

fn details() -> Vec<Field> {
    vec![
        required("stops", "Origin first, destination last.", stops()),
        required("departure", "When it leaves the first stop.", reference("Departure")),
        required("seats", "For riders.", seat_count()),
        required("price", "What one seat costs; null: nothing.", or_null(reference("Money"))),
        required("car", "What the car is.", or_null(text(limits::CAR_CHARS_MAX))),
        required("preferences", "What the owner wants or does not want.", set(text(limits::PREFERENCE_CHARS_MAX), limits::PREFERENCES_MAX)),
        required("notes", "Anything else.", or_null(text(limits::TEXT_CHARS_MAX))),
        required("group", "The group whose members alone see the pool; null: everybody.", or_null(text(GROUP_CHARS_MAX))),
        required("booking", "How one gets a seat.", reference("Booking")),
        required("hold_seconds", "How long a hold lasts.", count()),
        required("offer_seconds", "How long an offer to the waiting list lasts.", count()),
    ]
}

fn summary() -> Vec<Field> {
    vec![
        required("title", "From where to where.", string().build().into()),
        required("owner", "Who offers the ride and drives.", uuid()),
        required("owner_name", "The name, as it was when the pool was made.", string().build().into()),
        required("stops", "Origin first, destination last.", stops()),
        required("departure", "When it leaves the first stop.", reference("Departure")),
        required("seats", "For riders.", seat_count()),
        required("seats_left", "Free seats all the way.", seat_count()),
        required("price", "What one seat costs; null: nothing.", or_null(reference("Money"))),
        required("booking", "How one gets a seat.", reference("Booking")),
        required("group", "The group whose members alone see the pool; null: everybody.", or_null(text(GROUP_CHARS_MAX))),
        required("status", "Where it stands.", reference("PoolStatus")),
    ]
}

fn whole(about: &str, of: &str) -> Made {
    object(
        about,
        vec![
            required("items", "All of them.", any_list(reference(of))),
            required("next", "Always null: there is one page.", or_null(string().build().into())),
        ],
        json!({"items": [], "next": null}),
    )
}

fn example_stops() -> Value {
    json!([
        {"id": ID, "name": "Lisboa Oriente", "position": {"lat": 38.7678, "lon": -9.0991}},
        {"id": "01920000-0000-7000-8000-0000000000fe", "name": "Porto Campanhã", "position": {"lat": 41.1487, "lon": -8.5856}}
    ])
}

fn example_item(more: Value) -> Value {
    let mut item = json!({
        "id": ID, "seq": 42, "title": "Lisboa Oriente → Porto Campanhã", "owner": ID, "owner_name": "Ann", "stops": example_stops(),
        "departure": {"local": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}, "at": "2027-05-02T08:30:00.000Z"},
        "seats": 3, "seats_left": 2, "price": {"minor": 1500, "currency": "EUR"}, "booking": "approval", "group": null, "status": "open"
    });
    if let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) {
        item.extend(more);
    }
    item
}

fn example_pool() -> Value {
    let mut pool = example_item(json!({
        "role": "viewer", "relation": "visitor", "phase": "scheduled", "phase_at": AT, "car": "a red Renault", "preferences": ["no smoking"],
        "notes": null, "hold_seconds": 600, "offer_seconds": 600, "taken": [1], "waiting": 0, "claim": null, "riders": null, "shares": null
    }));
    if let Some(pool) = pool.as_object_mut() {
        pool.remove("title");
    }
    pool
}

fn example_claim() -> Value {
    json!({
        "id": ID, "user": ID, "name": "Ben", "seats": 2, "from": ID, "to": "01920000-0000-7000-8000-0000000000fe", "message": null,
        "asked_at": AT, "stage": "waiting", "approved": true, "until": null, "place": 1, "boarded": null
    })
}
