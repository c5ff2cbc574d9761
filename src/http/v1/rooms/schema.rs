//! Schemas that the resources of several kinds of rooms have in common, and the way to write them.
//!
//! Bodies of writes are judged by the domain's strict parser, not by types here; that the fields described here are exactly the fields it
//! knows is a test ([`command::check`]).

pub(in crate::http::v1) mod build;
pub(in crate::http::v1) mod command;

use crate::http::v1::page::{CURSOR_CHARS_MAX, LIMIT_MAX};
use build::{
    Field, Made, any_list, any_object, anything, count, date, flag, instant, integer, list, object, one_of, optional, or_null, reference,
    required, strict, string, tags, text, uuid,
};
pub(in crate::http::v1) use command::{any_command, body_of};
use serde_json::{Value, json};
use tripsync_domain::Role as RoomRole;
use tripsync_domain::money::MINOR_UNITS_MAX;
use tripsync_domain::sequence::COMMAND_NUMBER_MAX;
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// A value of examples.
pub(in crate::http::v1) const ID: &str = "01920000-0000-7000-8000-0000000000ff";
/// A value of examples.
pub(in crate::http::v1) const AT: &str = "2027-05-02T09:30:00.123Z";

/// Declares named schemas, and the list of all of them.
macro_rules! schemas {
    ($($name:ident = $make:expr;)*) => {
        $(
            #[doc = concat!("The schema `", stringify!($name), "`.")]
            pub(in crate::http::v1) enum $name {}

            impl utoipa::PartialSchema for $name {
                fn schema() -> $crate::http::v1::rooms::schema::build::Made {
                    $make
                }
            }

            impl utoipa::ToSchema for $name {}
        )*

        /// All of them by name; the document gets them whether a route names them or only another schema does.
        pub(in crate::http::v1) fn named() -> Vec<(&'static str, $crate::http::v1::rooms::schema::build::Made)> {
            vec![$((stringify!($name), <$name as utoipa::PartialSchema>::schema()),)*]
        }
    };
}

pub(in crate::http::v1) use schemas;

schemas! {
    Role = tags(
        "A member's rights: a viewer sees and chats, a participant edits too, an organizer manages members and deletes too.",
        [RoomRole::Viewer, RoomRole::Participant, RoomRole::Organizer].iter().map(|role| role.as_str())
    );
    Money = strict("An amount in the smallest unit of its currency: 1250 EUR cents are twelve euros fifty.", vec![
        required("minor", "Minor units.", integer(-MINOR_UNITS_MAX, MINOR_UNITS_MAX)),
        required("currency", "ISO 4217.", string().pattern(Some("^[A-Z]{3}$")).build().into()),
    ]).examples([json!({"minor": 1250, "currency": "EUR"})]).build().into();
    Position = strict("A point on the earth in degrees (WGS 84).", vec![
        required("lat", "North positive.", degrees(90.0)),
        required("lon", "East positive.", degrees(180.0)),
    ]).examples([json!({"lat": 38.6916, "lon": -9.216})]).build().into();
    Moment = one_of("A whole day, or a local time with its zone, which survives changes of the zone's rules.", [
        strict("A whole day.", vec![required("date", "The day.", date())]).examples([json!({"date": "2027-05-02"})]).build().into(),
        strict("A time of day where the zone applies.", vec![
            required("local", "What the clock on the wall shows.", local_time()),
            required("tz", "IANA name of the zone.", string().min_length(Some(1)).max_length(Some(64)).build().into()),
        ]).examples([json!({"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"})]).build().into(),
    ]);
    Conflict = object("A value that somebody else set after the author's `base` and that the command overwrote.", vec![
        required("path", "JSON pointer into the room's live state.", string().build().into()),
        required("by", "Who had set it.", uuid()),
        required("at", "When.", instant()),
        required("seq", "In which event.", count()),
        required("theirs", "The overwritten value.", anything()),
        required("yours", "The value that stands now.", anything()),
    ], json!({"path": "/details/title", "by": ID, "at": AT, "seq": 41, "theirs": "Lisbon", "yours": "Lisbon in May"}));
    Receipt = object("What became of a command: it is stored.", receipt(), example_receipt());
    LogEntry = object("An event of a room in words.", vec![
        required("seq", "Its place in the room's order.", count()),
        required("at", "When.", instant()),
        required("by", "Who did it; the nil UUID for what the room did by itself, and where who it was is not for the reader.", uuid()),
        required("by_name", "That account's present name; null when there is none.", or_null(string().build().into())),
        required("type", "What happened, for programs; new types may be added.", string().build().into()),
        required("text", "What happened, in English; to be read behind the name.", string().build().into()),
        required("entity", "The thing or user that it is about.", or_null(uuid())),
        required("client", "The client whose numbered command it was.", or_null(uuid())),
        required("n", "That command's number.", or_null(count())),
        required("conflicts", "What the command overwrote unseen.", any_list(reference("Conflict"))),
        required("event", "The event as sockets get it.", any_object()),
    ], json!({
        "seq": 42, "at": AT, "by": ID, "by_name": "Ann", "type": "activity_removed", "text": "removed the activity “Belém Tower”",
        "entity": ID, "client": null, "n": null, "conflicts": [], "event": {"type": "activity_removed"}
    }));
    LogPage = page("LogEntry");
}

fn degrees(bound: f64) -> Made {
    ObjectBuilder::new().schema_type(Type::Number).minimum(Some(-bound)).maximum(Some(bound)).build().into()
}

fn local_time() -> Made {
    string().pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")).build().into()
}

fn receipt() -> Vec<Field> {
    vec![
        required("seq", "The seq of the command's last event.", count()),
        required("repeated", "Whether an earlier sending of it had been applied already.", flag()),
        required("conflicts", "What it overwrote without its author having seen it (with `base`).", any_list(reference("Conflict"))),
    ]
}

fn example_receipt() -> Value {
    json!({"seq": 42, "repeated": false, "conflicts": []})
}

/// The body of a route that takes any command.
pub(in crate::http::v1) fn sent_command(command: &str, example: Value) -> Made {
    let number_max = i64::try_from(COMMAND_NUMBER_MAX).unwrap_or(i64::MAX);
    let mut whole = json!({"base": 41});
    whole["cmd"] = example;
    strict(
        "A command with what a socket's `op` says of it.",
        vec![
            required("cmd", "The command.", reference(command)),
            optional(
                "base",
                "The seq that the author had seen; values that others changed since come back as conflicts.",
                or_null(count()),
            ),
            optional("client", "With `n`: the identity under which the command is applied once, shared with sockets.", or_null(uuid())),
            optional("n", "The client's number of the command; rises.", or_null(integer(1, number_max))),
        ],
    )
    .examples([whole])
    .build()
    .into()
}

pub(in crate::http::v1) fn written(of: &str, item: Value) -> Made {
    let own = vec![
        required("id", "What was written.", uuid()),
        required("item", "It as it is now; null when it is gone by now.", or_null(reference(of))),
    ];
    let mut example = example_receipt();
    example["id"] = ID.into();
    example["item"] = item;
    object("A stored command and what it was about.", [own, receipt()].concat(), example)
}

/// A page of a list of what is called so.
pub(in crate::http::v1) fn page(of: &str) -> Made {
    object(
        "One page of a list.",
        vec![
            required("items", "In the list's order.", list(reference(of), usize::try_from(LIMIT_MAX).unwrap_or(usize::MAX))),
            required("next", "The `cursor` of the next page; null on the last.", or_null(text(CURSOR_CHARS_MAX))),
        ],
        json!({"items": [], "next": null}),
    )
}
