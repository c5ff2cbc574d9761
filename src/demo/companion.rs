//! How a companion behaves: plays its script, and reacts to what others do. Without I/O.
//!
//! Promises: durable changes are bounded, because the script puts back what it changes and removes leftovers of an earlier start; what
//! others do costs at most a few answers that wait; while nobody watches, it is slow and says nothing.

use super::content::{CURRENCY, DAYS, Person};
use super::desk::Heard;
use super::link::{Deed, Mind};
use super::script::{self, Idea, Step, Tone, WELCOME, WORDS};
use super::setup::{self, moment};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokio::time::{Duration, Instant};
use uuid::Uuid;

/// Answers that may wait; whoever does more at once is not answered for each.
const ANSWERS_MAX: usize = 4;
/// Who comes back sooner is not welcomed again.
const WELCOME_AFTER: Duration = Duration::from_secs(15 * 60);

/// A companion in the trip.
#[derive(Debug)]
pub(super) struct Companion {
    me: Person,
    trip: Uuid,
    /// User ids of both companions.
    companions: BTreeMap<Person, String>,
    /// Names of members by user id. Set by the state and by `member_added`.
    names: BTreeMap<String, String>,
    /// Whoever else is in the room now.
    watching: BTreeSet<String>,
    welcomed: BTreeMap<String, Instant>,
    /// The next step of the script.
    next: usize,
    /// What the present step comes to, once it was shown in the presence.
    ready: Vec<Value>,
    /// Answers to others: what is shown first, and then sent.
    answers: VecDeque<(Value, Vec<Value>)>,
    /// Own ideas that are in the trip. Set when added; cleared when removed, by whomever.
    ideas: BTreeMap<&'static str, Uuid>,
}

impl Companion {
    /// A companion who has not seen anything yet. `users` holds the user ids of all three.
    pub(super) fn new(me: Person, trip: Uuid, users: &BTreeMap<Person, Uuid>) -> Self {
        let companions = users.iter().filter(|(person, _)| **person != Person::Robin);
        Self {
            me,
            trip,
            companions: companions.map(|(person, user)| (*person, user.to_string())).collect(),
            names: BTreeMap::new(),
            watching: BTreeSet::new(),
            welcomed: BTreeMap::new(),
            next: 0,
            ready: Vec::new(),
            answers: VecDeque::new(),
            ideas: BTreeMap::new(),
        }
    }

    fn is_companion(&self, user: &str) -> bool {
        self.companions.values().any(|companion| companion == user)
    }

    fn is_me(&self, user: &str) -> bool {
        self.companions.get(&self.me).is_some_and(|me| me == user)
    }

    fn activity(&self, key: &str) -> Uuid {
        setup::activity(self.trip, key)
    }

    fn place(&self, key: &str) -> Uuid {
        setup::place(self.trip, key)
    }

    /// Learns names, and takes leftovers of an earlier start for its own again.
    fn read_state(&mut self, state: &Value) {
        for (user, member) in state["members"].as_object().into_iter().flatten() {
            self.learn_name(user, &member["name"]);
        }
        self.ideas.clear();
        let own = script::of(self.me).iter().filter_map(|step| if let Step::Add(idea) = step { Some(*idea) } else { None });
        let own: Vec<&'static Idea> = own.collect();
        for (id, activity) in state["activities"].as_object().into_iter().flatten() {
            let mine = activity["created_by"].as_str().is_some_and(|user| self.is_me(user));
            let idea = own.iter().find(|idea| mine && activity["title"] == idea.title);
            if let (Some(idea), Ok(id)) = (idea, id.parse()) {
                self.ideas.insert(idea.title, id);
            }
        }
    }

    fn learn_name(&mut self, user: &str, name: &Value) {
        if let Some(name) = name.as_str() {
            self.names.insert(user.to_owned(), name.to_owned());
        }
    }

    fn read_event(&mut self, event: &Value) {
        let Some((by, ev, seq)) = event["by"].as_str().zip(event.get("ev")).zip(event["seq"].as_u64()).map(|((by, ev), seq)| (by, ev, seq))
        else {
            return;
        };
        let tag = ev["type"].as_str().unwrap_or_default();
        if tag == "member_added" {
            self.learn_name(ev["member"]["user"].as_str().unwrap_or_default(), &ev["member"]["name"]);
        }
        if tag == "activity_removed" {
            self.ideas.retain(|_, id| ev["activity"]["id"] != json!(id));
        }
        if !self.is_companion(by) {
            self.react(tag, ev, seq);
        }
    }

