//! Register, log in, refresh, log out.

use super::check::{self, Checks};
use super::me::Profile;
use crate::app::App;
use crate::auth::{AuthError, AuthUser, Login, SessionTokens};
use crate::http::json::{self, Media, StrangersJson};
use crate::http::problem::{FieldError, Problem, ProblemBody};
use crate::store::accounts::{self, NewUser};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tripsync_domain::{ErrorCode, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(logout_all))
}

/// Characters of a password: 8 is the least of NIST SP 800-63B, and 64 must be allowed.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    /// Case and surrounding spaces do not count.
    #[schema(format = "email", max_length = 254, example = "ann@example.org")]
    email: String,
    #[schema(format = "password", min_length = 8, max_length = 128, example = "correct horse battery")]
    password: String,
    /// The name that others see; without it, the part of the address before the `@`.
    #[schema(min_length = 1, max_length = 80, example = "Ann")]
    display_name: Option<String>,
    /// For logging in and being found; case does not count.
    #[schema(min_length = 3, max_length = 32, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$", example = "ann")]
    username: Option<String>,
    /// IANA name.
    #[schema(max_length = 64, example = "Europe/Lisbon")]
    time_zone: Option<String>,
}

/// Credentials. OAuth2 calls the field `username`; an e-mail address is accepted in either.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[schema(example = "ann@example.org")]
    email: Option<String>,
    #[schema(example = "ann")]
    username: Option<String>,
    #[schema(format = "password", example = "correct horse battery")]
    password: String,
    /// OAuth2 only; `password`.
    #[schema(example = "password")]
    grant_type: Option<String>,
    /// OAuth2 only; not used.
    #[serde(rename = "scope")]
    _scope: Option<String>,
    /// OAuth2 only; not used.
    #[serde(rename = "client_id")]
    _client_id: Option<String>,
    /// OAuth2 only; not used.
    #[serde(rename = "client_secret")]
    _client_secret: Option<String>,
}

/// A refresh token, by itself or in OAuth2's form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshRequest {
    #[schema(example = "tsr_AZIAAA")]
    refresh_token: String,
    /// OAuth2 only; `refresh_token`.
    #[schema(example = "refresh_token")]
    grant_type: Option<String>,
}

/// Tokens of a session (the fields of RFC 6749 §5.1, and whose they are).
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    /// For `Authorization: Bearer`.
    #[schema(example = "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln")]
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds that the access token is good.
    #[schema(example = 900, minimum = 1)]
    expires_in: u64,
    /// Trade it for new tokens before it ends; good once.
    #[schema(example = "tsr_AZIAAA")]
    refresh_token: String,
    /// Seconds that the session lasts without a refresh.
    #[schema(example = 2_592_000, minimum = 1)]
    refresh_expires_in: u64,
    user_id: Uuid,
}

impl From<SessionTokens> for TokenAnswer {
    fn from(tokens: SessionTokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "bearer",
            expires_in: tokens.access_ttl.as_secs(),
            refresh_token: tokens.refresh_token,
            refresh_expires_in: tokens.refresh_ttl.as_secs(),
            user_id: tokens.user.0,
        }
    }
}

/// Tokens of the first session, and the account.
#[derive(Serialize, ToSchema)]
struct Registered {
    #[serde(flatten)]
    tokens: TokenAnswer,
    user: Profile,
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    #[schema(example = 3)]
    sessions_ended: usize,
}

/// A body as JSON or as a form (`application/x-www-form-urlencoded`).
struct JsonOrForm<T>(T);

impl<T: serde::de::DeserializeOwned> FromRequest<App> for JsonOrForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match json::media(request.headers()) {
            Media::Json => StrangersJson::from_request(request, app).await.map(|StrangersJson(value)| Self(value)),
            Media::Form => form(&json::strangers_body(request.into_body(), app).await?).map(Self),
            Media::Other => {
                Err(Problem::new(ErrorCode::UnsupportedMediaType, "send application/json or application/x-www-form-urlencoded"))
            }
        }
    }
}

/// Reads a flat form by way of JSON strings, so that its mistakes are pointed at in the same way. Empty fields are absent:
/// OAuth2 libraries send `scope=`.
fn form<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut fields = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        if value.is_empty() && name != "password" {
            continue;
        }
        if fields.insert(name.to_string(), value.into_owned().into()).is_some() {
            return Err(Problem::invalid(vec![FieldError::invalid(format!("/{name}"), "is there twice")]));
        }
    }
    json::from_value(&fields.into())
}

fn client_label(headers: &HeaderMap) -> Option<String> {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Makes an account and logs in.
#[utoipa::path(post, path = "/auth/register", operation_id = "auth.register", tag = "auth", security(),
    request_body = NewAccount,
    responses(
        (status = 201, description = "The account and its first session.", body = Registered),
        (status = 403, description = "Registration is closed.", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "E-mail or user name is taken.", body = ProblemBody, content_type = "application/problem+json")))]
