use crate::harness::{Client, Inside};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tripsync_domain::protocol::Codec;

const CODECS: [Codec; 2] = [Codec::Json, Codec::MessagePack];

#[tokio::test]
async fn two_people_edit_in_both_codecs_and_survive_drops() {
    let server = Inside::start(&[]).await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let trip = server.trip(&ann, &[&bob]).await;
    let mut ann = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let mut bob = Client::connect(&server.live_url(), &bob.token, Codec::MessagePack).await;
    ann.join(trip).await;
    bob.join(trip).await;
    assert_eq!((ann.room(trip).role(), bob.room(trip).role()), ("organizer", "participant"));
    for turn in 0..40 {
        ann.op(trip, json!({"type": "send_message", "body": format!("from Ann {turn}")})).await;
        bob.op(trip, json!({"type": "add_place", "name": format!("Place {turn}")})).await;
        match turn % 10 {
            3 => ann.drop_connection(),
            7 => bob.drop_connection(),
            _ => {}
        }
        if turn % 5 == 0 {
            ann.settled().await;
            bob.settled().await;
        }
    }
    ann.settled().await;
    bob.settled().await;
    let last = ann.room(trip).acks().values().chain(bob.room(trip).acks().values()).max().copied().unwrap();
    ann.reached(trip, last).await;
    bob.reached(trip, last).await;
    ann.room(trip).agrees_with(bob.room(trip));
    assert_eq!((ann.room(trip).acks().len(), bob.room(trip).acks().len()), (40, 40), "nothing was refused");
    assert!(ann.reconnects() >= 4 && bob.reconnects() >= 4);
    server.stop().await;
}

