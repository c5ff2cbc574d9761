//! Socket tickets.

use crate::app::App;
use crate::auth::AuthUser;
use crate::http::problem::Problem;
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tripsync_domain::Timestamp;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create))
}

/// A ticket for one socket.
#[derive(Serialize, ToSchema)]
struct TicketAnswer {
    /// For `GET /api/v1/live?ticket=`; good once, on any node.
    #[schema(example = "kN5u0mE2c1Yq7PzXbT4wRgVhS9dJ3fLaQ8oKiUyWtC6xZpBvMnDrHsGjFeAlI0E2")]
    ticket: String,
    /// When it stops being good.
    #[schema(value_type = String, format = "date-time", example = "2027-05-02T09:30:00.123Z")]
    expires_at: Timestamp,
}

/// Makes a ticket that opens one live socket, for browsers, which cannot send an `Authorization` header with it.
#[utoipa::path(post, path = "/live/tickets", operation_id = "live.create_ticket", tag = "live", security(("bearer" = [])),
    responses((status = 201, description = "The ticket.", body = TicketAnswer)))]
async fn create(State(app): State<App>, caller: AuthUser) -> Result<(StatusCode, Json<TicketAnswer>), Problem> {
    let ticket = app.auth.issue_ticket(&caller).await?;
    let answer = TicketAnswer { ticket: ticket.secret, expires_at: ticket.expires_at };
    Ok((StatusCode::CREATED, Json(answer)))
}
