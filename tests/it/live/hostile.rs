//! Clients that say wrong things: each gets one clear answer, and nothing changes.

use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tripsync::store::{Db, DbOptions};
use tripsync_domain::Role;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::mixed::unhurried;
use super::people::User;
use super::socket::{Heard, LIMIT, Socket};
use super::trip::seed_trip;
use crate::harness::{Server, TestDatabase, for_each_backend};

mod bytes;

for_each_backend!(wrong_bytes_and_frames_are_answered_and_change_nothing, what_one_may_not_do_is_refused_and_changes_nothing);

const CODECS: [Codec; 2] = [Codec::Json, Codec::MessagePack];

/// A trip with an organizer, a viewer and somebody who does not belong to it.
struct Scene {
    database: TestDatabase,
    server: Server,
    owner: User,
    viewer: User,
    stranger: User,
    room: Uuid,
}

impl Scene {
    async fn set(database: TestDatabase) -> Self {
        let server = unhurried(&database).set("live.errors_per_min", 1_000_000).start().await;
        let owner = User::register(&server, "Ana").await;
        let viewer = User::register(&server, "Vio").await;
        let stranger = User::register(&server, "Sly").await;
        let room = seed_trip(&database, &[(&owner, Role::Organizer), (&viewer, Role::Viewer)], 5).await;
        Self { database, server, owner, viewer, stranger, room }
    }

    /// A socket of a user in the room.
    async fn joined(&self, user: &User, codec: Codec) -> Socket {
        let mut socket = user.socket(&self.server, codec).await;
        socket.send(&json!({"t": "join", "room": self.room})).await;
        socket.expect("joined").await;
        socket
    }

    /// The room's events in the database, as one number.
    async fn events(&self) -> i64 {
        let db = Db::connect(self.database.url(), &DbOptions::default()).await.unwrap();
        let count: i64 = tripsync::db_read!(&db, |pool| sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(pool).await).unwrap();
        db.close().await;
        count
    }
}

/// Sends something wrong, and gives back the only answer.
///
/// # Panics
/// There is none or there are two, or something else happens.
#[track_caller]
fn answer<'a>(socket: &'a mut Socket, what: &'a str) -> impl Future<Output = Value> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let mut answer = None;
        loop {
            let heard = timeout(LIMIT, socket.next()).await.unwrap_or_else(|_| panic!("{caller}: {what}: no answer"));
            let Heard::Frame(frame) = heard else { panic!("{caller}: {what}: {heard:?} instead of an answer") };
            match (frame["t"].as_str().unwrap(), &answer) {
                ("presence", _) => {}
                ("pong", Some(_)) => return answer.unwrap(),
                ("error" | "rejected", None) => {
                    assert!(frame["message"].as_str().is_some_and(|text| !text.is_empty()), "{caller}: {what}: {frame}");
                    answer = Some(frame);
                    // Everything that was sent before is dealt with when this is answered.
                    socket.send(&json!({"t": "ping", "n": 77})).await;
                }
                _ => panic!("{caller}: {what}: answered with {answer:?}, then {frame}"),
            }
        }
    }
}

