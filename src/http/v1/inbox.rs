//! The caller's inbox over REST, on what all rooms share ([`super::rooms`]): what was delivered, the ride that the caller wants to share now,
//! and the searches that the caller keeps. The room is made when it is asked for first, so everybody has one.

mod docs;
mod items;
mod rides;
mod schema;
mod searches;

use super::rooms::document::{self, About};
use super::rooms::{self, Door, Served};
use crate::app::App;
use crate::http::problem::Problem;
use tripsync_domain::{Inbox, RoomId, UserId};
use utoipa_axum::router::OpenApiRouter;

type Reader = rooms::read::Reader<Inbox>;
type Writer = rooms::write::Writer<Inbox>;

impl Served for Inbox {
    const DOOR: Door = Door::Room;
    const KEYED_ROOM: &'static [u8] = b"room/inbox";
}

const ABOUT: About =
    About { tag: "inbox", noun: "inbox", of_one: |_| true, versioned: |_| true, parameter: |_| None, schemas: schema::named };

pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new().merge(items::routes()).merge(rides::routes()).merge(searches::routes());
    document::complete(routes.get_openapi_mut(), ABOUT);
    routes
}

/// The caller's inbox, which is there afterwards.
async fn own(app: &App, user: UserId) -> Result<RoomId, Problem> {
    let room = Inbox::room_of(user);
    app.rooms.engine.room_for(room, user).await?;
    Ok(room)
}
