//! Register, log in, refresh, log out, and one's own profile.

use std::time::Duration;

use serde_json::json;

use super::Api;
use super::client::{PASSWORD, send, text};
use crate::harness::{Server, TestDatabase, eventually, for_each_backend};

for_each_backend!(
    an_account_lives,
    names_are_taken_once,
    a_profile_is_merged_within_bounds,
    a_profile_tells_of_the_person,
    changes_at_once_all_count,
    two_tabs_get_the_same_successor,
    reuse_ends_the_session_and_only_it,
    a_logout_outlives_a_restart,
    bad_accounts_are_explained,
);

async fn an_account_lives(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;

    let me = ann.api.get("/api/v1/me").await.ok(200);
    assert_eq!((text(&me["id"]), text(&me["email"])), (ann.id.clone(), ann.email.clone()));
    assert!(me.get("password_hash").is_none());

    // JSON, and OAuth2's form, with the address in another case.
    let body = json!({"email": ann.email.to_uppercase(), "password": PASSWORD});
    let by_json = api.post("/api/v1/auth/login", body).await.ok(200);
    let form = [("grant_type", "password"), ("username", &ann.email), ("password", PASSWORD), ("scope", ""), ("client_id", "app")];
    let answer = send(api.request(reqwest::Method::POST, "/api/v1/auth/login").form(&form)).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let by_form = answer.ok(200);
    assert_eq!(by_form["token_type"], "bearer");
    assert_eq!(by_form["expires_in"], 900);
    assert_eq!(by_form["user_id"], ann.id);

    // One logout leaves the other sessions alone; the rest goes with the next.
    let (first, second) = (text(&by_json["access_token"]), text(&by_form["access_token"]));
    api.with_token(&first).post("/api/v1/auth/logout", json!({})).await.ok(204);
    api.with_token(&first).get("/api/v1/me").await.problem("session_revoked");
    api.post("/api/v1/auth/refresh", json!({"refresh_token": by_json["refresh_token"]})).await.problem("session_revoked");
    api.with_token(&second).get("/api/v1/me").await.ok(200);
    assert_eq!(api.with_token(&second).post("/api/v1/auth/logout-all", json!({})).await.ok(200)["sessions_ended"], 2);
    for token in [&second, &ann.access_token] {
        api.with_token(token).get("/api/v1/me").await.problem("session_revoked");
    }

    for (email, password) in [(ann.email.as_str(), "wrong"), ("nobody@example.org", PASSWORD), (ann.email.as_str(), "")] {
        api.post("/api/v1/auth/login", json!({"email": email, "password": password})).await.problem("bad_credentials");
    }
    let log = server.log();
    for secret in [PASSWORD, &ann.email, &ann.access_token, &ann.refresh_token] {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}

async fn names_are_taken_once(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let register = |email: &str, username: &str| {
        api.post("/api/v1/auth/register", json!({"email": email, "username": username, "password": PASSWORD}))
    };
    register("ann@example.org", "ann").await.ok(201);
    let both = register(" ANN@Example.org", "Ann").await.problem("already_exists");
    assert_eq!((&both["errors"][0]["pointer"], &both["errors"][1]["pointer"]), (&json!("/email"), &json!("/username")));
    let name = register("bob@example.org", "ANN").await.problem("already_exists");
    assert_eq!((&name["errors"][0]["pointer"], &name["errors"][1]), (&json!("/username"), &json!(null)));
    let login = json!({"username": "aNN", "password": PASSWORD});
    api.post("/api/v1/auth/login", login).await.ok(200);

    // Of several at once exactly one wins.
    let attempts = (0..8).map(|_| register("carl@example.org", "carl"));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    for answer in answers {
        if answer.status != 201 {
            answer.problem("already_exists");
        }
    }

    let dora = api.account("dora").await;
    dora.api.patch("/api/v1/me", json!({"username": "ANN"})).await.problem("already_exists");
    dora.api.patch("/api/v1/me", json!({"username": "Dora"})).await.ok(200);
    dora.api.patch("/api/v1/me", json!({"username": "dora"})).await.ok(200);
}

async fn a_profile_is_merged_within_bounds(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let ann = Api::of(&server).account("ann").await.api;
    let full = json!({
        "display_name": " Ann B. ", "first_name": "Ann", "last_name": "B", "phone": "+351210000000", "bio": "line\nline",
        "time_zone": "Europe/Lisbon", "locale": "pt-PT", "currency": "EUR", "preferences": {"a": {"b": 1, "c": 2}, "d": [1]},
    });
    let me = ann.patch("/api/v1/me", full).await.ok(200);
    assert_eq!(me["display_name"], "Ann B.");

    let me = ann.patch("/api/v1/me", json!({"bio": null, "preferences": {"a": {"b": null}, "e": true}})).await.ok(200);
    assert_eq!(me["bio"], json!(null));
    assert_eq!(me["preferences"], json!({"a": {"c": 2}, "d": [1], "e": true}));
    assert_eq!(me["phone"], "+351210000000", "absent fields stay");
    assert_eq!(ann.get("/api/v1/me").await.ok(200), me);

    for (field, value) in [
        ("display_name", json!(null)),
        ("display_name", json!("  ")),
        ("display_name", json!("x".repeat(81))),
        ("first_name", json!("a\u{0}b")),
        ("bio", json!("x".repeat(2001))),
        ("phone", json!("12")),
        ("time_zone", json!("Mars/Base")),
        ("locale", json!("x")),
        ("currency", json!("eur")),
        ("username", json!("a b")),
        ("preferences", json!({"x": "x".repeat(9000)})),
        ("preferences", json!([1])),
        ("bio", json!(7)),
    ] {
        let problem = ann.patch("/api/v1/me", json!({field: value})).await.problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{problem}");
    }
    let problem = ann.patch("/api/v1/me", json!({"email": "new@example.org"})).await.problem("unknown_field");
    assert_eq!(problem["errors"][0]["pointer"], "/email");
    // Several mistakes, all told at once, and nothing changed.
    let problem = ann.patch("/api/v1/me", json!({"bio": "new", "phone": "1", "currency": "x"})).await.problem("invalid");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
    assert_eq!(ann.get("/api/v1/me").await.ok(200), me);
}

async fn a_profile_tells_of_the_person(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let ann = Api::of(&server).account("ann").await.api;
    let me = ann.get("/api/v1/me").await.ok(200);
    let none = json!({"avatar_url": null, "group": null, "social_links": {}, "emergency_contact": null});
    for (field, value) in none.as_object().unwrap() {
        assert_eq!(me[field], *value, "{field}");
    }
    let told = json!({
        "avatar_url": "https://img.example.org/ann.jpg", "group": "Rowing club",
        "social_links": {"mastodon": "https://social.example.org/@ann", "site": "https://ann.example.org"},
        "emergency_contact": {"name": "Ben", "phone": "+351210000000", "relation": "brother"},
    });
    let me = ann.patch("/api/v1/me", told.clone()).await.ok(200);
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(me[field], *value, "{field}");
    }
    let less = json!({"avatar_url": null, "social_links": {"site": null}, "emergency_contact": {"name": "Cai", "phone": "+351220000000"}});
    let me = ann.patch("/api/v1/me", less).await.ok(200);
    assert_eq!((&me["avatar_url"], &me["group"]), (&json!(null), &json!("Rowing club")));
    assert_eq!(me["social_links"], json!({"mastodon": "https://social.example.org/@ann"}));
    assert_eq!(me["emergency_contact"], json!({"name": "Cai", "phone": "+351220000000", "relation": null}));
    assert_eq!(ann.get("/api/v1/me").await.ok(200), me);

    let many: serde_json::Map<_, _> = (0..10).map(|n| (format!("site{n}"), json!("https://x.org"))).collect();
    for (change, pointer) in [
        (json!({"avatar_url": "http://x.org/a.jpg"}), "/avatar_url"),
        (json!({"group": " "}), "/group"),
        (json!({"group": "a\nb"}), "/group"),
        (json!({"group": "x".repeat(101)}), "/group"),
        (json!({"social_links": {"site": "javascript:alert(1)"}}), "/social_links/site"),
        (json!({"social_links": {"a/b": "https://x.org"}}), "/social_links"),
        (json!({"social_links": many}), "/social_links"),
        (json!({"emergency_contact": {"name": "Ben", "phone": "110"}}), "/emergency_contact/phone"),
        (json!({"emergency_contact": {"name": "", "phone": "+351210000000"}}), "/emergency_contact/name"),
        (json!({"emergency_contact": ["Ben", "+351210000000", null]}), "/emergency_contact"),
    ] {
        let problem = ann.patch("/api/v1/me", change.clone()).await.problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{change}: {problem}");
    }
    assert_eq!(ann.get("/api/v1/me").await.ok(200), me, "nothing was changed");
}

