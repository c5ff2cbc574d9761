//! What is reserved for a command is given back unless the command made it last, whatever becomes of the command and of who sent it.

use super::stage::{ANN, ROOM, Socket, Stage, note, quiet};
use crate::ports::Clock;
use crate::room::{From, Op, RoomMsg};
use crate::session::{Authenticator, Control, Credential, Session, SessionLimits, Shared};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use tripsync_domain::protocol::ClientFrame;
use tripsync_domain::{CommandNumber, Rejection, RoomId};
use uuid::Uuid;

fn reserve() -> Value {
    json!({"type": "reserve", "accept": true})
}

/// What Ann has: held for commands under way, and lasting.
#[track_caller]
fn check(stage: &Stage, held: &[RoomId], lasting: &[RoomId]) {
    assert_eq!(stage.memory.held(ANN, "tests"), held, "held");
    assert_eq!(stage.memory.reserved(ANN, "tests"), lasting, "lasting");
}

/// Sends a command with what it needs, as a session does.
async fn send(stage: &Stage, socket: &Socket, n: u64, command: &Value) {
    let address = stage.engine.room(ROOM).await.unwrap();
    let (command, needs) = address.parse(command).unwrap();
    let ready = stage.engine.prepare(ROOM, socket.info.card.user, &needs).await.unwrap();
    let op = Op {
        from: From::Session { id: socket.info.id, sink: Arc::clone(&socket.ear) as _ },
        id: Some((socket.info.client, CommandNumber(n))),
        command,
        base: None,
        if_match: None,
        origin: None,
        ready,
        permits: vec![address.admit().unwrap()],
        receipt: None,
    };
    address.tell(RoomMsg::Op(op)).unwrap();
    quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_again_gives_its_own_back() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    send(&stage, &ann, 1, &reserve()).await;
    assert_eq!(ann.gist().last().unwrap(), "ack 1 at 3");
    check(&stage, &[], &[ROOM]);
    // The newest number, an older one, which is looked up, and a number that names another command.
    for (n, command, answer) in [
        (1, reserve(), "ack 1 at 3 again"),
        (2, note("between"), "ack 2 at 4"),
        (1, reserve(), "ack 1 at 3 again"),
        (2, reserve(), "rejected 2 command_id_reused"),
    ] {
        send(&stage, &ann, n, &command).await;
        assert_eq!(ann.gist().last().unwrap(), answer);
        check(&stage, &[], &[ROOM]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_comes_again_while_it_is_under_way_gives_back_nothing_of_the_first() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    stage.memory.freeze();
    send(&stage, &ann, 1, &reserve()).await;
    send(&stage, &ann, 1, &reserve()).await;
    check(&stage, &[ROOM, ROOM], &[]);
    stage.memory.thaw();
    quiet().await;
    assert!(ann.gist().iter().any(|frame| frame == "ack 1 at 3 again"));
    check(&stage, &[], &[ROOM]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_gives_back_what_is_not_decided() {
    let stage = Stage::new().await;
    // On its way when its session has left the room: there is nobody whose command it could be.
    let ann = stage.seated(ANN).await;
    stage.leave(&ann, true).await;
    send(&stage, &ann, 1, &reserve()).await;
    assert_eq!(ann.gist(), ["rejected 1 not_joined"]);
    check(&stage, &[], &[]);
    // Decided before: the append settles it, whether anybody is left to hear of it or not.
    let ann = stage.seated(ANN).await;
    stage.memory.freeze();
    send(&stage, &ann, 1, &reserve()).await;
    stage.leave(&ann, true).await;
    quiet().await;
    check(&stage, &[ROOM], &[]);
    stage.memory.thaw();
    quiet().await;
    check(&stage, &[], &[ROOM]);
}

struct NoTokens;

#[async_trait]
impl Authenticator for NoTokens {
    async fn check(&self, _: &str) -> Result<Credential, Rejection> {
        Err(Rejection::forbidden("nobody asks"))
    }

    fn is_ended(&self, _: &Credential) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_its_command_is_got_ready_gives_it_back() {
    let stage = Stage::new().await;
    let ann = stage.socket(ANN);
    let shared = Shared {
        rooms: Arc::new(stage.engine.clone()),
        authenticator: Arc::new(NoTokens),
        clock: Arc::new(stage.clock.clone()),
        limits: SessionLimits::default(),
    };
    let far_off = stage.clock.now().plus(std::time::Duration::from_secs(900));
    let credential = Credential { user: ANN, login: Uuid::nil(), expires_at: far_off };
    let sink = Arc::clone(&ann.ear) as _;
    let mut session = Session::start(Arc::clone(&ann.info), &credential, Arc::new(shared), sink, Arc::<Control>::default());
    session.receive(Ok(ClientFrame::Join { room: ROOM, since: None })).unwrap();
    session.work().await.unwrap();
    // The reservation is made; its answer is still on its way.
    let answers = stage.shim.reservations.acquire_many(1_000).await.unwrap();
    session.receive(Ok(ClientFrame::Op { room: ROOM, n: CommandNumber(1), cmd: reserve(), base: None })).unwrap();
    tokio::select! {
        biased;
        ended = session.work() => panic!("nothing can be ready: {ended:?}"),
        () = quiet() => {}
    }
    check(&stage, &[ROOM], &[]);
    drop(session);
    drop(answers);
    quiet().await;
    check(&stage, &[], &[]);
    assert_eq!(stage.last(), 2, "nothing was decided");
}
