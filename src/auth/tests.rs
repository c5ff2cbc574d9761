//! Tokens and sessions on SQLite, with a clock that stands still. The same over HTTP and on both databases: `tests/it/rest`.

use super::*;
use crate::config::Sources;
use crate::store::DbOptions;
use crate::store::accounts::NewUser;
use crate::store::tickets;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;
use tripsync_actors::testing::TestClock;

const KEY: &str = "a signing key for tests with enough bytes";

struct World {
    auth: Auth,
    clock: TestClock,
    config: AuthConfig,
    db: Db,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::connect(&format!("sqlite://{}", dir.path().join("t.db").display()), &DbOptions::default()).await.unwrap();
    db.migrate().await.unwrap();
    let clock = TestClock::standing(Timestamp::from_ms(1_800_000_000_000));
    let config = Sources::default().load().unwrap().config.auth;
    let auth = Auth::new(db.clone(), Arc::new(clock.clone()), &config, &Secret::new(KEY)).unwrap();
    World { auth, clock, config, db, _dir: dir }
}

impl World {
    async fn register(&self, name: &str) -> SessionTokens {
        let user = NewUser {
            id: UserId(Uuid::now_v7()),
            email: format!("{name}@example.org"),
            username: Some(name.to_owned()),
            display_name: name.to_owned(),
            time_zone: None,
        };
        self.auth.register(user, "correct horse".to_owned(), None).await.unwrap()
    }

