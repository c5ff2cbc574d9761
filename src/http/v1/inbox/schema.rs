//! Schemas of the caller's inbox, built from the domain's constants, so that the document's bounds are the code's.

mod command;

pub(super) use crate::http::v1::rooms::schema::Receipt;
use crate::http::v1::rooms::schema::build::{
    any_list, any_object, count, flag, instant, integer, list, object, optional, or_null, reference, required, strict, string, text, uuid,
};
use crate::http::v1::rooms::schema::{AT, ID, body_of, page, schemas, written};
use command::COMMANDS;
use serde_json::{Value, json};
use tripsync_domain::group::GROUP_CHARS_MAX;
use tripsync_domain::inbox::limits;
use tripsync_domain::pool::limits::SEATS_MAX;

schemas! {
    Spot = strict("A place with its name.", vec![
        optional("name", "What it is called.", or_null(text(limits::LABEL_CHARS_MAX))),
        required("position", "Where it is.", reference("Position")),
    ]).examples([json!({"name": "Gate 3", "position": {"lat": 38.77, "lon": -9.13}})]).build().into();
    Reading = body_of(COMMANDS, "mark_read", &[]);
    NewRideRequest = body_of(COMMANDS, "request_ride", &[]);
    NewSavedSearch = body_of(COMMANDS, "save_search", &[]);
    InboxItem = object("Something that was delivered.", vec![
        required("id", "The item.", uuid()),
        required("seq", "Its place in the inbox, which marking as read counts.", count()),
        required("at", "When.", instant()),
        required("item", "What: an object with a `type` for programs and a `text` for people.", any_object()),
        required("read", "Whether it was read; null for old ones of which it is not known.", or_null(flag())),
    ], json!({"id": ID, "seq": 42, "at": AT, "item": {"type": "pool_confirmed", "text": "You have 1 seat in this ride"}, "read": false}));
    Inbox = object("The caller's inbox.", vec![
        required("room", "Sockets join it by this.", uuid()),
        required("seq", "Its version: the seq of its newest event.", count()),
        required("unread", "How many items were not read, shown here or not.", count()),
        required("read_up_to", "Everything up to this seq was read.", count()),
        required("items", "The newest, newest first.", list(reference("InboxItem"), limits::ITEMS_IN_VIEW)),
        required("items_before", "Whether there are older ones.", flag()),
        required("ride", "The ride that the caller wants to share now.", or_null(reference("RideRequest"))),
        required("searches", "Searches that the caller keeps.", list(reference("SavedSearch"), limits::SEARCHES_MAX)),
    ], json!({"room": ID, "seq": 42, "unread": 0, "read_up_to": 41, "items": [], "items_before": false, "ride": null, "searches": []}));
    RideRequest = object("\"I am going there now, who shares the ride?\"", vec![
        required("id", "The request.", uuid()),
        required("from", "Where the ride starts.", reference("Spot")),
        required("to", "Where it ends.", reference("Spot")),
        required("seats", "How many people want to ride.", integer(1, i64::from(SEATS_MAX))),
        required("group", "Whose members alone match; null: those without a group.", or_null(text(GROUP_CHARS_MAX))),
        required("at", "When it was made.", instant()),
        required("until", "When it ends by itself.", instant()),
    ], example_ride());
    SavedSearch = object("A search that is kept.", vec![
        required("id", "The search.", uuid()),
        required("name", "What it is called.", text(limits::LABEL_CHARS_MAX)),
        required("from", "Near which start.", reference("Spot")),
        required("to", "Near which destination.", reference("Spot")),
        required("radius_m", "How far around both, in metres.", integer(100, i64::from(limits::RADIUS_MAX_M))),
        required("after", "Departing at or after.", or_null(instant())),
        required("before", "Departing at or before.", or_null(instant())),
        required("seats", "With at least so many free seats.", integer(1, i64::from(SEATS_MAX))),
        required("price_max", "For at most this price per seat.", or_null(reference("Money"))),
    ], json!({
        "id": ID, "name": "Home on Fridays", "from": {"position": {"lat": 38.77, "lon": -9.1}},
        "to": {"position": {"lat": 41.15, "lon": -8.6}}, "radius_m": 5_000, "after": null, "before": null, "seats": 1, "price_max": null
    }));
    WrittenRideRequest = written("RideRequest", json!(null));
    WrittenSavedSearch = written("SavedSearch", json!(null));
    InboxItemPage = page("InboxItem");
    SavedSearchPage = object("The searches that the caller keeps.", vec![
        required("items", "All of them.", any_list(reference("SavedSearch"))),
        required("next", "Always null: there is one page.", or_null(string().build().into())),
    ], json!({"items": [], "next": null}));
}

fn example_ride() -> Value {
    json!({
        "id": ID, "from": {"name": "Gate 3", "position": {"lat": 38.77, "lon": -9.13}}, "to": {"position": {"lat": 38.71, "lon": -9.14}},
        "seats": 1, "group": null, "at": AT, "until": "2027-05-02T09:45:00.123Z"
    })
}
