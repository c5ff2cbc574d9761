//! What came of a job.

use super::tally::Sheet;
use crate::scenario::Mix;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Examples that are kept of each fault.
const EXAMPLES_MAX: usize = 5;

/// What a process hands back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Harvest {
    /// Joining, each phase, the end.
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) verified: Verified,
    /// By room, as indexed in the job; only rooms that this process was in.
    pub(crate) logs: Vec<RoomLog>,
    /// When the last one of a storm was current again, after the storm began, per phase.
    pub(crate) current_after_us: BTreeMap<usize, u64>,
    /// Clients that never got in.
    pub(crate) absent: u64,
    /// Commands without an answer at the end.
    pub(crate) unanswered: u64,
    /// Commands that were refused for good, by code.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// How commands of each kind were answered.
    pub(crate) answered: BTreeMap<Mix, Answered>,
    /// Thread CPU by measured phase, as a share of its length, of the busiest thread.
    pub(crate) busy_share: BTreeMap<usize, f64>,
    /// The same from its beginning until everybody who comes in it was current.
    pub(crate) burst_busy_share: BTreeMap<usize, f64>,
}

/// Answers to the commands of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) acked: u64,
    pub(crate) refused: u64,
}

/// What the members of a process saw of a room.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RoomLog {
    pub(crate) room: u32,
    pub(crate) entries: Vec<Entry>,
    /// Of each state that was shown: seq, whether it was JSON, hash.
    pub(crate) shown: Vec<(u64, bool, u64)>,
    /// Some events as they came, by seq.
    pub(crate) heard: Vec<(u64, Vec<u8>)>,
    /// Commands that were refused for good.
    pub(crate) refused: Vec<Refused>,
    /// Commands that were acknowledged at events inside snapshots.
    pub(crate) acked_unseen: Vec<Acked>,
}

/// A command that was acknowledged at an event that nobody got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acked {
    /// One more than the index of the client, as in [`Entry`].
    pub(crate) client: u32,
    pub(crate) n: u64,
    pub(crate) seq: u64,
}

/// A command that was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// One more than the index of the client, as in [`Entry`].
    pub(crate) client: u32,
    pub(crate) n: u64,
    /// Because no seat was free.
    pub(crate) no_seat: bool,
}

/// One event as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Whether anybody saw it, or its number.
    pub(crate) seen: bool,
    /// Of its bytes; 0 when nobody saw it whole.
    pub(crate) hash: u64,
    /// One more than the index of the client whose command it was; 0 for others.
    pub(crate) client: u32,
    pub(crate) n: u64,
}

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    Alive,
    Order,
    Agreement,
    Answers,
    Refusals,
    Durability,
    Replicas,
    Snapshots,
    Seats,
    Presence,
    Membership,
    Frames,
}

/// How often each promise was looked at, and how often it was broken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) of: BTreeMap<Fault, Count>,
    pub(crate) slow: Slow,
}

/// What is late or missing without a promise being broken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Slow {
    /// Commands that were not sent because too many had no answer.
    pub(crate) unsent: u64,
    /// Clients that were still getting events at the end.
    pub(crate) behind: u64,
    /// Clients that were in and had not come back at the end.
    pub(crate) away: u64,
    /// Why some could not get in.
    pub(crate) examples: Vec<String>,
}

impl Slow {
    pub(crate) fn says(&mut self, why: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(why);
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) checked: u64,
    pub(crate) violations: u64,
    pub(crate) examples: Vec<String>,
    /// How many could not be looked at, by why.
    pub(crate) left_out: BTreeMap<String, u64>,
}

impl Verified {
    pub(crate) fn checked(&mut self, fault: Fault, count: u64) {
        self.of.entry(fault).or_default().checked += count;
    }

    pub(crate) fn broken(&mut self, fault: Fault, how: impl Into<String>) {
        let count = self.of.entry(fault).or_default();
        count.violations += 1;
        if count.examples.len() < EXAMPLES_MAX {
            count.examples.push(how.into());
        }
    }

    /// Of all promises.
    pub(crate) fn violations(&self) -> u64 {
        self.of.values().map(|count| count.violations).sum()
    }

