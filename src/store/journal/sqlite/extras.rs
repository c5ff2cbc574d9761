//! Seats, listings, reservations and tasks of an append on SQLite. A statement per table and, where rows go, per row: a list of
//! pairs would make SQLite read the whole table.

use super::{BINDS_MAX, ROWS_CACHED_MAX};
use crate::store::journal::batch::Part;
use crate::store::journal::extras;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

/// Writes what the parts have of it.
pub(super) async fn put(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    put_seats(connection, parts).await?;
    put_listings(connection, parts).await?;
    put_reservations(connection, parts).await?;
    put_tasks(connection, parts).await
}

async fn put_seats(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    for (room, id) in extras::frees(parts) {
        sqlx::query("DELETE FROM room_takers WHERE room = $1 AND id = $2").bind(room).bind(id).execute(&mut *connection).await?;
    }
    for (room, count) in extras::parts_now(parts) {
        sqlx::query("DELETE FROM room_capacity WHERE room = $1 AND part >= $2").bind(room).bind(count).execute(&mut *connection).await?;
    }
    let capacity: Vec<_> = extras::capacity(parts).collect();
    for chunk in capacity.chunks(BINDS_MAX / 3) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO room_capacity (room, part, used, total) ");
        sql.push_values(chunk, |mut row, (room, part, total)| {
            row.push_bind(*room).push_bind(*part).push("0").push_bind(*total);
        });
        sql.push(" ON CONFLICT (room, part) DO UPDATE SET total = excluded.total");
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    let takes: Vec<_> = extras::takes(parts).collect();
    for chunk in takes.chunks(BINDS_MAX / 5) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO room_takers (room, id, part_from, part_to, count) ");
        sql.push_values(chunk, |mut row, (room, id, from, to, count)| {
            row.push_bind(*room).push_bind(*id).push_bind(*from).push_bind(*to).push_bind(*count);
        });
        sql.push(" ON CONFLICT (room, id) DO NOTHING");
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_listings(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    for (room, count) in extras::sections_now(parts) {
        sqlx::query("DELETE FROM listings WHERE room = $1 AND idx >= $2").bind(room).bind(count).execute(&mut *connection).await?;
    }
    let listings: Vec<_> = extras::listings(parts).collect();
    for chunk in listings.chunks(BINDS_MAX / 16) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "WITH l (room, idx, group_name, owner, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon, to_lat, to_lon, \
             from_cell, to_cell, seats) AS (",
        );
        sql.push_values(chunk, |mut row, it| {
            row.push_bind(it.room).push_bind(it.idx).push_bind(it.group()).push_bind(it.listing.owner.0);
            row.push_bind(it.listing.at.as_ms()).push_bind(it.price()).push_bind(it.currency());
            row.push_bind(it.section.from_stop.0).push_bind(it.section.to_stop.0);
            row.push_bind(it.section.from.lat()).push_bind(it.section.from.lon());
            row.push_bind(it.section.to.lat()).push_bind(it.section.to.lon());
            row.push_bind(it.start_cell()).push_bind(it.end_cell()).push_bind(i64::from(it.section.seats));
        });
        // Without a WHERE, SQLite takes the ON of the conflict for that of the join.
        sql.push(
            ") INSERT INTO listings (room, idx, kind, group_name, owner, at, price_minor, currency, from_stop, to_stop, from_lat, \
             from_lon, to_lat, to_lon, from_cell, to_cell, seats) \
             SELECT l.room, l.idx, r.kind, l.group_name, l.owner, l.at, l.price_minor, l.currency, l.from_stop, l.to_stop, l.from_lat, \
             l.from_lon, l.to_lat, l.to_lon, l.from_cell, l.to_cell, l.seats FROM l JOIN rooms r ON r.id = l.room WHERE true \
             ON CONFLICT (room, idx) DO UPDATE SET group_name = excluded.group_name, owner = excluded.owner, at = excluded.at, \
             price_minor = excluded.price_minor, currency = excluded.currency, from_stop = excluded.from_stop, \
             to_stop = excluded.to_stop, from_lat = excluded.from_lat, from_lon = excluded.from_lon, to_lat = excluded.to_lat, \
             to_lon = excluded.to_lon, from_cell = excluded.from_cell, to_cell = excluded.to_cell, seats = excluded.seats",
        );
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_reservations(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    for (user, what, room) in extras::reservations(parts, true) {
        sqlx::query(
            "INSERT INTO reservations (user_id, what, room, at) VALUES ($1, $2, $3, NULL) \
             ON CONFLICT (user_id, what, room) DO UPDATE SET at = NULL",
        )
        .bind(user)
        .bind(what)
        .bind(room)
        .execute(&mut *connection)
        .await?;
    }
    for (user, what, room) in extras::reservations(parts, false) {
        sqlx::query("DELETE FROM reservations WHERE user_id = $1 AND what = $2 AND room = $3")
            .bind(user)
            .bind(what)
            .bind(room)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn put_tasks(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    let tasks: Vec<_> = extras::tasks(parts).collect();
    for chunk in tasks.chunks(BINDS_MAX / 6) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO tasks (room, seq, idx, task, at, attempts, not_before) ");
        sql.push_values(chunk, |mut row, it| {
            row.push_bind(it.room).push_bind(it.seq).push_bind(it.idx).push_bind(it.task.as_str());
            row.push_bind(it.at).push("0").push_bind(it.at);
        });
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    Ok(())
}