#[tokio::test]
async fn nonsense_is_answered_and_the_socket_goes_on() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let trip = server.trip(&ann, &[]).await;
    for codec in CODECS {
        let mut client = Client::connect(&server.live_url(), &ann.token, codec).await;
        client.join(trip).await;
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        let nonsense: Vec<(Message, &str)> = match codec {
            Codec::Json => vec![
                (Message::text("{"), "malformed"),
                (Message::text("[]"), "malformed"),
                (Message::text(r#"{"t":"ping","n":1} {}"#), "malformed"),
                (Message::text(r#"{"t":"ping","n":1,"n":2}"#), "malformed"),
                (Message::text(format!(r#"{{"t":"ping","n":{deep}}}"#)), "malformed"),
                (Message::text(r#"{"t":"ping","n":1e999}"#), "malformed"),
                (Message::binary(vec![0x80]), "malformed"),
                (Message::text(r#"{"t":"fly"}"#), "unknown_command"),
                (Message::text(r#"{"t":"ping","n":1,"seq":4}"#), "unknown_field"),
                (Message::text(r#"{"t":"ping","n":-1}"#), "invalid"),
            ],
            Codec::MessagePack => vec![
                (Message::binary(vec![0xc1]), "malformed"),
                (Message::binary(vec![0xdf, 0xff, 0xff, 0xff, 0xff]), "malformed"),
                (Message::binary(vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'x']), "malformed"),
                (Message::binary(vec![0x80, 0x80]), "malformed"),
                (Message::binary(vec![0x91; 40]), "malformed"),
                (Message::binary(vec![]), "malformed"),
                (Message::text("{}"), "malformed"),
                (Message::binary(vec![0x81, 0xa1, b't', 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]), "malformed"),
            ],
        };
        for (n, (message, code)) in nonsense.into_iter().enumerate() {
            client.send_message(message.clone()).await;
            client.send(&json!({"t": "ping", "n": n})).await;
            client.until("the pong", |client| client.has_other("pong")).await;
            let said = client.take_other();
            let codes: Vec<_> = said.iter().map(|frame| frame["code"].as_str().unwrap_or("")).collect();
            assert_eq!(codes, [code, ""], "{message:?}: {said:?}");
        }
        // And what is meant for a room says so.
        let about = json!({"t": "op", "room": trip, "n": 5, "cmd": {}, "seq": 3});
        client.send(&about).await;
        client.until("the error", |client| client.has_other("error")).await;
        let error = client.take_other().pop().unwrap();
        assert_eq!((&error["code"], &error["about"]), (&json!("unknown_field"), &json!({"room": trip, "n": 5})));
        assert_eq!(client.reconnects(), 0);
    }
    server.stop().await;
}

#[tokio::test]
async fn refused_commands_change_nothing() {
    let server = Inside::start(&[]).await;
    let (ann, eve) = (server.account("ann").await, server.account("eve").await);
    let trip = server.trip(&ann, &[]).await;
    let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    client.join(trip).await;
    let before = client.room(trip).seq();
    let code = |answer: Result<u64, Value>| answer.unwrap_err()["code"].as_str().unwrap().to_owned();
    for (cmd, expected) in [
        (json!({"type": "fly"}), "unknown_command"),
        (json!({"type": "add_place", "name": "Louvre", "stars": 5}), "unknown_field"),
        (json!({"type": "add_place", "name": ""}), "invalid"),
        (json!({"type": "add_place", "name": "Louvre", "by": eve.user}), "unknown_field"),
        (json!([]), "malformed"),
    ] {
        assert_eq!(code(client.ask(trip, cmd).await), expected);
    }
    // The same number with another body.
    let n = client.op(trip, json!({"type": "add_place", "name": "Louvre"})).await;
    client.settled().await;
    client.send(&json!({"t": "op", "room": trip, "n": n, "cmd": {"type": "add_place", "name": "Orsay"}})).await;
    client.count_sending(trip, n);
    client.until("the refusal", |client| client.room(trip).answers(n) == 2).await;
    assert_eq!(client.room(trip).last_refusal().unwrap()["code"], "command_id_reused");
    assert_eq!(client.room(trip).seq(), before + 1);

    // Somebody who may not know of the room.
    let mut eve = Client::connect(&server.live_url(), &eve.token, Codec::Json).await;
    eve.send(&json!({"t": "join", "room": trip})).await;
    eve.send(&json!({"t": "join", "room": uuid::Uuid::now_v7()})).await;
    eve.until("two refusals", |client| client.other().len() == 2).await;
    let errors = eve.take_other();
    let plain = |error: &Value| (error["code"].clone(), error["message"].clone());
    assert_eq!(plain(&errors[0]).0, "not_found");
    assert_eq!(plain(&errors[0]), plain(&errors[1]), "a room that one may not see looks like none");
    server.stop().await;
}

#[tokio::test]
async fn people_see_each_other_come_and_go() {
    let server = Inside::start(&[]).await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let trip = server.trip(&ann, &[&bob]).await;
    let mut one = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let mut two = Client::connect(&server.live_url(), &bob.token, Codec::MessagePack).await;
    one.join(trip).await;
    two.join(trip).await;
    two.presence(trip, json!({"typing": true})).await;
    one.until("Bob types", |client| client.room(trip).present().get(&bob.user).is_some_and(|bob| bob["state"]["typing"] == true)).await;
    two.leave(trip).await;
    one.until("Bob is gone", |client| !client.room(trip).present().contains_key(&bob.user)).await;
    // Who has left is not told any more, and comes back to exactly what was missed.
    let n = one.op(trip, json!({"type": "add_place", "name": "Louvre"})).await;
    one.settled().await;
    let seq = one.room(trip).acked(n);
    two.join(trip).await;
    assert_eq!((two.room(trip).seq(), two.room(trip).epoch()), (seq, one.room(trip).epoch()));
    let event = &two.room(trip).history()[&seq];
    assert_eq!((&event["client"], &event["n"]), (&json!(one.id()), &json!(n)));
    one.reached(trip, seq).await;
    assert_eq!(one.room(trip).applied_own().into_iter().collect::<Vec<_>>(), [n]);
    let (at, state) = one.room(trip).state().unwrap();
    assert!(*at < seq && state.is_object());
    server.stop().await;
}