    /// One companion answers, the other one only has a look; who does what follows from the seq, so that both agree.
    fn react(&mut self, tag: &str, ev: &Value, seq: u64) {
        let mine = seq.is_multiple_of(2) == (self.me == Person::Ines);
        match tag {
            "message_sent" => {
                let message = &ev["message"];
                match (self.is_asked(message), self.others_asked(message)) {
                    (true, _) => self.answer(message, seq),
                    (false, true) => {}
                    (false, false) if mine => self.answer(message, seq),
                    (false, false) => {
                        let react = json!({"type": "react", "message": message["id"], "emoji": "👍", "on": true});
                        self.later(json!({}), vec![react]);
                    }
                }
            }
            "activity_added" | "activity_moved" | "activity_removed" => {
                // `activity` is the thing itself, or its id.
                let activity = &ev["activity"];
                let id = activity.get("id").unwrap_or(activity);
                let title = activity.get("title").unwrap_or(&ev["title"]);
                let gone = tag == "activity_removed";
                let look = if gone { json!({}) } else { json!({"looking_at": id}) };
                let mut said = vec![];
                if mine {
                    let mut say = self.say(&fill(script::remark(self.me, tag), title));
                    if !gone {
                        say["anchor"] = json!({"activity": id});
                    }
                    said.push(say);
                }
                self.later(look, said);
            }
            "activity_updated" => self.later(json!({"looking_at": ev["activity"]}), vec![]),
            "place_added" => {
                let place = &ev["place"];
                let mut done = vec![json!({"type": "vote_place", "place": place["id"], "on": true})];
                if mine {
                    done.push(self.say(&fill(script::remark(self.me, tag), &place["name"])));
                }
                self.later(json!({"looking_at": place["id"]}), done);
            }
            "place_voted" | "place_updated" => self.later(json!({"looking_at": ev["place"]}), vec![]),
            // The rest needs no answer.
            _ => {}
        }
    }

    /// Whether the message is meant for this companion: mentioned, or called by name.
    fn is_asked(&self, message: &Value) -> bool {
        self.companions.get(&self.me).is_some_and(|user| is_for(message, user, self.me))
    }

    fn others_asked(&self, message: &Value) -> bool {
        self.companions.iter().any(|(person, user)| *person != self.me && is_for(message, user, *person))
    }

    fn answer(&mut self, message: &Value, seq: u64) {
        let body = message["body"].as_str().unwrap_or_default();
        let answers = script::answers(self.me, tone(body));
        let index = usize::try_from(seq / 2).unwrap_or_default() % answers.len().max(1);
        let mut say = self.say(answers.get(index).copied().unwrap_or_default());
        say["reply_to"] = message["id"].clone();
        self.later(json!({"typing": true}), vec![json!({"type": "mark_read", "seq": seq}), say]);
    }

    fn say(&self, body: &str) -> Value {
        json!({"type": "send_message", "id": Uuid::now_v7(), "body": body})
    }

    /// Queues an answer unless too many wait already.
    fn later(&mut self, shown: Value, done: Vec<Value>) {
        if self.answers.len() < ANSWERS_MAX {
            self.answers.push_back((shown, done));
        }
    }

    fn read_presence(&mut self, frame: &Value) {
        let was = if frame["all"] == true { std::mem::take(&mut self.watching) } else { self.watching.clone() };
        for user in frame["gone"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.watching.remove(user);
        }
        // Without a device it is somebody whose socket has just gone.
        let here = frame["set"].as_array().into_iter().flatten().filter(|entry| entry["devices"] != 0);
        for user in here.filter_map(|entry| entry["user"].as_str()) {
            if !self.is_companion(user) {
                self.watching.insert(user.to_owned());
                if !was.contains(user) && self.me == Person::Ines {
                    self.welcome(user);
                }
            }
        }
    }

    fn welcome(&mut self, user: &str) {
        let now = Instant::now();
        self.welcomed.retain(|_, at| now.duration_since(*at) < WELCOME_AFTER);
        if self.welcomed.insert(user.to_owned(), now).is_some() {
            return;
        }
        let name = self.names.get(user).cloned().unwrap_or_default();
        let mut say = self.say(&fill(WELCOME, &json!(name)));
        say["mentions"] = json!([user]);
        self.later(json!({"typing": true}), vec![say]);
    }