/// What is expected of an answer: its `t`, code and pointer.
type Wanted = (&'static str, &'static str, Option<&'static str>);

/// Says what differs from what is expected.
fn differs(what: &str, answer: &Value, (t, code, pointer): Wanted) -> Option<String> {
    let as_wanted = answer["t"] == t && answer["code"] == code && answer["pointer"].as_str() == pointer;
    (!as_wanted).then(|| format!("{what}: wanted {t} {code} {pointer:?}, got {answer}"))
}

async fn wrong_bytes_and_frames_are_answered_and_change_nothing(database: TestDatabase) {
    let scene = Scene::set(database).await;
    let before = scene.events().await;
    let (mut cases, mut wrong) = (0, Vec::new());
    for codec in CODECS {
        let mut socket = scene.joined(&scene.owner, codec).await;
        for (what, bytes) in bytes::malformed(codec, scene.room) {
            socket.send_bytes(&bytes).await;
            let answer = answer(&mut socket, &what).await;
            wrong.extend(differs(&what, &answer, ("error", "malformed", None)));
            cases += 1;
        }
        for (what, frame, code, pointer) in wrong_frames(scene.room) {
            socket.send(&frame).await;
            let answer = answer(&mut socket, what).await;
            wrong.extend(differs(what, &answer, ("error", code, pointer)));
            // What was about a command names it, so that a client can settle it.
            let named = json!({"room": scene.room, "n": frame["n"]});
            if frame["t"] == "op" && frame["n"].is_u64() && frame["room"] == json!(scene.room) && answer["about"] != named {
                wrong.push(format!("{what}: the answer does not name the command: {answer}"));
            }
            cases += 1;
        }
        // Of the other codec's sort.
        socket
            .send_message(match codec {
                Codec::Json => Message::binary(br#"{"t":"ping","n":1}"#.to_vec()),
                Codec::MessagePack => Message::text(r#"{"t":"ping","n":1}"#),
            })
            .await;
        let refused = answer(&mut socket, "a message of the other sort").await;
        wrong.extend(differs("a message of the other sort", &refused, ("error", "malformed", None)));
        // Larger than `frame_bytes_max`.
        let large = json!({"t": "op", "room": scene.room, "n": 1, "cmd": {"type": "send_message", "body": "x".repeat(70_000)}});
        socket.send(&large).await;
        let (frames, close) = socket.closed().await;
        assert_eq!(close, Some(1009), "{frames:?}");
        assert_eq!(frames.last().unwrap()["code"], "too_large", "{frames:?}");
        cases += 2;
        assert_eq!(scene.events().await, before, "something changed");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    eprintln!("{}: {cases} wrong frames", scene.database.backend());
}

/// Frames that can be read and are wrong: the frame, the code, and the pointer to what is wrong.
fn wrong_frames(room: Uuid) -> Vec<(&'static str, Value, &'static str, Option<&'static str>)> {
    let op = |extra: Value| {
        let mut frame = json!({"t": "op", "room": room, "n": 5, "cmd": {"type": "send_message", "body": "hello"}});
        for (key, value) in extra.as_object().unwrap() {
            frame[key] = value.clone();
        }
        frame
    };
    vec![
        ("no such frame", json!({"t": "subscribe", "room": room}), "unknown_command", Some("/t")),
        ("a frame of the server's", json!({"t": "ack", "room": room, "n": 1, "seq": 1}), "unknown_command", Some("/t")),
        ("no t", json!({"room": room}), "malformed", None),
        ("t is a number", json!({"t": 1}), "malformed", None),
        ("a forged author", op(json!({"by": Uuid::nil()})), "unknown_field", Some("/by")),
        ("a forged author by another name", op(json!({"author": Uuid::nil()})), "unknown_field", Some("/author")),
        ("a forged seq", op(json!({"seq": 1})), "unknown_field", Some("/seq")),
        ("a forged time", op(json!({"at": "2020-01-01T00:00:00Z"})), "unknown_field", Some("/at")),
        ("a forged client", op(json!({"client": Uuid::nil()})), "unknown_field", Some("/client")),
        ("number 0", op(json!({"n": 0})), "invalid", Some("/n")),
        ("a number below 0", op(json!({"n": -1})), "invalid", Some("/n")),
        ("a number beyond 2^53", op(json!({"n": 9_007_199_254_740_992_u64})), "invalid", Some("/n")),
        ("half a number", op(json!({"n": 1.5})), "invalid", Some("/n")),
        ("a number as text", op(json!({"n": "5"})), "invalid", Some("/n")),
        ("a base below 0", op(json!({"base": -1})), "invalid", Some("/base")),
        ("a room that is no id", op(json!({"room": "my trip"})), "invalid", Some("/room")),
        ("a room that is a number", json!({"t": "join", "room": 7}), "invalid", Some("/room")),
        ("no room", json!({"t": "join"}), "invalid", None),
        ("a since by position", json!({"t": "join", "room": room, "since": [1, 1]}), "invalid", Some("/since")),
        ("half a since", json!({"t": "join", "room": room, "since": {"seq": 1}}), "invalid", Some("/since")),
        (
            "more than a since",
            json!({"t": "join", "room": room, "since": {"epoch": 1, "seq": 1, "at": 1}}),
            "unknown_field",
            Some("/since/at"),
        ),
        (
            "a map beyond the pole",
            json!({"t": "presence", "room": room, "state": {"map": {"lat": 91, "lon": 0, "zoom": 3}}}),
            "invalid",
            Some("/state/map/lat"),
        ),
        (
            "a presence of another sort",
            json!({"t": "presence", "room": room, "state": {"mood": "fine"}}),
            "unknown_field",
            Some("/state/mood"),
        ),
        ("a token that is none", json!({"t": "auth", "token": "let me in"}), "unauthorized", None),
        ("leaving where one is not", json!({"t": "leave", "room": Uuid::now_v7()}), "not_joined", None),
    ]
}

async fn what_one_may_not_do_is_refused_and_changes_nothing(database: TestDatabase) {
    let scene = Scene::set(database).await;
    let mut wrong = Vec::new();
    for codec in CODECS {
        let mut owner = scene.joined(&scene.owner, codec).await;
        let mut viewer = scene.joined(&scene.viewer, codec).await;
        let mut stranger = scene.stranger.socket(&scene.server, codec).await;
        let before = scene.events().await;

        // One cannot tell a trip that one may not see from none at all.
        let mut answers = Vec::new();
        for room in [scene.room, Uuid::now_v7()] {
            let mut of_room = Vec::new();
            for (what, frame, wanted) in [
                ("joining", json!({"t": "join", "room": room}), ("error", "not_found", None)),
                ("resuming", json!({"t": "join", "room": room, "since": {"epoch": 1, "seq": 1}}), ("error", "not_found", None)),
                ("writing", op(room, 1, json!({"type": "send_message", "body": "hello"})), ("rejected", "not_joined", None)),
                ("presence", json!({"t": "presence", "room": room, "state": {"typing": true}}), ("error", "not_joined", None)),
                ("leaving", json!({"t": "leave", "room": room}), ("error", "not_joined", None)),
            ] {
                stranger.send(&frame).await;
                let answer = answer(&mut stranger, what).await;
                wrong.extend(differs(what, &answer, wanted));
                of_room.push(answer.to_string().replace(&room.to_string(), "the room"));
            }
            answers.push(of_room);
        }
        assert_eq!(answers[0], answers[1]);

        for (n, cmd) in (1..).zip([
            json!({"type": "add_activity", "title": "mine now"}),
            json!({"type": "update_details", "title": "mine now"}),
            json!({"type": "set_role", "user": scene.viewer.id, "role": "organizer"}),
            json!({"type": "add_member", "user": scene.stranger.id, "role": "viewer"}),
            json!({"type": "remove_member", "user": scene.owner.id}),
            json!({"type": "delete"}),
        ]) {
            let what = cmd.to_string();
            viewer.send(&op(scene.room, n, cmd)).await;
            wrong.extend(differs(&what, &answer(&mut viewer, &what).await, ("rejected", "forbidden", None)));
        }

        for (n, (cmd, code, pointer)) in (1..).zip(wrong_commands()) {
            let what = cmd.to_string();
            owner.send(&op(scene.room, n, cmd)).await;
            let answer = answer(&mut owner, &what).await;
            wrong.extend(differs(&what, &answer, ("rejected", code, pointer)));
            assert_eq!(answer["n"], n, "{what}: {answer}");
        }
        assert_eq!(scene.events().await, before, "something changed");

        // The same number for another command.
        let first = op(scene.room, 1_000, json!({"type": "send_message", "body": "first"}));
        owner.send(&first).await;
        let seq = owner.expect("ack").await["seq"].clone();
        owner.send(&op(scene.room, 1_000, json!({"type": "send_message", "body": "second"}))).await;
        let rejected = owner.expect("rejected").await;
        assert_eq!(rejected["code"], "command_id_reused", "{rejected}");
        owner.send(&first).await;
        let again = owner.expect("ack").await;
        assert_eq!((&again["seq"], &again["repeated"]), (&seq, &json!(true)), "{again}");
        // Numbers may go back, and are known for ever.
        owner.send(&op(scene.room, 999, json!({"type": "send_message", "body": "earlier"}))).await;
        let earlier = owner.expect("ack").await;
        assert_eq!(earlier["repeated"], Value::Null, "{earlier}");
        assert_eq!(scene.events().await, before + 2);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Commands that an organizer may not say like this.
fn wrong_commands() -> Vec<(Value, &'static str, Option<&'static str>)> {
    vec![
        (json!({"type": "add_castle"}), "unknown_command", Some("/type")),
        (json!({"body": "hello"}), "malformed", Some("/type")),
        (json!(["send_message", "hello"]), "malformed", None),
        (json!("delete"), "malformed", None),
        (json!({"type": "send_message", "body": "hello", "by": Uuid::nil()}), "unknown_field", Some("/by")),
        (json!({"type": "send_message", "body": "hello", "at": "2020-01-01T00:00:00Z"}), "unknown_field", Some("/at")),
        (json!({"type": "send_message", "body": "hello", "seq": 7}), "unknown_field", Some("/seq")),
        (json!({"type": "send_message"}), "invalid", None),
        (json!({"type": "send_message", "body": ""}), "invalid", Some("/body")),
        (json!({"type": "send_message", "body": "x".repeat(4_001)}), "invalid", Some("/body")),
        (json!({"type": "add_activity", "title": 7}), "invalid", Some("/title")),
        (json!({"type": "add_activity", "title": "x", "cost": {"minor": 1.5, "currency": "EUR"}}), "invalid", Some("/cost/minor")),
        (json!({"type": "add_activity", "title": "x", "cost": [100, "EUR"]}), "invalid", Some("/cost")),
        (
            json!({"type": "add_activity", "title": "x", "start": {"local": "2027-13-02T09:30", "tz": "Europe/Lisbon"}}),
            "invalid",
            Some("/start/local"),
        ),
        (json!({"type": "add_place", "name": "x", "position": {"lat": 1e9, "lon": 0}}), "invalid", Some("/position")),
        (json!({"type": "remove_activity", "activity": Uuid::now_v7()}), "not_found", Some("/activity")),
        (json!({"type": "add_member", "user": Uuid::now_v7(), "role": "viewer"}), "not_found", Some("/user")),
        (json!({"type": "create", "title": "again"}), "already_exists", None),
    ]
}

fn op(room: Uuid, n: u64, cmd: Value) -> Value {
    json!({"t": "op", "room": room, "n": n, "cmd": cmd})
}
