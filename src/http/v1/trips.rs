//! Trips over REST.
//!
//! Every write is a command to the trip's room, made of the body and of what the address says and judged by the same parser and rules
//! as a socket's ([`write`]); it answers once the command is durable, with its seq. Reads of what a room holds go to the room, long
//! collections (lists, chat, log) are read from the tables that are written with its events ([`read`]). To everybody but members a
//! trip does not exist. Handlers hold no rules: what a role may do is decided in the domain.

mod activities;
mod commands;
mod condition;
mod details;
mod docs;
mod document;
mod log;
pub(super) mod members;
mod messages;
mod places;
mod read;
mod schema;
mod write;

use crate::app::App;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<App> {
    let mut routes = OpenApiRouter::new()
        .merge(details::routes())
        .merge(members::routes())
        .merge(activities::routes())
        .merge(places::routes())
        .merge(messages::routes())
        .merge(log::routes())
        .merge(commands::routes());
    document::complete(routes.get_openapi_mut());
    routes
}