    /// What a step shows in the presence, and what it then does.
    fn step(&mut self, step: Step) -> (Value, Vec<Value>) {
        let editing = |id: Uuid, field: &str| json!({"looking_at": id, "editing": {"item": id, "field": field}});
        let update = |id: Uuid, field: &str, value: Value| vec![json!({"type": "update_activity", "activity": id, (field): value})];
        match step {
            Step::Look(key) => (json!({"looking_at": self.activity(key)}), vec![]),
            Step::Visit(key) => (json!({"looking_at": self.place(key)}), vec![]),
            Step::Map(key, zoom) => {
                let place = super::content::PLACES.iter().find(|place| place.key == key);
                (place.map_or(json!({}), |place| json!({"map": {"lat": place.lat, "lon": place.lon, "zoom": zoom}})), vec![])
            }
            Step::Rest => (json!({"idle": true}), vec![]),
            Step::Say(..) if self.watching.is_empty() => (json!({}), vec![]),
            Step::Say(body, about) => {
                let mut say = self.say(body);
                if !about.is_empty() {
                    say["anchor"] = json!({"activity": self.activity(about)});
                }
                (json!({"typing": true}), vec![say])
            }
            Step::Move { activity, after } => {
                let (id, after) = (self.activity(activity), (!after.is_empty()).then(|| self.activity(after)));
                (editing(id, "day"), vec![json!({"type": "move_activity", "activity": id, "after": after})])
            }
            Step::Retime { activity, start, end } => {
                let day = super::content::ACTIVITIES.iter().find(|seed| seed.key == activity).and_then(|seed| seed.day);
                let id = self.activity(activity);
                let times = json!({"type": "update_activity", "activity": id, "start": moment(day, start), "end": moment(day, end)});
                (editing(id, "start"), vec![times])
            }
            Step::Note(key, text) => (editing(self.activity(key), "notes"), update(self.activity(key), "notes", json!(text))),
            Step::Cost(key, cents) => {
                (editing(self.activity(key), "cost"), update(self.activity(key), "cost", json!({"minor": cents, "currency": CURRENCY})))
            }
            Step::Vote(key, on) => {
                let id = self.place(key);
                (json!({"looking_at": id}), vec![json!({"type": "vote_place", "place": id, "on": on})])
            }
            Step::Add(idea) => (json!({"editing": {"field": "activities"}}), self.add(idea)),
            Step::Drop(idea) => match self.ideas.remove(idea.title) {
                Some(id) => (json!({"looking_at": id}), vec![json!({"type": "remove_activity", "activity": id})]),
                None => (json!({}), vec![]),
            },
        }
    }

    /// Adds an idea unless it is there already.
    fn add(&mut self, idea: &'static Idea) -> Vec<Value> {
        if self.ideas.contains_key(idea.title) {
            return vec![];
        }
        let id = Uuid::now_v7();
        self.ideas.insert(idea.title, id);
        let after = (!idea.after.is_empty()).then(|| self.activity(idea.after));
        let mut add = json!({
            "type": "add_activity", "id": id, "title": idea.title, "kind": idea.kind, "status": "idea", "day": DAYS[idea.day], "after": after,
        });
        if !idea.start.is_empty() {
            add["start"] = moment(Some(idea.day), idea.start);
        }
        vec![add]
    }
}

impl Mind for Companion {
    fn hear(&mut self, heard: &Heard) -> bool {
        let before = (self.answers.len(), self.watching.is_empty());
        match heard {
            Heard::State(state) => self.read_state(state),
            Heard::Events(events) => events.iter().for_each(|event| self.read_event(event)),
            Heard::Presence(frame) => self.read_presence(frame),
            Heard::Answered { refused: Some(code), .. } => {
                // Somebody removed what it was about; life goes on.
                tracing::debug!(person = self.me.name(), code, "a companion's command was refused");
            }
            Heard::Answered { refused: None, .. } | Heard::Later(_) | Heard::Out(_) | Heard::Reconnect(_) => {}
        }
        self.answers.len() > before.0 || (before.1 && !self.watching.is_empty())
    }

    fn act(&mut self) -> Vec<Deed> {
        if !self.ready.is_empty() {
            let mut deeds: Vec<Deed> = self.ready.drain(..).map(Deed::Command).collect();
            deeds.push(Deed::Presence(json!({})));
            return deeds;
        }
        let (shown, ready) = match self.answers.pop_front() {
            Some(answer) => answer,
            None => {
                let script = script::of(self.me);
                let step = script.get(self.next).copied().unwrap_or(Step::Rest);
                self.next = (self.next + 1) % script.len().max(1);
                self.step(step)
            }
        };
        self.ready = ready;
        vec![Deed::Presence(shown)]
    }

    fn pause(&self) -> Duration {
        let answers = !self.answers.is_empty() || !self.ready.is_empty();
        let seconds = match (answers, self.watching.is_empty()) {
            // Whoever did something gets an answer soon, also when it came over REST and nobody is seen.
            (true, _) => rand::random_range(1.0..2.0),
            (false, false) => rand::random_range(1.5..4.0),
            (false, true) => rand::random_range(12.0..25.0),
        };
        Duration::from_secs_f64(seconds)
    }
}

/// Puts a title or a name into a sentence.
fn fill(sentence: &str, name: &Value) -> String {
    sentence.replace("{}", name.as_str().unwrap_or_default())
}

fn is_for(message: &Value, user: &str, person: Person) -> bool {
    let mentioned = message["mentions"].as_array().is_some_and(|mentions| mentions.iter().any(|mention| mention == user));
    let plain = match person {
        Person::Ines => "ines",
        Person::Tomas => "tomas",
        Person::Robin => "robin",
    };
    mentioned || words(message["body"].as_str().unwrap_or_default()).any(|word| word == plain || word == person.name().to_lowercase())
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn tone(text: &str) -> Tone {
    let said: Vec<String> = words(text).collect();
    let known = WORDS.iter().find(|(_, list)| said.iter().any(|word| list.contains(&word.as_str())));
    match known {
        Some((tone, _)) => *tone,
        None if text.contains('?') => Tone::Question,
        None => Tone::Other,
    }
}

#[cfg(test)]
mod tests;
