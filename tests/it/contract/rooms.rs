//! The pages that REST reads, on both databases.

use super::{Store, append, record};
use crate::harness::{TestDatabase, for_each_backend};
use serde_json::json;
use tripsync::store::journal::JournalOptions;
use tripsync::store::rooms::{self, EventFilter, RoomFilter};
use tripsync_actors::ports::{CommandKey, Journal as _, NewRecord};
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, Projection, Role, RoomId, Seq, UserId};
use uuid::Uuid;

for_each_backend!(a_users_rooms_are_paged, members_carry_their_names, a_log_is_paged_and_filtered, items_are_paged);

fn user() -> UserId {
    UserId(Uuid::now_v7())
}

async fn stored(store: &Store, room: (RoomId, Epoch), records: Vec<NewRecord>, projections: Vec<Projection>) {
    assert_eq!(store.journal.append([append(room, records, projections)].into()).await.unwrap(), [Ok(())]);
}

async fn a_users_rooms_are_paged(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (ann, bob) = (user(), user());
    let mut made = Vec::new();
    for n in 0..7_i64 {
        // Two at the same instant, to be told apart by id.
        let room = store.room(n / 2).await;
        let status = if n % 3 == 0 { "done" } else { "planning" };
        let row = Projection::Room { title: format!("trip {n}"), status: status.into(), summary: json!({"n": n}) };
        let members = [(ann, Role::Organizer), (bob, Role::Viewer)].map(|(user, role)| Projection::MemberSet { user, role });
        let mut projections = vec![row];
        projections.extend(if n == 0 { members[..1].to_vec() } else { members.to_vec() });
        stored(&store, room, vec![record(1)], projections).await;
        made.push((n / 2, room));
    }
    let (db, all) = (&store.db, RoomFilter { user: ann, kind: None, status: None });
    made.sort_by_key(|(at, (id, _))| std::cmp::Reverse((*at, *id)));
    let newest_first: Vec<RoomId> = made.iter().map(|(_, (id, _))| *id).collect();
    let ids = |rows: &[rooms::RoomRow]| rows.iter().map(|row| row.id).collect::<Vec<_>>();

    let whole = rooms::list(db, all, None, 0, 100).await.unwrap();
    assert_eq!(ids(&whole), newest_first);
    assert_eq!(rooms::count(db, all).await.unwrap(), 7);
    let mut paged = Vec::new();
    let mut cursor = None;
    loop {
        let page = rooms::list(db, all, cursor, 0, 3).await.unwrap();
        cursor = page.last().map(rooms::RoomRow::cursor);
        paged.extend(ids(&page));
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(paged, newest_first);
    assert_eq!(ids(&rooms::list(db, all, None, 2, 3).await.unwrap()), newest_first[2..5]);
    assert_eq!(rooms::list(db, all, None, 0, 0).await.unwrap(), []);

    let oldest = whole.iter().find(|row| row.title == "trip 0").unwrap();
    assert_eq!((oldest.kind.as_str(), oldest.status.as_str(), &oldest.summary), ("trip", "done", &json!({"n": 0})));
    assert_eq!((oldest.role, oldest.last_seq, oldest.created_at.as_ms(), oldest.updated_at.as_ms()), (Role::Organizer, Seq(1), 0, 1_001));

    let done = RoomFilter { status: Some("done"), kind: Some("trip"), ..all };
    assert_eq!(rooms::list(db, done, None, 0, 100).await.unwrap().len(), 3);
    assert_eq!(rooms::count(db, done).await.unwrap(), 3);
    assert_eq!(rooms::count(db, RoomFilter { kind: Some("pool"), ..all }).await.unwrap(), 0);
    assert_eq!(rooms::count(db, RoomFilter { user: bob, ..done }).await.unwrap(), 2);
    assert_eq!(rooms::count(db, RoomFilter { user: user(), ..all }).await.unwrap(), 0);

    // Ended rooms are in no list, and nobody is a member.
    let (_, ended) = made[0];
    assert_eq!(rooms::membership(db, ended.0, bob).await.unwrap().unwrap().role, Role::Viewer);
    stored(&store, ended, vec![record(2)], vec![Projection::RoomGone]).await;
    assert_eq!(ids(&rooms::list(db, all, None, 0, 100).await.unwrap()), newest_first[1..]);
    assert_eq!(rooms::count(db, all).await.unwrap(), 6);
    assert_eq!(rooms::membership(db, ended.0, bob).await.unwrap(), None);
    assert_eq!(rooms::membership(db, oldest.id, bob).await.unwrap(), None);
    let place = rooms::membership(db, oldest.id, ann).await.unwrap().unwrap();
    assert_eq!((place.kind.as_str(), place.role, place.last_seq), ("trip", Role::Organizer, Seq(1)));
    store.close().await;
}

async fn members_carry_their_names(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (named, gone) = (user(), user());
    tripsync::db_write!(&store.db, |pool| {
        sqlx::query(
            "INSERT INTO users (id, email, username, password_hash, display_name, preferences, created_at, updated_at) \
             VALUES ($1, 'ann@example.org', 'ann', '', 'Ann', '{}', 0, 0)",
        )
        .bind(named.0)
        .execute(pool)
        .await
        .map(drop)
    })
    .unwrap();
    let room = store.room(0).await;
    let set = |user, role| Projection::MemberSet { user, role };
    stored(&store, room, vec![record(1), record(2)], vec![set(named, Role::Organizer)]).await;
    stored(&store, room, vec![record(3)], vec![set(gone, Role::Viewer)]).await;
    stored(&store, room, vec![record(4)], vec![set(named, Role::Participant)]).await;
    let members = rooms::members(&store.db, room.0).await.unwrap();
    let seen: Vec<_> = members.iter().map(|m| (m.user, m.role, m.display_name.as_deref(), m.username.as_deref(), m.since_seq.0)).collect();
    assert_eq!(seen, [(named, Role::Participant, Some("Ann"), Some("ann"), 2), (gone, Role::Viewer, None, None, 3)]);
    assert_eq!(members[0].since.as_ms(), 1_002);
    assert_eq!(rooms::members(&store.db, RoomId(Uuid::now_v7())).await.unwrap(), []);
    store.close().await;
}

async fn a_log_is_paged_and_filtered(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let (ann, thing, client) = (user(), ItemId(Uuid::now_v7()), ClientId(Uuid::now_v7()));
    let records = (1..=9).map(|seq| {
        let mut record = record(seq);
        if seq.is_multiple_of(3) {
            (record.by, record.tag) = (ann, "other_happened");
            record.command = Some(CommandKey { client, n: CommandNumber(seq), fingerprint: 1 });
        }
        record.entity = seq.is_multiple_of(2).then_some(thing);
        record
    });
    stored(&store, room, records.collect(), Vec::new()).await;
    let page = async |filter: EventFilter<'static>, limit| {
        let rows = rooms::events(&store.db, room.0, filter, limit).await.unwrap();
        rows.iter().map(|row| row.seq.0).collect::<Vec<_>>()
    };
    let all = EventFilter::default();
    assert_eq!(page(all, 4).await, [9, 8, 7, 6]);
    assert_eq!(page(EventFilter { before: Some(Seq(6)), ..all }, 100).await, [5, 4, 3, 2, 1]);
    assert_eq!(page(EventFilter { author: Some(ann), ..all }, 100).await, [9, 6, 3]);
    assert_eq!(page(EventFilter { tag: Some("thing_happened"), before: Some(Seq(7)), ..all }, 2).await, [5, 4]);
    assert_eq!(page(EventFilter { entity: Some(thing), ..all }, 100).await, [8, 6, 4, 2]);
    assert_eq!(page(EventFilter { entity: Some(thing), author: Some(ann), ..all }, 100).await, [6]);
    let six = &rooms::events(&store.db, room.0, EventFilter { before: Some(Seq(7)), ..all }, 1).await.unwrap()[0];
    assert_eq!((six.at.as_ms(), six.author, six.tag.as_str(), six.entity), (1_006, ann, "other_happened", Some(thing)));
    assert_eq!((six.command, &six.bytes[..]), (Some((client, CommandNumber(6))), &b"6"[..]));
    store.close().await;
}

async fn items_are_paged(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let item = |seq: u64| Projection::Item {
        collection: if seq.is_multiple_of(5) { "notes" } else { "messages" },
        id: ItemId(Uuid::from_u128(u128::from(seq))),
        seq: Seq(seq),
        doc: json!({"text": format!("message {seq}")}),
    };
    stored(&store, room, (1..=9).map(record).collect(), (1..=9).map(item).collect()).await;
    let page = async |before, limit| {
        let rows = rooms::items(&store.db, room.0, "messages", before, limit).await.unwrap();
        rows.iter().map(|row| row.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, [9, 8, 7]);
    assert_eq!(page(Some(Seq(7)), 3).await, [6, 4, 3]);
    assert_eq!(page(Some(Seq(3)), 3).await, [2, 1]);
    let two = rooms::item(&store.db, room.0, "messages", ItemId(Uuid::from_u128(2))).await.unwrap().unwrap();
    assert_eq!((two.seq, two.doc), (Seq(2), json!({"text": "message 2"})));
    assert_eq!(rooms::item(&store.db, room.0, "notes", ItemId(Uuid::from_u128(2))).await.unwrap(), None);
    store.close().await;
}