    /// One could not be looked at.
    pub(crate) fn left_out(&mut self, fault: Fault, why: &str) {
        *self.of.entry(fault).or_default().left_out.entry(why.to_owned()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.slow.unsent += other.slow.unsent;
        self.slow.behind += other.slow.behind;
        self.slow.away += other.slow.away;
        self.slow.examples.extend(other.slow.examples);
        self.slow.examples.truncate(EXAMPLES_MAX);
        for (fault, theirs) in other.of {
            let mine = self.of.entry(fault).or_default();
            mine.checked += theirs.checked;
            mine.violations += theirs.violations;
            mine.examples.extend(theirs.examples);
            mine.examples.truncate(EXAMPLES_MAX);
            for (why, count) in theirs.left_out {
                *mine.left_out.entry(why).or_default() += count;
            }
        }
    }
}

impl Harvest {
    /// Adds another process's.
    pub(crate) fn add(&mut self, other: Self) {
        if self.sheets.len() < other.sheets.len() {
            self.sheets.resize(other.sheets.len(), Sheet::default());
        }
        for (mine, theirs) in self.sheets.iter_mut().zip(&other.sheets) {
            mine.add(theirs);
        }
        self.verified.add(other.verified);
        for log in other.logs {
            self.add_log(log);
        }
        for (phase, us) in other.current_after_us {
            let mine = self.current_after_us.entry(phase).or_default();
            *mine = us.max(*mine);
        }
        self.absent += other.absent;
        self.unanswered += other.unanswered;
        for (code, count) in other.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
        for (mix, theirs) in other.answered {
            let mine = self.answered.entry(mix).or_default();
            mine.acked += theirs.acked;
            mine.refused += theirs.refused;
        }
        for (mine, theirs) in [(&mut self.busy_share, other.busy_share), (&mut self.burst_busy_share, other.burst_busy_share)] {
            for (phase, share) in theirs {
                let mine = mine.entry(phase).or_default();
                *mine = share.max(*mine);
            }
        }
    }

    /// Commands of a kind that were all refused, whatever the reason given.
    pub(crate) fn judge_refusals(&mut self) {
        for (mix, answered) in &self.answered {
            self.verified.checked(Fault::Refusals, answered.acked + answered.refused);
            if answered.acked == 0 && answered.refused > 0 {
                self.verified.broken(Fault::Refusals, format!("all {} commands `{}` were refused", answered.refused, mix.name()));
            }
        }
    }

