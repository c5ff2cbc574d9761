//! Model clients: they follow the rules of the protocol, and an observer follows them.

mod model;
mod wire;

pub(super) use model::Model;

use super::ward::Ward;
use crate::room::SessionInfo;
use crate::session::{Control, Credential, Due, Session, Shared};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tripsync_domain::protocol::{ClientFrame, Codec};
use tripsync_domain::{SessionId, Timestamp, UserCard};
use uuid::Uuid;
use wire::Wire;

/// How long a client waits before it sends again what it was told to send again.
const AGAIN: Duration = Duration::from_millis(300);

/// A socket: its session, and the task that drives both.
pub(super) struct Connection {
    frames: mpsc::Sender<ClientFrame>,
    wire: Arc<Wire>,
    goodbye: Arc<Mutex<bool>>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Opens one; its task runs on the runtime whose context this is called in.
    pub(super) fn open(model: &Arc<Mutex<Model>>, shared: Arc<Shared>, ward: Ward, budget_bytes: usize, id: Uuid) -> Self {
        let (frames, receiver) = mpsc::channel(1_000);
        let (user, client) = {
            let mut model = model.lock();
            model.connected();
            (model.user, model.client)
        };
        let wire = Arc::new(Wire::new(user, ward, budget_bytes));
        let info = SessionInfo {
            id: SessionId(id),
            card: UserCard { user, name: format!("User {user}"), group: None },
            client,
            codec: Codec::Json,
        };
        let credential = Credential { user, login: Uuid::nil(), expires_at: Timestamp::from_ms(i64::MAX / 4) };
        let control = Arc::<Control>::default();
        let session = Session::start(Arc::new(info), &credential, shared, Arc::clone(&wire) as _, Arc::clone(&control));
        let goodbye = Arc::new(Mutex::new(false));
        let driver = Driver { session, control, wire: Arc::clone(&wire), model: Arc::clone(model), goodbye: Arc::clone(&goodbye) };
        Self { frames, wire, goodbye, task: tokio::spawn(driver.run(receiver)) }
    }

    pub(super) fn send(&self, frames: impl IntoIterator<Item = ClientFrame>) {
        for frame in frames {
            self.frames.try_send(frame).expect("the session keeps up");
        }
    }

    /// Lets the client read nothing any more, or again.
    pub(super) fn stall(&self, stalled: bool) {
        self.wire.stall(stalled);
    }

    /// Ends the socket; its session lets go once its node notices, which is when the task that is returned ends.
    pub(super) fn cut(self, goodbye: bool) -> JoinHandle<()> {
        self.wire.kill();
        *self.goodbye.lock() = goodbye;
        self.task
    }
}

struct Driver {
    session: Session,
    control: Arc<Control>,
    wire: Arc<Wire>,
    model: Arc<Mutex<Model>>,
    goodbye: Arc<Mutex<bool>>,
}

impl Driver {
    /// As the task of a real socket does it.
    async fn run(mut self, mut frames: mpsc::Receiver<ClientFrame>) {
        let mut again_at = None;
        loop {
            self.session.sweep();
            if !self.wire.is_dead() && self.model.lock().has_again() {
                again_at.get_or_insert(tokio::time::Instant::now() + AGAIN);
            }
            let due = self.session.deadline().min(again_at.unwrap_or(self.session.deadline()));
            tokio::select! {
                biased;
                () = self.control.woken() => {}
                () = self.wire.readable() => {
                    let (values, drained) = self.wire.take();
                    let answers: Vec<_> = values.iter().flat_map(|value| self.model.lock().hear(value)).collect();
                    if drained {
                        self.session.drained();
                    }
                    self.receive(answers);
                }
                worked = self.session.work() => worked.expect("the session goes on"),
                () = sleep_until(due) => {
                    if again_at.take_if(|at| *at <= tokio::time::Instant::now()).is_some() && !self.wire.is_dead() {
                        let again = self.model.lock().again();
                        self.receive(again);
                    }
                    match self.session.tick() {
                        Due::Nothing => {}
                        Due::Ping => self.session.heard(),
                        Due::End(ending) => panic!("the session ended: {ending:?}"),
                    }
                }
                frame = frames.recv() => match frame {
                    Some(frame) => self.receive([frame]),
                    None => break,
                },
            }
        }
        if *self.goodbye.lock() {
            self.session.goodbye();
        }
    }

    fn receive(&mut self, frames: impl IntoIterator<Item = ClientFrame>) {
        for frame in frames {
            self.session.heard();
            self.session.receive(Ok(frame)).expect("the session goes on");
        }
    }
}
