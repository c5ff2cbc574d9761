//! One person's login, kept fresh.

use super::api::Api;
use super::content::Person;
use super::{DemoError, saved::SavedAccount};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// A person who is logged in.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) person: Person,
    pub(super) user: Uuid,
    api: Api,
    password: String,
    tokens: Tokens,
}

/// Never shown.
struct Tokens {
    access: String,
    refresh: String,
    /// When to fetch the next ones.
    renew_at: Instant,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// What became of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    /// The same login goes on: an open socket may take the new token.
    Login,
    /// A new login: an open socket cannot.
    Anew,
}

impl Account {
    /// Logs in; registers first when there is no such account.
    ///
    /// # Errors
    /// [`DemoError`]; among others when the account exists with another password.
    pub(super) async fn enter(api: Api, person: Person, saved: &SavedAccount) -> Result<Self, DemoError> {
        let password = saved.password.clone();
        let login = log_in(api, person, &password).await?;
        let answer = if login.status == http::StatusCode::UNAUTHORIZED { register(api, person, &password).await? } else { login };
        if answer.status == http::StatusCode::CONFLICT {
            return Err(DemoError::Stranger { email: person.email() });
        }
        let answer = answer.good("logging in")?;
        let user = text(&answer.body, "user_id")?.parse().map_err(|_| DemoError::Odd { what: "user_id" })?;
        Ok(Self { person, user, api, password, tokens: tokens(&answer.body)? })
    }

    /// The access token as it is; [`Self::renew_at`] says how long it may be used.
    pub(super) fn token(&self) -> &str {
        &self.tokens.access
    }

    /// `Bearer …`
    pub(super) fn authorization(&self) -> String {
        format!("Bearer {}", self.tokens.access)
    }

    /// When [`Self::renew`] is due.
    pub(super) const fn renew_at(&self) -> Instant {
        self.tokens.renew_at
    }

    /// Fetches fresh tokens: by the refresh token, or by logging in when that one does not hold any more.
    pub(super) async fn renew(&mut self) -> Result<Renewed, DemoError> {
        let answer = self.api.post("/api/v1/auth/refresh", &[], json!({"refresh_token": self.tokens.refresh})).await?;
        if answer.status.is_success() {
            self.tokens = tokens(&answer.body)?;
            return Ok(Renewed::Login);
        }
        let answer = log_in(self.api, self.person, &self.password).await?.good("logging in")?;
        self.tokens = tokens(&answer.body)?;
        Ok(Renewed::Anew)
    }
}

async fn log_in(api: Api, person: Person, password: &str) -> Result<super::api::Answer, DemoError> {
    api.post("/api/v1/auth/login", &[], json!({"email": person.email(), "password": password})).await
}

async fn register(api: Api, person: Person, password: &str) -> Result<super::api::Answer, DemoError> {
    let account = json!({
        "email": person.email(), "password": password, "display_name": person.name(), "time_zone": super::content::ZONE,
    });
    api.post("/api/v1/auth/register", &[], account).await
}

fn tokens(body: &Value) -> Result<Tokens, DemoError> {
    let seconds = body["expires_in"].as_u64().ok_or(DemoError::Odd { what: "expires_in" })?;
    Ok(Tokens {
        access: text(body, "access_token")?,
        refresh: text(body, "refresh_token")?,
        renew_at: Instant::now() + Duration::from_secs(seconds) * 2 / 3,
    })
}

fn text(body: &Value, key: &'static str) -> Result<String, DemoError> {
    body[key].as_str().map(str::to_owned).ok_or(DemoError::Odd { what: key })
}