async fn changes_at_once_all_count(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let ann = Api::of(&server).account("ann").await.api;
    let changes = (0..16).map(|n| ann.patch("/api/v1/me", json!({"preferences": {format!("key{n}"): n}})));
    for answer in futures_util::future::join_all(changes).await {
        answer.ok(200);
    }
    let me = ann.get("/api/v1/me").await.ok(200);
    assert_eq!(me["preferences"].as_object().unwrap().len(), 16, "{me}");
}

async fn two_tabs_get_the_same_successor(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    let attempts = (0..8).map(|_| api.post("/api/v1/auth/refresh", json!({"refresh_token": ann.refresh_token})));
    let mut successors = Vec::new();
    for answer in futures_util::future::join_all(attempts).await {
        let tokens = answer.ok(200);
        api.with_token(&text(&tokens["access_token"])).get("/api/v1/me").await.ok(200);
        successors.push(text(&tokens["refresh_token"]));
    }
    successors.dedup();
    assert_eq!(successors.len(), 1, "different successors");
    assert_ne!(successors[0], ann.refresh_token);
    // And the chain goes on, with a form too.
    let form = [("grant_type", "refresh_token"), ("refresh_token", successors[0].as_str())];
    send(api.request(reqwest::Method::POST, "/api/v1/auth/refresh").form(&form)).await.ok(200);
}