async fn register(
    State(app): State<App>,
    headers: HeaderMap,
    StrangersJson(new): StrangersJson<NewAccount>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    if !app.auth.registration_open() {
        return Err(Problem::new(ErrorCode::Forbidden, "this server does not take new accounts"));
    }
    let mut checks = Checks::default();
    let email = check::email(&new.email);
    checks.must(email.is_some(), "/email", "must be an e-mail address");
    checks.must(PASSWORD_CHARS.contains(&new.password.chars().count()), "/password", "must have 8 to 128 characters");
    let username = new.username.as_deref().map(check::username);
    checks.must(
        username != Some(None),
        "/username",
        "must have 3 to 32 of a-z, 0-9, dot, underscore and hyphen, and begin with a letter or digit",
    );
    if let Some(name) = &new.display_name {
        checks.text("/display_name", name.trim(), 1, 80);
    }
    if let Some(zone) = &new.time_zone {
        checks.must(check::is_time_zone(zone), "/time_zone", "must be an IANA time zone such as Europe/Lisbon");
    }
    checks.finish()?;
    let email = email.unwrap_or_default();

    let display_name = match &new.display_name {
        Some(name) => name.trim().to_owned(),
        None => email.split('@').next().unwrap_or_default().to_owned(),
    };
    let user = NewUser { id: UserId(Uuid::now_v7()), email, username: username.flatten(), display_name, time_zone: new.time_zone };
    match app.auth.register(user.clone(), new.password, client_label(&headers)).await {
        Ok(tokens) => {
            tracing::info!(user.id = %user.id, "account made");
            let profile = super::me::load(&app, user.id).await?;
            let answer = Registered { tokens: tokens.into(), user: profile };
            Ok((StatusCode::CREATED, Json(answer)))
        }
        Err(AuthError::Store(error)) if error.is_unique() => Err(taken(&app, &user).await?),
        Err(error) => Err(error.into()),
    }
}

/// Which of the two is taken. SQLite does not tell which constraint was violated, so it is looked up.
async fn taken(app: &App, user: &NewUser) -> Result<Problem, Problem> {
    let mut problem = Problem::new(ErrorCode::AlreadyExists, "an account with this e-mail or user name exists");
    let handles = [("/email", Some(&user.email)), ("/username", user.username.as_ref())];
    for (pointer, handle) in handles {
        if let Some(handle) = handle
            && accounts::credentials(&app.db, handle).await?.is_some()
        {
            problem = problem.with_error(FieldError {
                pointer: pointer.to_owned(),
                code: ErrorCode::AlreadyExists,
                detail: "is taken".to_owned(),
            });
        }
    }
    Ok(problem)
}

/// Logs in with JSON or OAuth2's password form.
#[utoipa::path(post, path = "/auth/login", operation_id = "auth.login", tag = "auth", security(),
    request_body(content(
        (Credentials = "application/json"),
        (Credentials = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "A new session.", body = TokenAnswer),
        (status = 401, description = "User name or password is wrong.", body = ProblemBody, content_type = "application/problem+json")))]
async fn login(
    State(app): State<App>,
    headers: HeaderMap,
    JsonOrForm(given): JsonOrForm<Credentials>,
) -> Result<Json<TokenAnswer>, Problem> {
    let mut checks = Checks::default();
    checks.must(given.grant_type.as_deref().is_none_or(|grant| grant == "password"), "/grant_type", "must be password");
    let handle = match (given.email, given.username) {
        (Some(handle), None) | (None, Some(handle)) => handle,
        (Some(_), Some(_)) => {
            checks.must(false, "/username", "give either email or username");
            String::new()
        }
        (None, None) => {
            checks.must(false, "/email", "is missing");
            String::new()
        }
    };
    checks.finish()?;
    let login = Login { handle: handle.trim().to_lowercase(), password: given.password, client_label: client_label(&headers) };
    Ok(Json(app.auth.login(login).await?.into()))
}

/// Trades a refresh token for new tokens.
///
/// The refresh token is good once. Sent again within `auth.refresh_grace` (two tabs, a lost answer) it gives the same
/// successor; later it ends the session.
#[utoipa::path(post, path = "/auth/refresh", operation_id = "auth.refresh", tag = "auth", security(),
    request_body(content(
        (RefreshRequest = "application/json"),
        (RefreshRequest = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "New tokens of the same session.", body = TokenAnswer),
        (status = 401, description = "The token is not valid, has expired, or was used before.", body = ProblemBody, content_type = "application/problem+json")))]
async fn refresh(State(app): State<App>, JsonOrForm(given): JsonOrForm<RefreshRequest>) -> Result<Json<TokenAnswer>, Problem> {
    let mut checks = Checks::default();
    checks.must(given.grant_type.as_deref().is_none_or(|grant| grant == "refresh_token"), "/grant_type", "must be refresh_token");
    checks.finish()?;
    Ok(Json(app.auth.refresh(&given.refresh_token).await?.into()))
}

/// Ends the caller's session: its tokens are refused and its sockets closed from now on.
#[utoipa::path(post, path = "/auth/logout", operation_id = "auth.logout", tag = "auth", security(("bearer" = [])),
    responses((status = 204, description = "The session has ended.")))]
async fn logout(State(app): State<App>, caller: AuthUser) -> Result<StatusCode, Problem> {
    app.auth.logout(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all of the caller's sessions, this one included.
#[utoipa::path(post, path = "/auth/logout-all", operation_id = "auth.logout_all", tag = "auth", security(("bearer" = [])),
    responses((status = 200, description = "They have ended.", body = Ended)))]
async fn logout_all(State(app): State<App>, caller: AuthUser) -> Result<Json<Ended>, Problem> {
    let sessions_ended = app.auth.logout_everywhere(caller.user).await?;
    Ok(Json(Ended { sessions_ended }))
}
