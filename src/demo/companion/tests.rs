use super::*;
use tripsync_domain::trip::Command;

fn users() -> BTreeMap<Person, Uuid> {
    Person::ALL.into_iter().map(|person| (person, Uuid::now_v7())).collect()
}

fn both(users: &BTreeMap<Person, Uuid>) -> [Companion; 2] {
    let trip = Uuid::now_v7();
    let state = json!({"members": {(users[&Person::Robin].to_string()): {"name": "Robin"}}, "activities": {}});
    [Person::Ines, Person::Tomas].map(|person| {
        let mut companion = Companion::new(person, trip, users);
        companion.hear(&Heard::State(state.clone()));
        companion
    })
}

/// All commands of so many acts.
fn commands(companion: &mut Companion, acts: usize) -> Vec<Value> {
    let deeds = (0..acts).flat_map(|_| companion.act()).collect::<Vec<_>>();
    deeds.into_iter().filter_map(|deed| if let Deed::Command(command) = deed { Some(command) } else { None }).collect()
}

fn comes(companion: &mut Companion, user: Uuid) {
    companion.hear(&Heard::Presence(json!({"set": [{"user": user, "state": {}, "devices": 1}]})));
}

#[test]
fn whatever_they_do_is_a_command_that_a_trip_knows() {
    let users = users();
    for mut companion in both(&users) {
        comes(&mut companion, users[&Person::Robin]);
        let all = commands(&mut companion, 200);
        assert!(all.len() > 50);
        for command in all {
            tripsync_domain::command::parse::<Command>(&command).unwrap_or_else(|refused| panic!("{refused:?}: {command}"));
        }
    }
}

#[test]
fn the_trip_does_not_grow() {
    for mut companion in both(&users()) {
        let mut there: i64 = 0;
        for command in commands(&mut companion, 1_000) {
            there += i64::from(command["type"] == "add_activity") - i64::from(command["type"] == "remove_activity");
            assert!((0..=2).contains(&there));
            assert_ne!(command["type"], "send_message", "nobody is there to hear it");
        }
    }
}

#[test]
fn leftovers_of_an_earlier_start_are_removed() {
    let users = users();
    let [mut ines, _] = both(&users);
    let id = Uuid::now_v7();
    let left = json!({"title": "Fill the water bottles", "created_by": users[&Person::Ines]});
    ines.hear(&Heard::State(json!({"members": {}, "activities": {(id.to_string()): left}})));
    let all = commands(&mut ines, 60);
    assert!(all.contains(&json!({"type": "remove_activity", "activity": id})));
}

#[test]
fn a_message_of_the_newcomer_is_answered_once_and_by_whom_it_is_meant_for() {
    let users = users();
    for (body, seq, answered) in
        [("Hello!", 7, [false, true]), ("Hello!", 8, [true, false]), ("Tomás, what do you think?", 8, [false, true])]
    {
        let replies = both(&users).map(|mut companion| {
            comes(&mut companion, users[&Person::Robin]);
            companion.answers.clear();
            let sent = json!({"type": "message_sent", "message": {"id": Uuid::now_v7(), "body": body}});
            companion.hear(&Heard::Events(vec![json!({"seq": seq, "by": users[&Person::Robin], "ev": sent})]));
            commands(&mut companion, 2).iter().any(|command| command["reply_to"] != Value::Null)
        });
        assert_eq!(replies, answered, "{body}");
    }
}

#[test]
fn an_activity_of_the_newcomer_is_thanked_for() {
    let users = users();
    let said: Vec<Value> = both(&users)
        .into_iter()
        .flat_map(|mut companion| {
            let added = json!({"type": "activity_added", "activity": {"id": Uuid::now_v7(), "title": "Ferry to Cacilhas"}});
            companion.hear(&Heard::Events(vec![json!({"seq": 4, "by": users[&Person::Robin], "ev": added})]));
            commands(&mut companion, 2)
        })
        .filter(|command| command["type"] == "send_message")
        .collect();
    assert_eq!(said.len(), 1);
    assert!(said[0]["body"].as_str().unwrap().contains("Thank you for “Ferry to Cacilhas”"));
}

#[test]
fn whoever_is_not_seen_is_answered_as_soon() {
    let users = users();
    for seen in [false, true] {
        for mut companion in both(&users) {
            if seen {
                comes(&mut companion, users[&Person::Robin]);
                commands(&mut companion, 2);
            }
            let alone = companion.pause();
            assert_eq!(alone >= Duration::from_secs(12), !seen, "{alone:?}: they take their time when nobody is there");
            let body = format!("What do you think, {}?", companion.me.name());
            let sent = json!({"type": "message_sent", "message": {"id": Uuid::now_v7(), "body": body}});
            assert!(companion.hear(&Heard::Events(vec![json!({"seq": 4, "by": users[&Person::Robin], "ev": sent})])));
            let (mut waits, mut said) = (Duration::ZERO, Vec::new());
            while said.is_empty() {
                waits += companion.pause();
                said = commands(&mut companion, 1);
            }
            assert!(said.iter().any(|command| command["type"] == "send_message"), "{said:?}");
            assert!(waits <= Duration::from_secs(4), "{waits:?}");
        }
    }
}

#[test]
fn who_floods_is_not_answered_for_each() {
    let users = users();
    let [mut ines, _] = both(&users);
    let sent = json!({"type": "message_sent", "message": {"id": Uuid::now_v7(), "body": "hello"}});
    let events = (1..=500).map(|seq| json!({"seq": seq, "by": users[&Person::Robin], "ev": sent})).collect();
    ines.hear(&Heard::Events(events));
    assert_eq!(ines.answers.len(), ANSWERS_MAX);
}

#[test]
fn whoever_comes_is_welcomed_once() {
    let users = users();
    let [mut ines, mut tomas] = both(&users);
    ines.hear(&Heard::Presence(json!({"set": [{"user": users[&Person::Robin], "state": {}, "devices": 0}]})));
    assert_eq!(ines.answers.len(), 0, "that socket has just gone");
    for companion in [&mut ines, &mut tomas] {
        comes(companion, users[&Person::Robin]);
        companion.hear(&Heard::Presence(json!({"gone": [users[&Person::Robin]]})));
        comes(companion, users[&Person::Robin]);
    }
    assert_eq!((ines.answers.len(), tomas.answers.len()), (1, 0));
    assert!(ines.answers[0].1[0]["body"].as_str().unwrap().starts_with("Welcome, Robin!"));
}
