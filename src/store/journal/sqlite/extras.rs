//! Seats, listings, reservations and tasks of an append on SQLite.

use crate::store::journal::batch::Part;
use crate::store::journal::extras::{self, Extras};
use rusqlite::{Connection, Error, params};

/// Writes what the part has of it.
pub(super) fn put(connection: &Connection, part: &Part<'_>, found: &Extras<'_>) -> Result<(), Error> {
    put_seats(connection, part, found)?;
    let parts = [part];
    put_listings(connection, &parts)?;
    put_reservations(connection, &parts)?;
    put_tasks(connection, &parts)
}

fn put_seats(connection: &Connection, part: &Part<'_>, found: &Extras<'_>) -> Result<(), Error> {
    let room = part.append.room.as_bytes();
    for id in &found.frees {
        connection.prepare_cached("DELETE FROM room_takers WHERE room = ?1 AND id = ?2")?.execute(params![room, id.as_bytes()])?;
    }
    if let Some((count, total)) = found.capacity {
        connection.prepare_cached("DELETE FROM room_capacity WHERE room = ?1 AND part >= ?2")?.execute(params![room, count])?;
        let mut statement = connection.prepare_cached(
            "INSERT INTO room_capacity (room, part, used, total) VALUES (?1, ?2, 0, ?3) \
             ON CONFLICT (room, part) DO UPDATE SET total = excluded.total",
        )?;
        // A part per leg: at most some tens.
        for leg in 0..count {
            statement.execute(params![room, leg, total])?;
        }
    }
    for (id, (from, to, count)) in &found.takes {
        let mut statement = connection.prepare_cached(
            "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (room, id) DO NOTHING",
        )?;
        statement.execute(params![room, id.as_bytes(), from, to, count])?;
    }
    Ok(())
}

fn put_listings(connection: &Connection, parts: &[&Part<'_>]) -> Result<(), Error> {
    for (room, sections) in extras::sections_now(parts) {
        connection.prepare_cached("DELETE FROM listings WHERE room = ?1 AND idx >= ?2")?.execute(params![room.as_bytes(), sections])?;
    }
    for it in extras::listings(parts) {
        let mut statement = connection.prepare_cached(
            "INSERT INTO listings (room, idx, kind, group_name, owner, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon, \
             to_lat, to_lon, from_cell, to_cell, seats) \
             SELECT id, ?2, kind, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16 FROM rooms WHERE id = ?1 \
             ON CONFLICT (room, idx) DO UPDATE SET group_name = excluded.group_name, owner = excluded.owner, at = excluded.at, \
             price_minor = excluded.price_minor, currency = excluded.currency, from_stop = excluded.from_stop, \
             to_stop = excluded.to_stop, from_lat = excluded.from_lat, from_lon = excluded.from_lon, to_lat = excluded.to_lat, \
             to_lon = excluded.to_lon, from_cell = excluded.from_cell, to_cell = excluded.to_cell, seats = excluded.seats",
        )?;
        let (listing, section) = (it.listing, it.section);
        statement.execute(params![
            it.room.as_bytes(),
            it.idx,
            it.group(),
            listing.owner.as_bytes(),
            listing.at.as_ms(),
            it.price(),
            it.currency(),
            section.from_stop.as_bytes(),
            section.to_stop.as_bytes(),
            section.from.lat(),
            section.from.lon(),
            section.to.lat(),
            section.to.lon(),
            it.start_cell(),
            it.end_cell(),
            section.seats,
        ])?;
    }
    Ok(())
}

fn put_reservations(connection: &Connection, parts: &[&Part<'_>]) -> Result<(), Error> {
    for (user, what, room) in extras::reservations(parts, true) {
        let sql = "INSERT INTO reservations (user_id, what, room) VALUES (?1, ?2, ?3) ON CONFLICT (user_id, what, room) DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![user.as_bytes(), what, room.as_bytes()])?;
    }
    for id in extras::settled(parts) {
        connection.prepare_cached("DELETE FROM reservations_held WHERE id = ?1")?.execute(params![id.as_bytes()])?;
    }
    for (user, what, room) in extras::reservations(parts, false) {
        connection.prepare_cached("DELETE FROM reservations WHERE user_id = ?1 AND what = ?2 AND room = ?3")?.execute(params![
            user.as_bytes(),
            what,
            room.as_bytes()
        ])?;
    }
    Ok(())
}

fn put_tasks(connection: &Connection, parts: &[&Part<'_>]) -> Result<(), Error> {
    for it in extras::tasks(parts) {
        let mut statement = connection
            .prepare_cached("INSERT INTO tasks (room, seq, idx, task, at, attempts, not_before) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?5)")?;
        statement.execute(params![it.room.as_bytes(), it.seq, it.idx, it.task, it.at])?;
    }
    Ok(())
}
