//! A client on a real socket: connects, joins, renews its token, comes back after drops, and lets a [`Mind`] act.

use super::DemoError;
use super::account::{Account, Renewed};
use super::api::Api;
use super::desk::{Desk, Heard};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;
use tripsync_domain::protocol::{Codec, to_json};
use uuid::Uuid;

/// How long a handshake, or one message on its way out, may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Silence after which a socket counts as dead; the server's own limit, which it tells, is the same.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest time between two attempts to connect.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// What somebody does at a socket. Without I/O, so that it can be tested without one.
pub(super) trait Mind: Send {
    /// Takes in what the server said. Whether there is reason to act sooner than planned: [`Mind::pause`] counts anew then.
    fn hear(&mut self, heard: &Heard) -> bool;
    /// What to do now; asked after every [`Mind::pause`] while in the room.
    fn act(&mut self) -> Vec<Deed>;
    /// How long until the next [`Mind::act`].
    fn pause(&self) -> Duration;
    /// Whether everything is done, given how many commands are unanswered.
    fn is_done(&self, _unanswered: usize) -> bool {
        false
    }
}

/// One thing done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// A command, sent until it is answered.
    Command(Value),
    /// A presence state; only the newest counts.
    Presence(Value),
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// The mind has done everything.
    Done,
    /// The room does not want it, with the code.
    Out(String),
}

/// How one socket ended.
enum Turn {
    End(Ended),
    Again(Duration),
}

/// A person's way into a room.
#[derive(Debug)]
pub(super) struct Link {
    api: Api,
    account: Account,
    codec: Codec,
    client: Uuid,
    desk: Desk,
    attempts: u32,
}

type Socket = WebSocketStream<TcpStream>;

impl Link {
    pub(super) const fn new(api: Api, account: Account, codec: Codec, client: Uuid, desk: Desk) -> Self {
        Self { api, account, codec, client, desk, attempts: 0 }
    }

    /// The account, for another link.
    pub(super) fn into_account(self) -> Account {
        self.account
    }

