//! Tokens and tickets, as sockets need them; and the ends of logins, as sockets hear of them.

use super::{Door, Live};
use crate::auth::{Auth, AuthError, AuthUser, LoginId, SessionRevoked};
use crate::telemetry::chain;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tripsync_actors::session::{Authenticator, Credential, Ending};
use tripsync_domain::{ErrorCode, Rejection};

#[async_trait::async_trait]
impl Authenticator for Auth {
    async fn check(&self, token: &str) -> Result<Credential, Rejection> {
        self.authenticate(token).await.map(credential).map_err(|error| rejection(&error))
    }

    fn is_ended(&self, credential: &Credential) -> bool {
        self.is_revoked(LoginId(credential.login))
    }
}

#[async_trait::async_trait]
impl Door for Auth {
    async fn redeem(&self, ticket: &str) -> Result<Credential, Rejection> {
        self.redeem_ticket(ticket).await.map(credential).map_err(|error| rejection(&error))
    }
}

fn credential(user: AuthUser) -> Credential {
    Credential { user: user.user, login: user.login.0, expires_at: user.expires_at }
}

fn rejection(error: &AuthError) -> Rejection {
    let code = error.code();
    let text = match error {
        AuthError::Invalid => "the token or ticket is not valid",
        AuthError::Expired => "the token has expired; refresh it",
        AuthError::Revoked => "the session has ended; log in again",
        AuthError::Reused | AuthError::BadCredentials => "the credentials are wrong",
        AuthError::Overloaded => "too many requests of this sort at once",
        AuthError::Store(error) => {
            tracing::warn!(error = chain(error), "credentials could not be checked");
            "the credentials could not be checked; try again"
        }
    };
    let rejection = Rejection::new(code, text);
    if code == ErrorCode::Retry { rejection.retry_after_ms(1_000) } else { rejection }
}

impl Live {
    /// Ends the sockets of logins that end, until `stop`. Listens from the call on, not from the first poll.
    pub fn follow_revoked(self: Arc<Self>, auth: Auth, stop: CancellationToken) -> impl Future<Output = ()> + Send {
        let mut news = auth.subscribe();
        async move {
            let ending = Ending::new(ErrorCode::SessionRevoked, "the login was ended; log in again");
            while let Some(received) = stop.run_until_cancelled(news.recv()).await {
                match received {
                    Ok(SessionRevoked { user, login }) => self.hub.close_login(user, login.0, &ending),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "news of ended logins was missed; every socket's login is checked");
                        for (user, login) in self.hub.logins() {
                            if auth.is_revoked(LoginId(login)) {
                                self.hub.close_login(user, login, &ending);
                            }
                        }
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }
}
