//! How others reach a session's task.

use std::borrow::Cow;
use std::sync::OnceLock;
use tokio::sync::Notify;
use tripsync_domain::ErrorCode;
use tripsync_domain::protocol::ServerFrame;

/// Why a session ends by the server's will; becomes `bye` and the close code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub code: ErrorCode,
    /// What the client can do.
    pub message: Cow<'static, str>,
    /// When coming back may help.
    pub retry_after_ms: Option<u64>,
}

impl Ending {
    /// An ending without a hint when to come back.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// The same, with a hint.
    #[must_use]
    pub const fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// The frame that is sent before closing.
    #[must_use]
    pub fn bye(&self) -> ServerFrame {
        ServerFrame::Bye { code: self.code, message: self.message.clone().into_owned(), retry_after_ms: self.retry_after_ms }
    }

    /// Whether the client is expected back soon, so that its presence is kept for the grace.
    #[must_use]
    pub const fn comes_back(&self) -> bool {
        matches!(self.code.close_code(), 1012 | 4000..=4499) || matches!(self.code, ErrorCode::TokenExpired | ErrorCode::TooLarge)
    }
}

/// The one thing by which rooms, the hub and the socket's writer wake a session's task.
#[derive(Debug, Default)]
pub struct Control {
    ending: OnceLock<Ending>,
    wake: Notify,
}

impl Control {
    /// Ends the session; the first ending stands.
    pub fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
        self.wake.notify_one();
    }

    /// The ending, if there is one.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.get()
    }

    /// Wakes the session's task, which looks at everything that may have changed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for a wake-up; one that came before is not lost. For one waiter: the session's task.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}
