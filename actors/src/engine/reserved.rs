//! A reservation that gives itself back.

use crate::ports::{Journal, Reservation};
use std::fmt;
use std::sync::Arc;
use tokio::runtime::Handle;
use uuid::Uuid;

/// What is kept for a command while it is under way, whatever becomes of it: refused, recognised as a repetition, or lost with its
/// session. Given back when this is dropped, unless the command's own append did ([`Reserved::settled`]).
pub struct Reserved {
    journal: Arc<dyn Journal>,
    reservation: Reservation,
    settled: bool,
}

impl Reserved {
    pub(crate) fn new(journal: Arc<dyn Journal>, reservation: Reservation) -> Self {
        Self { journal, reservation, settled: false }
    }

    /// Its own id.
    pub(crate) const fn id(&self) -> Uuid {
        self.reservation.id
    }

    /// The append of the command's events gave it back.
    pub(crate) fn settled(&mut self) {
        self.settled = true;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (journal, reservation) = (Arc::clone(&self.journal), self.reservation);
        // Without a runtime the program is ending, and what is left is forgotten after a while.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = journal.release(reservation).await {
                tracing::warn!(room.id = %reservation.room, error = %crate::error_chain(&error), "a reservation was not given back");
            }
        });
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reserved").field(&self.reservation).finish()
    }
}
