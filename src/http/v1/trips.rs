//! Trips over REST, on what all rooms share ([`super::rooms`]). To everybody but members a trip does not exist.

mod activities;
mod commands;
mod details;
mod docs;
mod expenses;
mod log;
pub(super) mod members;
mod messages;
mod places;
mod schema;

use super::rooms::document::{self, About};
use super::rooms::{self, Door, Served};
use crate::app::App;
use tripsync_domain::Trip;
use utoipa::PartialSchema;
use utoipa_axum::router::OpenApiRouter;

type Reader = rooms::read::Reader<Trip>;
type Writer = rooms::write::Writer<Trip>;

impl Served for Trip {
    const DOOR: Door = Door::Members;
    const KEYED_ROOM: &'static [u8] = b"room";
}

const ABOUT: About = About {
    tag: "trips",
    noun: "trip",
    of_one: |path| path.contains("{trip}"),
    versioned: |path| path.contains("{trip}"),
    parameter: |name| (name == "emoji").then(schema::Emoji::schema),
    schemas: schema::named,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(details::routes())
        .merge(members::routes())
        .merge(activities::routes())
        .merge(places::routes())
        .merge(expenses::routes())
        .merge(messages::routes())
        .merge(log::routes())
        .merge(commands::routes());
    document::complete(routes.get_openapi_mut(), ABOUT);
    routes
}
