//! What holds after any commands in any order.

use super::harness::{ANA, BEN, Room, VIC, ZOE};
use crate::trip::testing::{numbers, random_command, random_member_command};
use crate::trip::{Command, Event, State, Trip};
use crate::{EventMeta, ItemId, Projection, RoomKind, Seq, command};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Plays a script of seeds, one per command, so that a failing script shrinks to few commands. Every command goes through `check`, which
/// asserts that an accepted one has an event, that its events survive their bytes, and that the invariants hold.
fn play(script: &[u64]) -> (Room, usize) {
    let people = [ANA, BEN, VIC, ZOE];
    let mut room = Room::trip();
    let mut accepted = 0;
    for seed in script {
        let mut rng = numbers(*seed);
        let author = if rng() % 8 < 1 { people[(rng() % 4) as usize] } else { [ANA, BEN][(rng() % 2) as usize] };
        let command = match rng() % 30 {
            0 => random_member_command(&mut rng, &room.state, &people),
            _ => random_command(&mut rng, &room.state, author),
        };
        let behind = rng() % 20;
        let seen = room.seq().saturating_sub(behind);
        let wire = command::to_wire(&command);
        assert_eq!(command::parse::<Command>(&wire).unwrap(), command, "{wire}");
        if let Ok(decision) = room.seen(seen).check(author, &wire) {
            accepted += 1;
            for conflict in &decision.conflicts {
                assert!(conflict.by != author && conflict.seq > Seq(seen), "{conflict:?}");
                assert_ne!(conflict.theirs, conflict.yours);
            }
        }
    }
    (room, accepted)
}

fn replay(journal: &[(EventMeta, Event)]) -> State {
    let mut state = State::default();
    for (meta, event) in journal {
        Trip::evolve(&mut state, meta, event);
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn replay_equals_live(script in prop::collection::vec(any::<u64>(), 0..250), cut in any::<prop::sample::Index>()) {
        let (room, _) = play(&script);
        prop_assert_eq!(&replay(&room.journal), &room.state);

        // A snapshot at any point and the events after it lead to the same.
        let cut = cut.index(room.journal.len());
        let snapshot = rmp_serde::to_vec_named(&replay(&room.journal[..cut])).unwrap();
        let mut state: State = rmp_serde::from_slice(&snapshot).unwrap();
        for (meta, event) in &room.journal[cut..] {
            Trip::evolve(&mut state, meta, event);
        }
        prop_assert_eq!(&state, &room.state);
    }

    #[test]
    fn lists_and_chat_follow_the_events(script in prop::collection::vec(any::<u64>(), 0..250)) {
        let (room, _) = play(&script);
        let (mut members, mut messages) = (BTreeMap::new(), BTreeMap::new());
        let mut state = State::default();
        let mut last_row = None;
        for (meta, event) in &room.journal {
            Trip::evolve(&mut state, meta, event);
            for projection in Trip::project(&state, &[(meta.clone(), event.clone())]) {
                match projection {
                    Projection::MemberSet { user, role } => { members.insert(user, role); }
                    Projection::MemberGone { user } => { members.remove(&user); }
                    Projection::Item { id, seq, doc, .. } => {
                        let before = messages.insert(id, (seq, doc));
                        prop_assert!(before.is_none_or(|(before, _)| before == seq), "an item changed its place");
                    }
                    Projection::Room { summary, title, .. } => last_row = Some((title, summary)),
                    Projection::Task { .. } => {}
                    Projection::RoomGone
                    | Projection::Capacity { .. }
                    | Projection::Taken { .. }
                    | Projection::Freed { .. }
                    | Projection::Listing(_)
                    | Projection::Unlisted
                    | Projection::Reserved { .. }
                    | Projection::Released { .. }
                    | Projection::Settled { .. } => prop_assert!(false, "nobody asked for this"),
                }
            }
        }
        let expected: BTreeMap<_, _> = room.state.members.iter().map(|(user, member)| (*user, member.item.role)).collect();
        prop_assert_eq!(members, expected);
        for message in &room.state.messages {
            prop_assert_eq!(&messages[&message.id].1, &serde_json::to_value(message).unwrap());
        }
        let (title, summary) = last_row.unwrap();
        prop_assert_eq!(title, room.state.details().unwrap().title.to_string());
        prop_assert_eq!(&summary["activities"], room.state.activities.len());
        prop_assert_eq!(&summary["members"], room.state.members.len());
    }

    #[test]
    fn moves_at_once_never_lose_or_double(script in prop::collection::vec((any::<u64>(), 0_u64..30), 1..200)) {
        let mut room = Room::trip();
        let days = [None, Some("2027-05-02"), Some("2027-05-03")];
        let items: BTreeSet<ItemId> = (0..12).map(|n| room.add_activity(n, days[(n % 3) as usize])).collect();
        let list: Vec<_> = items.iter().copied().collect();
        for (seed, behind) in script {
            let mut rng = numbers(seed);
            let author = [ANA, BEN][(rng() % 2) as usize];
            let activity = list[(rng() % 12) as usize];
            let after = list[(rng() % 12) as usize];
            let day = days[(rng() % 3) as usize];
            // Most authors have not seen the newest moves, so many anchors are elsewhere by now.
            let seen = room.seq().saturating_sub(behind);
            let wire = serde_json::json!({"type": "move_activity", "activity": activity, "day": day, "after": after});
            let accepted = room.seen(seen).check(author, &wire).is_ok();
            prop_assert_eq!(accepted, activity != after);
        }
        let listed: Vec<_> = room.state.days.values().flatten().chain(&room.state.unscheduled).copied().collect();
        prop_assert_eq!(listed.len(), 12);
        prop_assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), items);
    }

    #[test]
    fn any_object_is_read_or_refused(tag in "[a-z_]{0,20}", key in "[a-z_]{0,12}", value in any::<i64>()) {
        let wire = serde_json::json!({"type": tag, key: value});
        let _ = Room::trip().check(ANA, &wire);
    }
}

#[test]
fn chance_is_mostly_sensible() {
    let script: Vec<_> = (0..3_000).collect();
    let (room, accepted) = play(&script);
    assert!((1_800..2_900).contains(&accepted), "{accepted} of 3000 accepted");
    let tags: BTreeSet<_> = room.journal.iter().map(|(_, event)| event.tag()).collect();
    assert!(tags.len() >= 19, "only {tags:?}");
}
