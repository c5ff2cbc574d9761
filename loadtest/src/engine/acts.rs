//! The commands that clients send.

use super::pacer::next_random;
use crate::scenario::{Act, Mix};
use serde_json::{Value, json};
use uuid::Uuid;

/// What is sent for one act.
pub(crate) enum Doing {
    /// A command; `claim` is what it makes, `base` whether it says what its author had seen.
    Command {
        cmd: Value,
        base: bool,
        claim: Option<Uuid>,
        mix: Mix,
    },
    Presence(Value),
    /// It makes no sense now (nothing to give back).
    Nothing,
}

/// What the author knows.
pub(crate) struct Author<'a> {
    pub(crate) items: &'a [Uuid],
    pub(crate) seq: u64,
    pub(crate) claim: Option<Uuid>,
    pub(crate) random: &'a mut u64,
}

/// Longest title or name, and longest message or notes.
pub(crate) const TITLE_BYTES: usize = 200;
pub(crate) const BODY_BYTES: usize = 4_000;

const TEXT: &str = "shall we take the early train and have breakfast in the old town instead, what do you think about that ";

/// `length` bytes of plausible text that begins with a number, so that no two are alike.
pub(crate) fn text(n: u64, length: u32) -> String {
    let length = length as usize;
    let mut text = format!("{n:016} ");
    while text.len() < length {
        text.push_str(TEXT);
    }
    text.truncate(length.max(1));
    text
}

/// The same for where less is allowed.
pub(crate) fn cut_text(n: u64, length: u32, cut: usize) -> String {
    let mut text = text(n, length);
    text.truncate(cut);
    text
}

/// One of the act's mix, by weight.
fn choose(act: &Act, random: &mut u64) -> Mix {
    if let (1, Some((only, _))) = (act.mix.len(), act.mix.first_key_value()) {
        return *only;
    }
    let total: u64 = act.mix.values().map(|weight| u64::from(*weight)).sum();
    let mut at = next_random(random) % total.max(1);
    for (mix, weight) in &act.mix {
        match at.checked_sub(u64::from(*weight)) {
            Some(rest) => at = rest,
            None => return *mix,
        }
    }
    Mix::Presence
}

/// What the author does as command `n`.
pub(crate) fn choose_and_make(act: &Act, author: Author<'_>, n: u64) -> Doing {
    let Author { items, seq, claim, random } = author;
    let mix = choose(act, random);
    let item = if items.is_empty() { None } else { items.get(usize::try_from(next_random(random)).unwrap_or_default() % items.len()) };
    let body = |cut| cut_text(n, act.payload, cut);
    let plain = |cmd| Doing::Command { cmd, base: false, claim: None, mix };
    let seen = |cmd| Doing::Command { cmd, base: true, claim: None, mix };
    match (mix, item) {
        (Mix::Edit, Some(item)) => seen(json!({"type": "update_activity", "activity": item, "title": body(TITLE_BYTES)})),
        (Mix::Notes, Some(item)) => seen(json!({"type": "update_activity", "activity": item, "notes": body(BODY_BYTES)})),
        (Mix::Move, Some(item)) => {
            let day = format!("2027-05-{:02}", 1 + next_random(random) % 9);
            seen(json!({"type": "move_activity", "activity": item, "day": day}))
        }
        (Mix::Chat, _) | (Mix::Edit | Mix::Notes | Mix::Move, None) => plain(json!({"type": "send_message", "body": body(BODY_BYTES)})),
        (Mix::Add, _) => plain(json!({"type": "add_activity", "title": body(TITLE_BYTES)})),
        (Mix::Place, _) => plain(json!({"type": "add_place", "name": body(TITLE_BYTES)})),
        (Mix::Read, _) => plain(json!({"type": "mark_read", "seq": seq})),
        (Mix::Presence, Some(item)) => Doing::Presence(json!({"looking_at": item, "typing": next_random(random).is_multiple_of(2)})),
        (Mix::Presence, None) => Doing::Presence(json!({"typing": next_random(random).is_multiple_of(2)})),
        (Mix::Claim | Mix::Queue, _) => {
            let id = Uuid::now_v7();
            let cmd = json!({"type": "request", "id": id, "seats": 1, "wait": mix == Mix::Queue});
            Doing::Command { cmd, base: false, claim: Some(id), mix }
        }
        (Mix::Withdraw, _) => match claim {
            Some(claim) => plain(json!({"type": "withdraw", "claim": claim})),
            None => Doing::Nothing,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripsync_domain::{pool, trip};

    #[test]
    fn every_command_is_one_of_the_rooms_kind() {
        let items = [Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)];
        let mut random = 7;
        for mix in [Mix::Chat, Mix::Edit, Mix::Notes, Mix::Add, Mix::Move, Mix::Place, Mix::Read, Mix::Claim, Mix::Queue, Mix::Withdraw] {
            let act: Act =
                toml::from_str(&format!("every = \"1s\"\nmix = {{ {} = 1 }}", serde_json::to_value(mix).unwrap().as_str().unwrap()))
                    .unwrap();
            let author = Author { items: &items, seq: 3, claim: Some(items[0]), random: &mut random };
            let Doing::Command { cmd, .. } = choose_and_make(&act, author, 1_790_000_000_000_000) else { panic!("{mix:?}") };
            let pools = matches!(mix, Mix::Claim | Mix::Queue | Mix::Withdraw);
            let read = if pools {
                tripsync_domain::command::parse::<pool::Command>(&cmd).err()
            } else {
                tripsync_domain::command::parse::<trip::Command>(&cmd).err()
            };
            assert_eq!(read, None, "{cmd}");
        }
    }

    #[test]
    fn texts_have_their_length_and_differ() {
        assert_eq!((text(7, 100).len(), text(7, 1).len(), text(7, 3_900).len()), (100, 1, 3_900));
        assert_ne!(text(7, 100), text(8, 100));
    }
}
