//! Access tokens: JWTs (RFC 7519, typed as in RFC 9068) with one algorithm, HS256.
//!
//! The library checks the signature, `iss` and `aud`. What it would let pass is checked here: it accepts a token without
//! `aud` although one is set, any `typ`, an unknown `crit`, and 60 seconds after the end. So the header must hold exactly
//! `alg`, `typ` and `kid` and nothing else, every claim is required by type, and time is taken from our clock.

use super::keys::{Master, hex};
use super::{AuthError, AuthUser, LoginId};
use crate::config::AuthConfig;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// The `typ` of access tokens (RFC 9068 §2.1): nothing else that is signed with this key passes for one.
const TYP: &str = "at+jwt";
/// How far two clocks may differ.
const LEEWAY_S: i64 = 5;
/// Ours have about 400 bytes.
const TOKEN_BYTES_MAX: usize = 4096;

pub(super) struct Tokens {
    signing: EncodingKey,
    kid: String,
    /// The current key first.
    verifying: Vec<(String, DecodingKey)>,
    validation: Validation,
    issuer: String,
    audience: String,
    ttl: Duration,
}

/// The header, with nothing beside it: whatever else stood there (`crit`, `jwk`, `jku`, `b64` …) would have to be understood.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    /// The login.
    sid: Uuid,
    jti: Uuid,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl Tokens {
    pub(super) fn new(config: &AuthConfig, current: &Master, previous: Option<&Master>) -> Self {
        let kid = |master: &Master| hex(&master.derive("kid")[..8]);
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        // Against our clock instead, below.
        validation.validate_exp = false;
        validation.leeway = 0;
        Self {
            signing: EncodingKey::from_secret(&current.derive("access-token")),
            kid: kid(current),
            verifying: std::iter::once(current)
                .chain(previous)
                .map(|master| (kid(master), DecodingKey::from_secret(&master.derive("access-token"))))
                .collect(),
            validation,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            ttl: config.access_token_ttl,
        }
    }

    /// A token for `ttl` from now.
    pub(super) fn issue(&self, user: UserId, login: LoginId, now: Timestamp) -> Result<String, AuthError> {
        let iat = now.as_ms() / 1000;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.0,
            sid: login.0,
            jti: Uuid::new_v4(),
            iat,
            exp: iat.saturating_add(i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX)),
            nbf: None,
        };
        let header = Header { typ: Some(TYP.to_owned()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|error| {
            tracing::error!(%error, "an access token was not signed");
            AuthError::Invalid
        })
    }

    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<AuthUser, AuthError> {
        let header = strict_header(token).ok_or(AuthError::Invalid)?;
        if header.alg != "HS256" || header.typ != TYP {
            return Err(AuthError::Invalid);
        }
        let (_, key) = self.verifying.iter().find(|(kid, _)| *kid == header.kid).ok_or(AuthError::Invalid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation).map_err(|_| AuthError::Invalid)?.claims;
        let now_s = now.as_ms() / 1000;
        let begun = claims.nbf.map_or(claims.iat, |nbf| nbf.max(claims.iat));
        if begun > now_s.saturating_add(LEEWAY_S) {
            return Err(AuthError::Invalid);
        }
        if claims.exp.saturating_add(LEEWAY_S) <= now_s {
            return Err(AuthError::Expired);
        }
        Ok(AuthUser {
            user: UserId(claims.sub),
            login: LoginId(claims.sid),
            expires_at: Timestamp::from_ms(claims.exp.saturating_mul(1000)),
        })
    }
}

/// None unless the token has three parts and a header of exactly our shape.
fn strict_header(token: &str) -> Option<StrictHeader> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut parts = token.split('.');
    let header = parts.next()?;
    let (Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
}
