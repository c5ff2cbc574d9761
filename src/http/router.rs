//! The whole router: routes, then what every request passes through.

use super::problem::Problem;
use super::{layers, openapi, system, v1};
use crate::app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use tripsync_domain::ErrorCode;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Routes and their description. The document is made here and nowhere else, so it cannot miss a route.
pub(crate) fn documented() -> (Router<App>, OpenApi) {
    let (router, document) =
        OpenApiRouter::with_openapi(openapi::base()).merge(system::routes()).nest("/api/v1", v1::routes()).split_for_parts();
    (router, openapi::finish(document))
}

/// The interactive docs. Without the validator's badge, which would send the document's address to somebody else's server.
fn docs(document: OpenApi) -> SwaggerUi {
    SwaggerUi::new("/docs").config(Config::default().validator_url("none")).url("/openapi.json", document)
}

/// The service for a running application.
pub fn router(app: &App) -> Router {
    let (routes, document) = documented();
    routes
        .merge(docs(document))
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .fallback(|| async { Problem::not_found("there is nothing under this address") })
        .method_not_allowed_fallback(|| async {
            Problem::new(ErrorCode::MethodNotAllowed, "see the Allow header for the methods that are")
        })
        .layer(DefaultBodyLimit::max(app.config.http.body_bytes_max))
        .layer(from_fn_with_state(app.clone(), v1::idempotency::layer))
        .layer(from_fn_with_state(app.clone(), layers::edge))
        .layer(layers::cors(&app.config.http.cors_origins))
        .with_state(app.clone())
}