async fn reuse_ends_the_session_and_only_it(database: TestDatabase) {
    let server = Server::on(&database).set("auth.refresh_grace", "0s").start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    let other = api.post("/api/v1/auth/login", json!({"email": ann.email, "password": PASSWORD})).await.ok(200);

    let next = api.post("/api/v1/auth/refresh", json!({"refresh_token": ann.refresh_token})).await.ok(200);
    api.post("/api/v1/auth/refresh", json!({"refresh_token": ann.refresh_token})).await.problem("token_reused");
    api.post("/api/v1/auth/refresh", json!({"refresh_token": next["refresh_token"]})).await.problem("session_revoked");
    ann.api.get("/api/v1/me").await.problem("session_revoked");
    api.with_token(&text(&next["access_token"])).get("/api/v1/me").await.problem("session_revoked");

    api.post("/api/v1/auth/refresh", json!({"refresh_token": other["refresh_token"]})).await.ok(200);
    // Tokens of one kind are no tokens of the other.
    api.post("/api/v1/auth/refresh", json!({"refresh_token": other["access_token"]})).await.problem("unauthorized");
    api.with_token(&text(&other["refresh_token"])).get("/api/v1/me").await.problem("unauthorized");
    let claims = text(&other["access_token"]).split('.').nth(1).unwrap().to_owned();
    // {"alg":"none","typ":"at+jwt"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}.");
    api.with_token(&unsigned).get("/api/v1/me").await.problem("unauthorized");
}

async fn a_logout_outlives_a_restart(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let (ann, bob) = (api.account("ann").await, api.account("bob").await);
    ann.api.post("/api/v1/auth/logout", json!({})).await.ok(204);
    server.kill().await;
    server.restart().await;
    ann.api.get("/api/v1/me").await.problem("session_revoked");
    // Same key, same tokens.
    bob.api.get("/api/v1/me").await.ok(200);

    // A second node on the same database hears of it within seconds.
    if !database.url().starts_with("sqlite") {
        let key = std::fs::read_to_string(server.data_dir().join("signing.key")).unwrap();
        let second = Server::on(&database).set("auth.signing_key", key.trim()).start().await;
        let there = Api::of(&second).with_token(&bob.access_token);
        there.get("/api/v1/me").await.ok(200);
        bob.api.post("/api/v1/auth/logout", json!({})).await.ok(204);
        eventually("the other node refuses the token", Duration::from_secs(30), || async { there.get("/api/v1/me").await.status == 401 })
            .await;
    }
}

async fn bad_accounts_are_explained(database: TestDatabase) {
    let server = Server::on(&database).set("auth.registration", "open").start().await;
    let api = Api::of(&server);
    let problem = api
        .post(
            "/api/v1/auth/register",
            json!({"email": "ann", "password": "short", "username": "a", "time_zone": "X/Y", "display_name": ""}),
        )
        .await
        .problem("invalid");
    let pointers: Vec<String> = problem["errors"].as_array().unwrap().iter().map(|error| text(&error["pointer"])).collect();
    assert_eq!(pointers, ["/email", "/password", "/username", "/display_name", "/time_zone"]);
    api.post("/api/v1/auth/register", json!({"email": "a@example.org", "pasword": "x"})).await.problem("unknown_field");
    let problem = api.post("/api/v1/auth/register", json!({"email": "a@example.org"})).await.problem("invalid");
    assert!(text(&problem["errors"][0]["detail"]).contains("password"));
    api.post("/api/v1/auth/login", json!({"password": "x"})).await.problem("invalid");
    api.post("/api/v1/auth/login", json!({"email": "x", "username": "x", "password": "x"})).await.problem("invalid");
    api.post("/api/v1/auth/login", json!({"email": "x", "password": "x", "grant_type": "implicit"})).await.problem("invalid");

    let closed = Server::on(&TestDatabase::create(crate::harness::Backend::Sqlite).await).set("auth.registration", "closed").start().await;
    let account = json!({"email": "a@example.org", "password": PASSWORD});
    Api::of(&closed).post("/api/v1/auth/register", account).await.problem("forbidden");
}