    async fn login(&self, handle: &str, password: &str) -> Result<SessionTokens, AuthError> {
        let login = Login { handle: handle.to_owned(), password: password.to_owned(), client_label: None };
        self.auth.login(login).await
    }
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// Signs any header and claims with the key that access tokens are signed with.
fn forge(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = keys::Master::new(&Secret::new(KEY)).hmac("access-token");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
}

fn with(value: &Value, key: &str, to: Value) -> Value {
    let mut value = value.clone();
    value[key] = to;
    value
}

fn without(value: &Value, key: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(key);
    value
}

#[tokio::test]
async fn only_whole_tokens_of_ours_are_believed() {
    let world = world().await;
    let tokens = world.register("ann").await;
    let good = &tokens.access_token;
    let (header, claims) = (part(good, 0), part(good, 1));
    let believed = |token: &str| world.auth.authenticate_now(token).is_ok();
    assert!(believed(good));
    // The forgery itself works: what is refused below is refused for its content.
    assert!(believed(&forge(&header, &claims)));

    for claim in ["iss", "aud", "sub", "sid", "jti", "iat", "exp"] {
        assert!(!believed(&forge(&header, &without(&claims, claim))), "without {claim}");
    }
    for (claim, value) in [
        ("iss", json!("somebody else")),
        ("aud", json!("somebody else")),
        ("aud", json!(["somebody else"])),
        ("aud", json!([])),
        ("aud", json!(null)),
        ("sub", json!("not a uuid")),
        ("sid", json!(7)),
        ("exp", json!("soon")),
        ("exp", json!(null)),
        ("exp", json!(1e300)),
        ("nbf", json!(1_800_000_100)),
        ("nbf", json!("soon")),
        ("iat", json!(1_800_000_100)),
    ] {
        assert!(!believed(&forge(&header, &with(&claims, claim, value.clone()))), "{claim} = {value}");
    }
    for field in ["typ", "kid", "alg"] {
        assert!(!believed(&forge(&without(&header, field), &claims)), "header without {field}");
    }
    for (field, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("kid", json!("other")),
        ("alg", json!("none")),
        ("alg", json!("HS384")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("hs256")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("jwk", json!({"kty": "oct", "k": "AAAA"})),
        ("jku", json!("https://evil.example/keys")),
        ("zip", json!("DEF")),
    ] {
        assert!(!believed(&forge(&with(&header, field, value.clone()), &claims)), "header {field} = {value}");
    }
    let unsigned = good.rsplit_once('.').unwrap().0;
    for token in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        unsigned.to_owned(),
        format!("{unsigned}."),
        format!("{good}."),
        format!("{good}.x"),
        format!("{good}x"),
        format!(" {good}"),
        tokens.refresh_token.clone(),
        "x".repeat(1 << 20),
    ] {
        assert!(!believed(&token), "{}", &token[..token.len().min(80)]);
    }
    // And an access token is no refresh token.
    assert!(matches!(world.auth.refresh(good).await, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn a_token_ends_on_our_clock_with_little_leeway() {
    let world = world().await;
    let tokens = world.register("ann").await;
    world.clock.advance(world.config.access_token_ttl + Duration::from_secs(4));
    assert!(world.auth.authenticate_now(&tokens.access_token).is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(world.auth.authenticate_now(&tokens.access_token), Err(AuthError::Expired)));
}

#[tokio::test]
async fn the_key_before_is_still_believed_and_no_longer_used() {
    let world = world().await;
    let old = world.register("ann").await;
    let mut config = world.config.clone();
    config.previous_signing_key = Secret::new(KEY);
    let renewed =
        Auth::new(world.db.clone(), Arc::new(world.clock.clone()), &config, &Secret::new("another key for tests with enough bytes"))
            .unwrap();
    assert!(renewed.authenticate_now(&old.access_token).is_ok());
    let new = renewed.refresh(&old.refresh_token).await.unwrap();
    assert!(renewed.authenticate_now(&new.access_token).is_ok());
    assert!(matches!(world.auth.authenticate_now(&new.access_token), Err(AuthError::Invalid)));
}

#[tokio::test]
async fn every_login_costs_one_hash() {
    let world = world().await;
    world.register("ann").await;
    for (handle, password) in
        [("ann@example.org", "wrong"), ("nobody@example.org", "wrong"), ("nobody", "wrong"), ("ann", ""), ("nobody", ""), ("", "")]
    {
        let before = world.auth.hashes_done();
        assert!(matches!(world.login(handle, password).await, Err(AuthError::BadCredentials)));
        assert_eq!(world.auth.hashes_done() - before, 1, "{handle:?} with {password:?}");
    }
    let before = world.auth.hashes_done();
    world.login("ann", "correct horse").await.unwrap();
    assert_eq!(world.auth.hashes_done() - before, 1);
}

#[tokio::test]
async fn a_refresh_token_gives_one_successor_then_ends_the_session() {
    let world = world().await;
    let mut ended = world.auth.subscribe();
    let first = world.register("ann").await;
    let other = world.login("ann", "correct horse").await.unwrap();
    let login = world.auth.authenticate_now(&first.access_token).unwrap().login;

    // Two tabs, or a lost answer.
    let second = world.auth.refresh(&first.refresh_token).await.unwrap();
    world.clock.advance(world.config.refresh_grace.checked_sub(Duration::from_millis(1)).unwrap());
    let again = world.auth.refresh(&first.refresh_token).await.unwrap();
    assert_eq!(second.refresh_token, again.refresh_token);
    assert_ne!(second.refresh_token, first.refresh_token);

    // Later it is a theft: the whole family goes, with the access tokens, at once.
    world.clock.advance(Duration::from_millis(1));
    assert!(matches!(world.auth.refresh(&first.refresh_token).await, Err(AuthError::Reused)));
    assert!(matches!(world.auth.refresh(&second.refresh_token).await, Err(AuthError::Revoked)));
    assert!(matches!(world.auth.authenticate_now(&second.access_token), Err(AuthError::Revoked)));
    assert_eq!(ended.try_recv().unwrap(), SessionRevoked { user: first.user, login });
    assert!(ended.try_recv().is_err());

    // The user's other session is somebody else's business.
    world.auth.refresh(&other.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_token_two_generations_old_is_reuse_even_within_the_grace() {
    let world = world().await;
    let first = world.register("ann").await;
    let second = world.auth.refresh(&first.refresh_token).await.unwrap();
    world.auth.refresh(&second.refresh_token).await.unwrap();
    assert!(matches!(world.auth.refresh(&first.refresh_token).await, Err(AuthError::Reused)));
}

#[tokio::test]
async fn garbage_neither_refreshes_nor_ends_a_session() {
    let world = world().await;
    let tokens = world.register("ann").await;
    let login = world.auth.authenticate_now(&tokens.access_token).unwrap().login;
    let stranger = refresh::RefreshTokens::new(&keys::Master::new(&Secret::new("x")), None);
    for forged in [stranger.make(login, 0), stranger.make(login, 1), stranger.make(login, 2), "tsr_".to_owned(), String::new()] {
        assert!(matches!(world.auth.refresh(&forged).await, Err(AuthError::Invalid)), "{forged}");
    }
    world.auth.refresh(&tokens.refresh_token).await.unwrap();
}

#[tokio::test]
async fn an_idle_session_runs_out_and_a_used_one_does_not() {
    let world = world().await;
    let mut tokens = world.register("ann").await;
    let most = world.config.session_ttl.checked_sub(Duration::from_secs(1)).unwrap();
    for _ in 0..3 {
        world.clock.advance(most);
        tokens = world.auth.refresh(&tokens.refresh_token).await.unwrap();
    }
    world.clock.advance(world.config.session_ttl);
    assert!(matches!(world.auth.refresh(&tokens.refresh_token).await, Err(AuthError::Expired)));
}

#[tokio::test]
async fn logging_out_on_one_node_reaches_the_others() {
    let world = world().await;
    let tokens = world.register("ann").await;
    let second = world.login("ann", "correct horse").await.unwrap();
    let neighbour = Auth::new(world.db.clone(), Arc::new(world.clock.clone()), &world.config, &Secret::new(KEY)).unwrap();
    let mut ended = neighbour.subscribe();
    let user = neighbour.authenticate_now(&tokens.access_token).unwrap();

    world.auth.logout(&user).await.unwrap();
    assert!(world.auth.authenticate_now(&tokens.access_token).is_err());
    neighbour.refresh_revoked().await.unwrap();
    neighbour.refresh_revoked().await.unwrap();
    assert!(neighbour.authenticate_now(&tokens.access_token).is_err());
    assert_eq!(ended.try_recv().unwrap(), SessionRevoked { user: user.user, login: user.login });
    assert!(ended.try_recv().is_err(), "announced twice");
    assert!(neighbour.authenticate_now(&second.access_token).is_ok());

    assert_eq!(world.auth.logout_everywhere(user.user).await.unwrap(), 1);
    assert!(world.auth.authenticate_now(&second.access_token).is_err());

    // Forgotten once no access token can be left.
    world.clock.advance(world.auth.revoked_kept() + Duration::from_secs(1));
    world.auth.refresh_revoked().await.unwrap();
    assert!(!world.auth.is_revoked(user.login));
}

#[tokio::test]
async fn a_ticket_is_good_once_and_for_a_while() {
    let world = world().await;
    let user = world.auth.authenticate_now(&world.register("ann").await.access_token).unwrap();
    let ticket = world.auth.issue_ticket(&user).await.unwrap();
    assert_eq!(world.auth.redeem_ticket(&ticket.secret).await.unwrap(), user);
    assert!(matches!(world.auth.redeem_ticket(&ticket.secret).await, Err(AuthError::Invalid)));

    let ticket = world.auth.issue_ticket(&user).await.unwrap();
    assert_eq!(ticket.expires_at, world.clock.now().plus(world.config.ticket_ttl));
    world.clock.advance(world.config.ticket_ttl);
    assert!(matches!(world.auth.redeem_ticket(&ticket.secret).await, Err(AuthError::Invalid)));
    assert!(matches!(world.auth.redeem_ticket("").await, Err(AuthError::Invalid)));
}

#[tokio::test]
async fn a_user_has_so_many_tickets_and_unused_ones_go() {
    let world = world().await;
    let user = |token: &str| world.auth.authenticate_now(token).unwrap();
    let (ann, ben) = (user(&world.register("ann").await.access_token), user(&world.register("ben").await.access_token));
    let of_ben = world.auth.issue_ticket(&ben).await.unwrap();
    let mut of_ann = Vec::new();
    for _ in 0..=tickets::PER_USER_MAX {
        of_ann.push(world.auth.issue_ticket(&ann).await.unwrap());
        world.clock.advance(Duration::from_millis(1));
    }
    assert!(matches!(world.auth.redeem_ticket(&of_ann[0].secret).await, Err(AuthError::Invalid)), "the oldest had to go");
    world.auth.redeem_ticket(&of_ann[1].secret).await.unwrap();
    world.auth.redeem_ticket(&of_ben.secret).await.unwrap();

    assert_eq!(tickets::sweep(&world.db, world.clock.now()).await.unwrap(), 0);
    world.clock.advance(world.config.ticket_ttl);
    assert_eq!(tickets::sweep(&world.db, world.clock.now()).await.unwrap(), u64::from(tickets::PER_USER_MAX) - 1);
}

#[tokio::test]
async fn a_ticket_dies_with_its_session_and_its_token() {
    let world = world().await;
    let tokens = world.register("ann").await;
    let user = world.auth.authenticate_now(&tokens.access_token).unwrap();
    let ticket = world.auth.issue_ticket(&user).await.unwrap();
    world.auth.logout(&user).await.unwrap();
    assert!(matches!(world.auth.redeem_ticket(&ticket.secret).await, Err(AuthError::Revoked)));

    let user = world.auth.authenticate_now(&world.login("ann", "correct horse").await.unwrap().access_token).unwrap();
    let nearly = user.expires_at.since(world.clock.now()).checked_sub(world.config.ticket_ttl / 2).unwrap();
    world.clock.advance(nearly);
    let ticket = world.auth.issue_ticket(&user).await.unwrap();
    world.clock.advance(world.config.ticket_ttl / 2);
    assert!(matches!(world.auth.redeem_ticket(&ticket.secret).await, Err(AuthError::Expired)));
}

#[tokio::test]
async fn a_ticket_is_refused_before_its_node_has_heard_of_the_logout() {
    let world = world().await;
    let user = world.auth.authenticate_now(&world.register("ann").await.access_token).unwrap();
    let neighbour = Auth::new(world.db.clone(), Arc::new(world.clock.clone()), &world.config, &Secret::new(KEY)).unwrap();
    let ticket = neighbour.issue_ticket(&user).await.unwrap();
    world.auth.logout(&user).await.unwrap();
    assert!(!neighbour.is_revoked(user.login), "it has not asked yet");
    assert!(matches!(neighbour.redeem_ticket(&ticket.secret).await, Err(AuthError::Revoked)));
}
