//! Seats, listings, reservations and tasks of an append on PostgreSQL: two or three statements after the one of the append, in its
//! transaction. Not part of that one, because a statement's parts run in no order, and seats must be freed before they are taken.

use crate::store::journal::batch::Part;
use crate::store::journal::extras;
use sqlx::postgres::PgConnection;

/// Frees and everything that has no order. A row occurs in one part at most: sections are replaced by number, and those beyond go.
const FREES_AND_LISTS: &str = "WITH freed AS (
        DELETE FROM room_takers USING UNNEST($1::uuid[], $2::uuid[]) AS f (room, id)
        WHERE room_takers.room = f.room AND room_takers.id = f.id
    ), unlisted AS (
        DELETE FROM listings USING UNNEST($3::uuid[], $4::int8[]) AS u (room, sections)
        WHERE listings.room = u.room AND listings.idx >= u.sections
    ), listed AS (
        INSERT INTO listings (room, idx, kind, group_name, owner, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon,
            to_lat, to_lon, from_cell, to_cell, seats)
        SELECT l.room, l.idx, r.kind, l.group_name, l.owner, l.at, l.price_minor, l.currency, l.from_stop, l.to_stop, l.from_lat,
            l.from_lon, l.to_lat, l.to_lon, l.from_cell, l.to_cell, l.seats
        FROM UNNEST($5::uuid[], $6::int8[], $7::text[], $8::uuid[], $9::int8[], $10::int8[], $11::text[], $12::uuid[], $13::uuid[],
            $14::float8[], $15::float8[], $16::float8[], $17::float8[], $18::int8[], $19::int8[], $20::int8[])
            AS l (room, idx, group_name, owner, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon, to_lat, to_lon,
            from_cell, to_cell, seats)
        JOIN rooms r ON r.id = l.room
        ON CONFLICT (room, idx) DO UPDATE SET group_name = excluded.group_name, owner = excluded.owner, at = excluded.at,
            price_minor = excluded.price_minor, currency = excluded.currency, from_stop = excluded.from_stop,
            to_stop = excluded.to_stop, from_lat = excluded.from_lat, from_lon = excluded.from_lon, to_lat = excluded.to_lat,
            to_lon = excluded.to_lon, from_cell = excluded.from_cell, to_cell = excluded.to_cell, seats = excluded.seats
    ), lasting AS (
        INSERT INTO reservations (user_id, what, room)
        SELECT r.user_id, r.what, r.room FROM UNNEST($21::uuid[], $22::text[], $23::uuid[]) AS r (user_id, what, room)
        ON CONFLICT (user_id, what, room) DO NOTHING
    ), released AS (
        DELETE FROM reservations USING UNNEST($24::uuid[], $25::text[], $26::uuid[]) AS r (user_id, what, room)
        WHERE reservations.user_id = r.user_id AND reservations.what = r.what AND reservations.room = r.room
    ), settled AS (
        DELETE FROM reservations_held WHERE id = ANY ($32::uuid[])
    )
    INSERT INTO tasks (room, seq, idx, task, at, attempts, not_before)
    SELECT t.room, t.seq, t.idx, t.task, t.at, 0, t.at
    FROM UNNEST($27::uuid[], $28::int8[], $29::int8[], $30::text[], $31::int8[]) AS t (room, seq, idx, task, at)";

const CAPACITY: &str = "WITH gone AS (
        DELETE FROM room_capacity USING UNNEST($1::uuid[], $2::int8[]) AS g (room, parts)
        WHERE room_capacity.room = g.room AND room_capacity.part >= g.parts
    )
    INSERT INTO room_capacity (room, part, used, total)
    SELECT c.room, c.part, 0, c.total FROM UNNEST($3::uuid[], $4::int8[], $5::int8[]) AS c (room, part, total)
    ON CONFLICT (room, part) DO UPDATE SET total = excluded.total";

const TAKES: &str = "INSERT INTO room_takers (room, id, part_from, part_to, count)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::int8[]) ON CONFLICT (room, id) DO NOTHING";

/// Writes what the parts have of it.
pub(super) async fn put(connection: &mut PgConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    put_lists(connection, parts).await?;
    put_seats(connection, parts).await
}

async fn put_lists(connection: &mut PgConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    let listings: Vec<_> = extras::listings(parts).collect();
    let tasks: Vec<_> = extras::tasks(parts).collect();
    let reservations = |lasting| extras::reservations(parts, lasting);
    sqlx::query(FREES_AND_LISTS)
        .bind(extras::frees(parts).map(|(room, _)| room).collect::<Vec<_>>())
        .bind(extras::frees(parts).map(|(_, id)| id).collect::<Vec<_>>())
        .bind(extras::sections_now(parts).map(|(room, _)| room).collect::<Vec<_>>())
        .bind(extras::sections_now(parts).map(|(_, sections)| sections).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.room).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.idx).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.group()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.listing.owner.0).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.listing.at.as_ms()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.price()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.currency()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.from_stop.0).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.to_stop.0).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.from.lat()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.from.lon()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.to.lat()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.section.to.lon()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.start_cell()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| it.end_cell()).collect::<Vec<_>>())
        .bind(listings.iter().map(|it| i64::from(it.section.seats)).collect::<Vec<_>>())
        .bind(reservations(true).map(|(user, ..)| user).collect::<Vec<_>>())
        .bind(reservations(true).map(|(_, what, _)| what).collect::<Vec<_>>())
        .bind(reservations(true).map(|(.., room)| room).collect::<Vec<_>>())
        .bind(reservations(false).map(|(user, ..)| user).collect::<Vec<_>>())
        .bind(reservations(false).map(|(_, what, _)| what).collect::<Vec<_>>())
        .bind(reservations(false).map(|(.., room)| room).collect::<Vec<_>>())
        .bind(tasks.iter().map(|it| it.room).collect::<Vec<_>>())
        .bind(tasks.iter().map(|it| it.seq).collect::<Vec<_>>())
        .bind(tasks.iter().map(|it| it.idx).collect::<Vec<_>>())
        .bind(tasks.iter().map(|it| it.task.as_str()).collect::<Vec<_>>())
        .bind(tasks.iter().map(|it| it.at).collect::<Vec<_>>())
        .bind(extras::settled(parts).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_seats(connection: &mut PgConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    if extras::parts_now(parts).next().is_some() {
        sqlx::query(CAPACITY)
            .bind(extras::parts_now(parts).map(|(room, _)| room).collect::<Vec<_>>())
            .bind(extras::parts_now(parts).map(|(_, count)| count).collect::<Vec<_>>())
            .bind(extras::capacity(parts).map(|(room, ..)| room).collect::<Vec<_>>())
            .bind(extras::capacity(parts).map(|(_, part, _)| part).collect::<Vec<_>>())
            .bind(extras::capacity(parts).map(|(.., total)| total).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    if extras::takes(parts).next().is_some() {
        sqlx::query(TAKES)
            .bind(extras::takes(parts).map(|(room, ..)| room).collect::<Vec<_>>())
            .bind(extras::takes(parts).map(|(_, id, ..)| id).collect::<Vec<_>>())
            .bind(extras::takes(parts).map(|(_, _, from, ..)| from).collect::<Vec<_>>())
            .bind(extras::takes(parts).map(|(_, _, _, to, _)| to).collect::<Vec<_>>())
            .bind(extras::takes(parts).map(|(.., count)| count).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
