//! The API, version 1: one module per resource.

mod auth;
pub(crate) mod check;
pub mod idempotency;
mod inbox;
mod live;
mod me;
pub(crate) mod page;
mod pools;
mod rooms;
mod sharing;
mod tickets;
mod trips;

use crate::app::App;
use utoipa_axum::router::OpenApiRouter;

/// Everything under `/api/v1`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(me::routes())
        .merge(live::routes())
        .merge(tickets::routes())
        .merge(trips::routes())
        .merge(pools::routes())
        .merge(sharing::routes())
        .merge(inbox::routes())
}