    /// Goes on until it is stopped, the mind is done, or the room refuses it for good.
    pub(super) async fn run(&mut self, mind: &mut dyn Mind, stop: &CancellationToken) -> Ended {
        loop {
            let pause = match self.socket(mind, stop).await {
                Ok(Turn::End(ended)) => return ended,
                Ok(Turn::Again(pause)) => pause,
                Err(error) => {
                    tracing::warn!(person = self.account.person.name(), %error, "the demo's socket ended");
                    Duration::ZERO
                }
            };
            self.attempts = self.attempts.saturating_add(1);
            let grown = Duration::from_millis(200) * 2_u32.saturating_pow(self.attempts.min(10));
            let pause = pause + grown.min(BACK_OFF_MAX).mul_f64(rand::random_range(0.5..1.0));
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ended::Stopped;
            }
        }
    }

    async fn socket(&mut self, mind: &mut dyn Mind, stop: &CancellationToken) -> Result<Turn, DemoError> {
        if Instant::now() >= self.account.renew_at() {
            self.account.renew().await?;
        }
        let opening = timeout(LIMIT, self.open());
        let Some(opened) = stop.run_until_cancelled(opening).await else {
            return Ok(Turn::End(Ended::Stopped));
        };
        let mut socket = match opened.map_err(|_| self.broken("the server does not answer"))? {
            Ok(socket) => socket,
            // The token may have been refused: the next attempt has another one.
            Err(error) => {
                self.account.renew().await?;
                return Err(error);
            }
        };
        let turn = self.talk(&mut socket, mind, stop).await;
        // A courtesy: whoever is gone already is not waited for.
        let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        turn
    }

    async fn open(&self) -> Result<Socket, DemoError> {
        let address = self.api.address();
        let uri = format!("ws://{address}/api/v1/live?client={}", self.client);
        let request = ClientRequestBuilder::new(uri.parse().map_err(|error: http::uri::InvalidUri| self.broken(error))?)
            .with_header("authorization", self.account.authorization())
            .with_sub_protocol(self.codec.subprotocol());
        let stream = TcpStream::connect(address).await.map_err(|error| self.broken(error))?;
        stream.set_nodelay(true).map_err(|error| self.broken(error))?;
        let (socket, _) = client_async(request, stream).await.map_err(|error| self.broken(error))?;
        Ok(socket)
    }

    async fn talk(&mut self, socket: &mut Socket, mind: &mut dyn Mind, stop: &CancellationToken) -> Result<Turn, DemoError> {
        let join = self.desk.join();
        self.send(socket, &join).await?;
        let mut heard_at = Instant::now();
        let mut act_at = heard_at;
        let mut again_at = None;
        loop {
            if mind.is_done(self.desk.pending()) {
                return Ok(Turn::End(Ended::Done));
            }
            tokio::select! {
                () = stop.cancelled() => {
                    let leave = json!({"t": "leave", "room": self.desk.room()});
                    self.send(socket, &leave).await?;
                    return Ok(Turn::End(Ended::Stopped));
                }
                message = socket.next() => {
                    let message = message.ok_or_else(|| self.broken("closed"))?.map_err(|error| self.broken(error))?;
                    heard_at = Instant::now();
                    let Some(frame) = self.read(&message)? else { continue };
                    let Some(heard) = self.desk.hear(&frame) else { continue };
                    let sooner = match heard {
                        Heard::Reconnect(ms) => return Ok(Turn::Again(Duration::from_millis(ms))),
                        Heard::Out(code) => return Ok(Turn::End(Ended::Out(code))),
                        Heard::Later(ms) => {
                            again_at = Some(heard_at + Duration::from_millis(ms));
                            false
                        }
                        heard @ (Heard::State(_) | Heard::Events(_) | Heard::Presence(_) | Heard::Answered { .. }) => mind.hear(&heard),
                    };
                    if sooner {
                        act_at = act_at.min(heard_at + mind.pause());
                    }
                    if frame["t"] == "joined" {
                        self.attempts = 0;
                        mind.hear(&Heard::Presence(json!({"all": true, "set": frame["presence"]})));
                        self.send_again(socket).await?;
                        act_at = heard_at + mind.pause();
                    }
                }
                () = sleep_until(act_at), if self.desk.is_joined() => {
                    for deed in mind.act() {
                        self.perform(socket, deed).await?;
                    }
                    act_at = Instant::now() + mind.pause();
                }
                () = sleep_until(again_at.unwrap_or(act_at)), if again_at.is_some() => {
                    again_at = None;
                    self.send_again(socket).await?;
                }
                () = sleep_until(self.account.renew_at()) => match self.account.renew().await? {
                    Renewed::Login => {
                        let auth = json!({"t": "auth", "token": self.account.token()});
                        self.send(socket, &auth).await?;
                    }
                    Renewed::Anew => return Ok(Turn::Again(Duration::ZERO)),
                },
                () = sleep_until(heard_at + SILENCE) => return Err(self.broken("nothing was heard for too long")),
            }
        }
    }

    async fn perform(&mut self, socket: &mut Socket, deed: Deed) -> Result<(), DemoError> {
        let frame = match deed {
            Deed::Presence(state) => Some(json!({"t": "presence", "room": self.desk.room(), "state": state})),
            // Without a frame it is on its list and goes out after the next `joined`.
            Deed::Command(command) => self.desk.submit(command).and_then(|(_, frame)| frame),
        };
        match frame {
            Some(frame) => self.send(socket, &frame).await,
            None => Ok(()),
        }
    }

    async fn send_again(&self, socket: &mut Socket) -> Result<(), DemoError> {
        for frame in self.desk.again() {
            self.send(socket, &frame).await?;
        }
        Ok(())
    }

    async fn send(&self, socket: &mut Socket, frame: &Value) -> Result<(), DemoError> {
        let message = match self.codec {
            Codec::Json => Message::text(frame.to_string()),
            Codec::MessagePack => Message::binary(rmp_serde::to_vec_named(frame).map_err(|error| self.broken(error))?),
        };
        match timeout(LIMIT, socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| self.broken(error)),
            Err(_) => Err(self.broken("a message could not be sent in time")),
        }
    }

    /// The frame of a message; `None` for messages that hold none.
    fn read(&self, message: &Message) -> Result<Option<Value>, DemoError> {
        let json = match message {
            Message::Text(text) => serde_json::from_str(text.as_str()),
            Message::Binary(bytes) => serde_json::from_slice(&to_json(bytes).map_err(|error| self.broken(error))?),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(None),
        };
        json.map(Some).map_err(|error| self.broken(error))
    }

    fn broken(&self, reason: impl std::fmt::Display) -> DemoError {
        DemoError::Unreachable { what: format!("{}'s socket", self.account.person.name()), reason: reason.to_string() }
    }
}