    /// Holds what the members of two threads or processes saw of the same room against each other.
    pub(crate) fn add_log(&mut self, other: RoomLog) {
        let Some(mine) = self.logs.iter_mut().find(|mine| mine.room == other.room) else {
            self.logs.push(other);
            return;
        };
        if mine.entries.len() < other.entries.len() {
            mine.entries.resize(other.entries.len(), Entry::default());
        }
        for (seq, (mine, theirs)) in (1..).zip(mine.entries.iter_mut().zip(other.entries)) {
            self.verified.checked(Fault::Agreement, 1);
            if !mine.add(theirs) {
                self.verified.broken(Fault::Agreement, format!("room {}: two members got different events {seq}", other.room));
            }
        }
        mine.heard.extend(other.heard);
        mine.refused.extend(other.refused);
        mine.acked_unseen.extend(other.acked_unseen);
        for (seq, json, hash) in other.shown {
            match mine.shown.iter().find(|mine| (mine.0, mine.1) == (seq, json)) {
                None => mine.shown.push((seq, json, hash)),
                Some(mine) => {
                    self.verified.checked(Fault::Snapshots, 1);
                    if mine.2 != hash {
                        self.verified.broken(Fault::Snapshots, format!("room {}: two were shown different states at {seq}", other.room));
                    }
                }
            }
        }
    }
}

impl Entry {
    /// Takes in what others saw; whether it is the same.
    fn add(&mut self, other: Self) -> bool {
        let known = self.hash != 0 || self.client > 0;
        let agree = (self.hash == 0 || other.hash == 0 || self.hash == other.hash)
            && (!known || (other.hash == 0 && other.client == 0) || (self.client, self.n) == (other.client, other.n));
        self.seen |= other.seen;
        if self.hash == 0 {
            self.hash = other.hash;
        }
        if !known {
            (self.client, self.n) = (other.client, other.n);
        }
        agree
    }
}

/// Commands that stand in a room twice, with both seqs: applied again, whatever was answered. A trip makes one event of each; a pool may make
/// several, one after the other, of which not everybody sees whose they are.
pub(crate) fn twice(authors: impl Iterator<Item = (u64, Option<(u32, u64)>)>, several: bool) -> Vec<((u32, u64), u64, u64)> {
    let mut first: HashMap<(u32, u64), u64> = HashMap::new();
    let mut running = None;
    let mut found = Vec::new();
    for (seq, author) in authors {
        let Some(author) = author else { continue };
        if several && running == Some(author) {
            continue;
        }
        running = Some(author);
        if let Some(before) = first.insert(author, seq) {
            found.push((author, before, seq));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u64, client: u32, n: u64) -> Entry {
        Entry { seen: true, hash, client, n }
    }

    fn log(entries: Vec<Entry>, shown: Vec<(u64, bool, u64)>) -> RoomLog {
        RoomLog { room: 3, entries, shown, ..RoomLog::default() }
    }

    fn violations(harvest: &Harvest, fault: Fault) -> u64 {
        harvest.verified.of.get(&fault).map_or(0, |count| count.violations)
    }

    #[test]
    fn threads_that_saw_different_things_do_not_agree() {
        // One who got JSON knows the author and no bytes.
        let cases = [
            (entry(5, 2, 9), entry(5, 2, 9), 0),
            (entry(5, 2, 9), entry(0, 2, 9), 0),
            (entry(0, 2, 9), entry(5, 2, 9), 0),
            (entry(0, 0, 0), entry(0, 2, 9), 0),
            (entry(5, 2, 9), entry(7, 2, 9), 1),
            (entry(5, 2, 9), entry(0, 3, 9), 1),
            (entry(0, 2, 9), entry(0, 2, 8), 1),
        ];
        for (mine, theirs, expected) in cases {
            let mut harvest = Harvest::default();
            harvest.add_log(log(vec![mine], Vec::new()));
            harvest.add_log(log(vec![theirs], Vec::new()));
            assert_eq!(violations(&harvest, Fault::Agreement), expected, "{mine:?} {theirs:?}");
            assert!(harvest.logs[0].entries[0].client > 0, "the author is kept");
        }
    }

    #[test]
    fn threads_that_were_shown_different_states_are_noticed() {
        let mut harvest = Harvest::default();
        for (shown, expected) in [((7, false, 1), 0), ((7, true, 2), 0), ((7, false, 1), 0), ((7, false, 2), 1)] {
            harvest.add_log(log(Vec::new(), vec![shown]));
            assert_eq!(violations(&harvest, Fault::Snapshots), expected);
        }
    }

    #[test]
    fn commands_that_are_all_refused_are_noticed() {
        for (acked, expected) in [(0, 1), (1, 0)] {
            let mut harvest = Harvest::default();
            for refused in [3, 4] {
                let answered = BTreeMap::from([(Mix::Claim, Answered { acked, refused }), (Mix::Chat, Answered { acked: 1, refused: 0 })]);
                harvest.add(Harvest { answered, ..Harvest::default() });
            }
            harvest.judge_refusals();
            assert_eq!(violations(&harvest, Fault::Refusals), expected);
        }
    }

    #[test]
    fn a_command_that_stands_in_a_room_twice_is_found() {
        let (a, b) = (Some((1, 10)), Some((2, 10)));
        let found = |authors: &[Option<(u32, u64)>], several| twice((1..).zip(authors.iter().copied()), several);
        assert_eq!(found(&[a, None, b], false), []);
        assert_eq!(found(&[a, b, a], false), [((1, 10), 1, 3)]);
        assert_eq!(found(&[a, a], false), [((1, 10), 1, 2)]);
        assert_eq!(found(&[a, a, None, a, b, b], true), [], "a pool says several things about one command");
        assert_eq!(found(&[a, a, b, a], true), [((1, 10), 1, 4)]);
    }
}
