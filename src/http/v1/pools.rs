//! Pools over REST, on what all rooms share ([`super::rooms`]).
//!
//! Who may see a pool is decided by the room, not by the members table: visitors are no members. Contact data and exact pick-up points are
//! in no room; they are read here, at the moment of asking ([`contacts`]).

mod claims;
mod commands;
mod contacts;
mod details;
mod docs;
mod expense;
mod log;
mod messages;
mod reviews;
mod ride;
mod schema;
mod search;

use super::rooms::document::{self, About};
use super::rooms::{self, Door, Served};
use crate::app::App;
use tripsync_domain::Pool;
use utoipa_axum::router::OpenApiRouter;

type Reader = rooms::read::Reader<Pool>;
type Writer = rooms::write::Writer<Pool>;

impl Served for Pool {
    const DOOR: Door = Door::Room;
    const KEYED_ROOM: &'static [u8] = b"room/pool";
    const HAS_SECRETS: bool = true;
}

const ABOUT: About = About {
    tag: "pools",
    noun: "pool",
    of_one: |path| path.contains("{pool}"),
    // What is not in the room does not follow its version.
    versioned: |path| path.contains("{pool}") && !["/contacts", "/pickup", "/expense"].iter().any(|end| path.ends_with(end)),
    parameter: |_| None,
    schemas: schema::named,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(details::routes())
        .merge(ride::routes())
        .merge(claims::routes())
        .merge(messages::routes())
        .merge(reviews::routes())
        .merge(contacts::routes())
        .merge(expense::routes())
        .merge(search::routes())
        .merge(log::routes())
        .merge(commands::routes());
    document::complete(routes.get_openapi_mut(), ABOUT);
    routes
}
