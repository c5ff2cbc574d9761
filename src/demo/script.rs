//! What the companions do by themselves and what they say: pure data.
//!
//! Each script is played round and round, so whatever a step changes, a later step puts back: the trip never grows.

use super::content::Person;

/// One step of a script. Names of activities and places are keys of the content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Has an activity open.
    Look(&'static str),
    /// Has a place open.
    Visit(&'static str),
    /// Looks at the map around a place, at a zoom level.
    Map(&'static str, f64),
    /// Puts the phone away for a moment.
    Rest,
    /// Says something, about an activity (empty: about nothing). Only when somebody is there to hear it.
    Say(&'static str, &'static str),
    /// Moves an activity behind another one of its day (empty: to the beginning).
    Move { activity: &'static str, after: &'static str },
    /// Gives an activity other times.
    Retime { activity: &'static str, start: &'static str, end: &'static str },
    /// Writes an activity's notes anew.
    Note(&'static str, &'static str),
    /// Estimates an activity's cost anew, in cents.
    Cost(&'static str, i64),
    /// Votes for a place or takes the vote back.
    Vote(&'static str, bool),
    /// Adds an idea of one's own.
    Add(&'static Idea),
    /// Removes it again.
    Drop(&'static Idea),
}

/// An activity that a companion adds and removes again, known by its title.
#[derive(Debug, PartialEq)]
pub(super) struct Idea {
    pub(super) title: &'static str,
    pub(super) kind: &'static str,
    /// Index into the days.
    pub(super) day: usize,
    /// `HH:MM`; empty: no time.
    pub(super) start: &'static str,
    pub(super) after: &'static str,
}

const WATER: Idea = Idea { title: "Fill the water bottles", kind: "other", day: 2, start: "", after: "sintra-train" };
const TRAM: Idea = Idea { title: "Buy day tickets for the tram", kind: "transport", day: 3, start: "09:00", after: "" };
const TOAST: Idea = Idea { title: "Second breakfast: torrada and galão", kind: "food", day: 4, start: "", after: "" };
const FOZ: Idea = Idea { title: "Tram 1 along the river to Foz", kind: "outdoor", day: 5, start: "", after: "riverfront" };

use Step::{Add, Cost, Drop, Look, Map, Move, Note, Rest, Retime, Say, Visit, Vote};

/// What Inês does.
pub(super) const INES: &[Step] = &[
    Look("cloister"),
    Say("If we begin with the cloister, we are there before the queue. Let me try that.", "cloister"),
    Move { activity: "cloister", after: "" },
    Map("torre", 15.0),
    Vote("torre", true),
    Look("sintra-train"),
    Say("An earlier train to Sintra? The first hour at the palace is the quietest.", "sintra-train"),
    Retime { activity: "sintra-train", start: "08:10", end: "08:50" },
    Add(&WATER),
    Rest,
    Visit("oceanario"),
    Move { activity: "ocean", after: "castle" },
    Note("train-porto", "Seats on the left, facing forward: the last minutes run along the sea."),
    Add(&TRAM),
    Map("serralves", 14.0),
    Cost("serralves", 6_600),
    Say("No: tarts first, cloister second. Tomás is right, back it goes.", "cloister"),
    Move { activity: "cloister", after: "tarts" },
    Vote("torre", false),
    Retime { activity: "sintra-train", start: "08:40", end: "09:20" },
    Drop(&WATER),
    Map("castelo", 16.0),
    Move { activity: "ocean", after: "lunch-alfama" },
    Drop(&TRAM),
    Note("train-porto", "Tickets are on my phone."),
    Cost("serralves", 7_200),
    Rest,
];

/// What Tomás does.
pub(super) const TOMAS: &[Step] = &[
    Map("monte", 16.0),
    Look("sunset-monte"),
    Note("sunset-monte", "The sun sets at about half past eight. I bring the tripod."),
    Vote("roca", true),
    Add(&TOAST),
    Say("I found us a second breakfast for Tuesday. You may thank me later.", ""),
    Visit("bolhao"),
    Look("francesinha"),
    Move { activity: "francesinha", after: "lello" },
    Rest,
    Cost("first-dinner", 9_000),
    Say("Every stall once is more than I thought. I raised the estimate.", "first-dinner"),
    Map("cais", 15.0),
    Add(&FOZ),
    Visit("musica"),
    Vote("musica", true),
    Look("francesinha"),
    Say("Climbing a tower after a francesinha? Bad idea. Dinner stays last.", "francesinha"),
    Move { activity: "francesinha", after: "tower-porto" },
    Drop(&TOAST),
    Cost("first-dinner", 7_500),
    Vote("roca", false),
    Note("sunset-monte", "I bring the camera."),
    Map("morro", 16.0),
    Drop(&FOZ),
    Vote("musica", false),
    Rest,
];

/// The script of a companion.
pub(super) const fn of(person: Person) -> &'static [Step] {
    match person {
        Person::Ines => INES,
        Person::Tomas => TOMAS,
        Person::Robin => &[],
    }
}

/// What sort of thing the newcomer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Greeting,
    Thanks,
    Food,
    Question,
    Other,
}

/// Words that give a tone away, the first that matches; whole words, in lower case.
pub(super) const WORDS: &[(Tone, &[&str])] = &[
    (Tone::Greeting, &["hi", "hello", "hey", "olá", "ola", "hallo", "moin", "bonjour", "hola"]),
    (Tone::Thanks, &["thanks", "thank", "obrigado", "obrigada", "danke", "merci"]),
    (Tone::Food, &["food", "eat", "hungry", "dinner", "lunch", "breakfast", "coffee", "tart", "tarts", "wine", "restaurant"]),
];

/// Answers by tone; one of them is taken.
pub(super) const fn answers(person: Person, tone: Tone) -> &'static [&'static str] {
    match (person, tone) {
        (Person::Tomas, Tone::Greeting) => {
            &["Hey! Just in time, I was about to add more food.", "Olá! Have a look at the map, I am on it too."]
        }
        (Person::Tomas, Tone::Thanks) => &["De nada!", "You are welcome. There is always room for one more tart."],
        (Person::Tomas, Tone::Food) => &["Now we are talking. Put it in, I am for it.", "Food is never a mistake. Which day?"],
        (Person::Tomas, Tone::Question) => {
            &["Good question. I would say yes, but Inês has the timetable.", "No idea, honestly. Let us vote on it."]
        }
        (Person::Tomas, Tone::Other) => {
            &["Sounds good to me.", "I like it. Shall I move something to make room?", "Fine, as long as there is a view."]
        }
        (_, Tone::Greeting) => {
            &["Hi! Good that you are here; change whatever you like.", "Hello! We are still moving things about, join in."]
        }
        (_, Tone::Thanks) => &["Gladly.", "Of course! It is a pleasure to plan this."],
        (_, Tone::Food) => &["Tomás will be delighted. Add it where it fits.", "Yes, but not before the museum, please."],
        (_, Tone::Question) => {
            &["Let me check the times and come back to you.", "I think so. Add it as an idea and we see whether it fits."]
        }
        (_, Tone::Other) => &["Noted. I keep the times in order around it.", "Agreed.", "Good, then I look at how the day fits together."],
    }
}

/// What is said about the newcomer's change; `{}` is the title or name.
pub(super) fn remark(person: Person, event: &str) -> &'static str {
    match (person, event) {
        (Person::Tomas, "activity_added") => "“{}”: yes! Thank you, I was hoping somebody would add that.",
        (_, "activity_added") => "Thank you for “{}”. I see to it that it fits into the day.",
        (Person::Tomas, "activity_moved") => "“{}” there? Even better.",
        (_, "activity_moved") => "Good, “{}” fits better there.",
        (Person::Tomas, "activity_removed") => "Oh, no “{}”? All right, more time for coffee.",
        (_, "activity_removed") => "“{}” is gone, then. That gives the day some air.",
        (Person::Tomas, "place_added") => "“{}” has my vote.",
        (_, "place_added") => "I did not know “{}”. My vote for it!",
        (_, _) => "",
    }
}

/// What Inês says when somebody comes; `{}` is the name.
pub(super) const WELCOME: &str = "Welcome, {}! Tomás and I are still shuffling the days; change whatever you like.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::content::{ACTIVITIES, ActivitySeed, PLACES};
    use std::collections::BTreeMap;

    fn activity(key: &str) -> &'static ActivitySeed {
        ACTIVITIES.iter().find(|seed| seed.key == key).unwrap_or_else(|| panic!("no activity {key}"))
    }

    fn follows(seed: &ActivitySeed) -> &'static str {
        let index = ACTIVITIES.iter().position(|other| other.key == seed.key).unwrap();
        ACTIVITIES[..index].iter().rev().find(|other| other.day == seed.day).map_or("", |other| other.key)
    }

    /// A round leaves everything as it found it, or as the round before left it.
    #[test]
    fn every_round_puts_back_what_it_changed() {
        for script in [INES, TOMAS] {
            let mut open = BTreeMap::new();
            for step in script {
                match step {
                    Look(key) => assert_eq!(activity(key).key, *key),
                    Visit(key) | Map(key, _) => assert!(PLACES.iter().any(|place| place.key == *key), "{key}"),
                    Rest => {}
                    Say(_, about) => assert!(about.is_empty() || activity(about).key == *about),
                    Move { activity: key, after } => {
                        assert!(after.is_empty() || activity(after).day == activity(key).day);
                        open.insert(format!("move {key}"), *after != follows(activity(key)));
                    }
                    Retime { activity: key, start, end } => {
                        let seed = activity(key);
                        open.insert(format!("time {key}"), (*start, *end) != (seed.start, seed.end));
                    }
                    Note(key, _) => *open.entry(format!("note {}", activity(key).key)).or_insert(false) ^= true,
                    Cost(key, cents) => {
                        open.insert(format!("cost {key}"), *cents != activity(key).cents);
                    }
                    Vote(key, on) => {
                        open.insert(format!("vote {key}"), *on);
                    }
                    Add(idea) => assert_ne!(open.insert(format!("idea {}", idea.title), true), Some(true)),
                    Drop(idea) => assert_eq!(open.insert(format!("idea {}", idea.title), false), Some(true)),
                }
            }
            assert!(open.values().all(|is_open| !is_open), "{open:?}");
        }
    }

    #[test]
    fn nobody_takes_back_a_vote_of_the_content() {
        for (person, script) in [(Person::Ines, INES), (Person::Tomas, TOMAS)] {
            for step in script {
                if let Vote(place, _) = step {
                    assert!(!crate::demo::content::VOTES.contains(&(person, place)), "{place}");
                }
            }
        }
    }
}
