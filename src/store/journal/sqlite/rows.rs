//! The rows of an append. A statement per row: compiled once, and with neither a round trip nor a text to build it costs no more than
//! its share of a long one.

use super::extras;
use crate::store::journal::Refused;
use crate::store::journal::batch::Part;
use rusqlite::{Connection, Error, OptionalExtension as _, params};
use tripsync_actors::ports::{NewRecord, Refusal};
use tripsync_domain::Timestamp;

/// Writes the parts; says which rooms were refused, of which nothing is written.
pub(super) fn put(connection: &Connection, parts: &[Part<'_>]) -> Result<Refused, Error> {
    let mut refused = Refused::new();
    for part in parts {
        if !move_room(connection, part)? {
            refused.insert(part.append.room, refusal(connection, part)?);
            continue;
        }
        for record in &part.append.records {
            put_event(connection, part, record)?;
        }
        if part.projected.has_rows() {
            put_members(connection, part)?;
            put_items(connection, part)?;
        }
        if let Some(found) = &part.projected.extras {
            extras::put(connection, part, found)?;
        }
    }
    Ok(refused)
}

/// The fence: moves the room on if it is still at the epoch and the seq that the append builds on.
fn move_room(connection: &Connection, part: &Part<'_>) -> Result<bool, Error> {
    let (title, status, summary) = match &part.projected.row {
        Some((title, status, summary)) => (Some(&**title), Some(&**status), Some(summary.as_str())),
        None => (None, None, None),
    };
    let mut statement = connection.prepare_cached(
        "UPDATE rooms SET last_seq = ?4, updated_at = ?5, title = COALESCE(?6, title), status = COALESCE(?7, status), \
         summary = COALESCE(?8, summary), ended_at = COALESCE(?9, ended_at), deadline = ?10 \
         WHERE id = ?1 AND epoch = ?2 AND last_seq = ?3 - 1",
    )?;
    let moved = statement.execute(params![
        part.append.room.as_bytes(),
        part.append.epoch.to_db(),
        part.first,
        part.last,
        part.at,
        title,
        status,
        summary,
        part.projected.ended.then_some(part.at),
        part.append.deadline.map(Timestamp::as_ms),
    ])?;
    Ok(moved == 1)
}

/// Why the room did not move.
fn refusal(connection: &Connection, part: &Part<'_>) -> Result<Refusal, Error> {
    let mut statement = connection.prepare_cached("SELECT epoch FROM rooms WHERE id = ?1")?;
    let epoch: Option<i64> = statement.query_row([part.append.room.as_bytes()], |row| row.get(0)).optional()?;
    Ok(if epoch == Some(part.append.epoch.to_db()) { Refusal::Duplicate } else { Refusal::Fenced })
}

fn put_event(connection: &Connection, part: &Part<'_>, record: &NewRecord) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (room, seq, epoch, at, author, tag, entity, client, n, fingerprint, bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    statement.execute(params![
        part.append.room.as_bytes(),
        record.seq.to_db(),
        part.append.epoch.to_db(),
        record.at.as_ms(),
        record.by.as_bytes(),
        record.tag,
        record.entity.as_ref().map(|id| id.as_bytes()),
        record.command.as_ref().map(|key| key.client.as_bytes()),
        record.command.map(|key| key.n.to_db()),
        record.command.map(|key| key.fingerprint.cast_signed()),
        &record.bytes[..],
    ])?;
    Ok(())
}

fn put_members(connection: &Connection, part: &Part<'_>) -> Result<(), Error> {
    for (user, role) in &part.projected.members {
        let (room, user) = (part.append.room.as_bytes(), user.as_bytes());
        if let Some(role) = role {
            let mut statement = connection.prepare_cached(
                "INSERT INTO members (room, user_id, role, since_seq, since) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (room, user_id) DO UPDATE SET role = excluded.role",
            )?;
            statement.execute(params![room, user, role.as_str(), part.last, part.at])?;
        } else {
            connection.prepare_cached("DELETE FROM members WHERE room = ?1 AND user_id = ?2")?.execute(params![room, user])?;
        }
    }
    Ok(())
}

fn put_items(connection: &Connection, part: &Part<'_>) -> Result<(), Error> {
    for ((collection, id), (seq, doc)) in &part.projected.items {
        let mut statement = connection.prepare_cached(
            "INSERT INTO room_items (room, collection, id, seq, doc) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (room, collection, id) DO UPDATE SET doc = excluded.doc WHERE room_items.seq = excluded.seq",
        )?;
        statement.execute(params![part.append.room.as_bytes(), collection, id.as_bytes(), seq.to_db(), doc])?;
    }
    Ok(())
}
