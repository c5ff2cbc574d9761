//! Any command of the live protocol as one request.

use super::Served;
use super::write::{Answer, Receipt, Writer};
use crate::app::App;
use crate::http::problem::{FieldError, Problem};
use serde::Deserialize;
use serde_json::Value;
use tripsync_domain::sequence::COMMAND_NUMBER_MAX;
use tripsync_domain::{ClientId, CommandNumber, RoomId, Seq};

/// A command with what a socket's `op` says of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::v1) struct SentCommand {
    cmd: Value,
    base: Option<Seq>,
    client: Option<ClientId>,
    n: Option<CommandNumber>,
}

impl SentCommand {
    /// The identity that the client gave.
    fn identity(&self) -> Result<Option<(ClientId, CommandNumber)>, Problem> {
        let refused = |pointer: &str, text: String| Err(Problem::invalid(vec![FieldError::invalid(pointer, text)]));
        match (self.client, self.n) {
            (None, None) => Ok(None),
            (Some(_), None) => refused("/n", "is needed with `client`".into()),
            (None, Some(_)) => refused("/client", "is needed with `n`".into()),
            (Some(_), Some(n)) if !(1..=COMMAND_NUMBER_MAX).contains(&n.0) => refused("/n", format!("must be 1 to {COMMAND_NUMBER_MAX}")),
            (Some(client), Some(n)) => Ok(Some((client, n))),
        }
    }
}

/// Sends a command as a socket would.
pub(in crate::http::v1) async fn send<K: Served>(
    app: &App,
    writer: &Writer<K>,
    room: RoomId,
    sent: SentCommand,
) -> Result<Answer<Receipt>, Problem> {
    let id = sent.identity()?;
    let outcome = writer.send(app, room, &sent.cmd, sent.base, id).await.map_err(|mut rejection| {
        rejection.pointer = Some(format!("/cmd{}", rejection.pointer.unwrap_or_default())).filter(|_| rejection.code.http_status() != 404);
        rejection
    })?;
    Ok(Answer::stored(outcome))
}
