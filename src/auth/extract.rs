//! Who calls: the extractor for handlers.

use super::{AuthError, AuthUser};
use crate::app::App;
use crate::http::Problem;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::time::Duration;
use tripsync_domain::ErrorCode;

/// The token of `Authorization: Bearer <token>`; the scheme in any case (RFC 9110 §11.1).
#[must_use]
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

impl FromRequestParts<App> for AuthUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token =
            bearer(&parts.headers).ok_or_else(|| Problem::new(ErrorCode::Unauthorized, "send Authorization: Bearer <access token>"))?;
        Ok(app.auth.authenticate(token).await?)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let detail = match &error {
            AuthError::Invalid => "the token is not valid",
            AuthError::Expired => "the token has expired; refresh it",
            AuthError::Revoked => "the session has ended; log in again",
            AuthError::Reused => "the refresh token was used before, so its session was ended; log in again",
            AuthError::BadCredentials => "user name or password is wrong",
            AuthError::Overloaded => "too many logins at once; try again",
            AuthError::Store(_) => "",
        };
        let code = error.code();
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Overloaded => Self::new(code, detail).retry_after(Duration::from_secs(2)),
            AuthError::Invalid | AuthError::Expired | AuthError::Revoked | AuthError::Reused | AuthError::BadCredentials => {
                Self::new(code, detail)
            }
        }
    }
}
