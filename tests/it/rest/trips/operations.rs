//! Every operation on trips: how to call it with success, who may, and the command that it is.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World, made};
use crate::rest::spec::{self, Operation};

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Whoever has an account.
    Account,
    /// Every member.
    Member,
    /// Every member but the creator.
    Leave,
    /// Members but viewers.
    Edit,
    /// Organizers.
    Organize,
    /// The message's author, who is the creator.
    Author,
}

impl Right {
    /// The code of the refusal; `None` for who may.
    pub(super) fn refusal(self, place: Place) -> Option<&'static str> {
        let allowed = match (place, self) {
            (Place::Anonymous, _) => return Some("unauthorized"),
            (_, Self::Account) => true,
            (Place::Stranger, _) => return Some("not_found"),
            (_, Self::Member) => true,
            (_, Self::Leave) => place != Place::Creator,
            (_, Self::Edit) => place != Place::Viewer,
            (_, Self::Organize) => matches!(place, Place::Creator | Place::Organizer),
            (_, Self::Author) => place == Place::Creator,
        };
        (!allowed).then_some("forbidden")
    }
}

/// A call that succeeds for those who may.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) right: Right,
    /// The body, with `{names}`; null for none.
    pub(super) body: Value,
    /// The same as a command of the live protocol, with `{names}`; null for reads.
    pub(super) command: Value,
}

impl Call {
    pub(super) fn is_write(&self) -> bool {
        self.operation.method != "GET"
    }

    /// Somebody who may.
    pub(super) fn by(&self) -> Place {
        if self.right.refusal(Place::Creator).is_none() { Place::Creator } else { Place::Editor }
    }

    pub(super) fn is_in_a_trip(&self) -> bool {
        self.operation.path.contains("{trip}")
    }
}

/// All of them; some operations twice.
pub(super) fn all() -> Vec<Call> {
    use Right::{Account, Author, Edit, Leave, Member, Organize};
    let reads = [
        ("trips.list", Account),
        ("trips.get", Member),
        ("trips.state", Member),
        ("trips.members.list", Member),
        ("trips.members.get", Member),
        ("trips.activities.list", Member),
        ("trips.activities.get", Member),
        ("trips.places.list", Member),
        ("trips.places.get", Member),
        ("trips.expenses.list", Member),
        ("trips.expenses.get", Member),
        ("trips.messages.list", Member),
        ("trips.messages.get", Member),
        ("trips.read_marks.list", Member),
        ("trips.log.list", Member),
    ]
    .map(|(id, right)| (id, right, Value::Null, Value::Null));
    let writes = [
        ("trips.create", Account, json!({"title": "Porto"}), Value::Null),
        ("trips.update", Edit, json!({"title": "Porto"}), json!({"type": "update_details"})),
        ("trips.update", Organize, json!({"status": "active"}), json!({"type": "set_status"})),
        ("trips.update", Organize, json!({"title": "Porto", "status": "active"}), json!({"type": "update_details"})),
        ("trips.delete", Organize, Value::Null, json!({"type": "delete"})),
        ("trips.members.add", Organize, json!({"user": "{newcomer}", "role": "viewer"}), json!({"type": "add_member"})),
        ("trips.members.update", Organize, json!({"role": "viewer"}), json!({"type": "set_role", "user": "{user}"})),
        ("trips.members.remove", Organize, Value::Null, json!({"type": "remove_member", "user": "{user}"})),
        ("trips.leave", Leave, Value::Null, json!({"type": "leave"})),
        ("trips.activities.add", Edit, json!({"title": "Tower"}), json!({"type": "add_activity"})),
        ("trips.activities.update", Edit, json!({"title": "Tower"}), json!({"type": "update_activity", "activity": "{activity}"})),
        ("trips.activities.move", Edit, json!({"day": "2027-05-02"}), json!({"type": "move_activity", "activity": "{activity}"})),
        ("trips.activities.remove", Edit, Value::Null, json!({"type": "remove_activity", "activity": "{activity}"})),
        ("trips.places.add", Edit, json!({"name": "Louvre"}), json!({"type": "add_place"})),
        ("trips.places.update", Edit, json!({"name": "Louvre"}), json!({"type": "update_place", "place": "{place}"})),
        ("trips.places.remove", Edit, Value::Null, json!({"type": "remove_place", "place": "{place}"})),
        ("trips.places.vote", Edit, Value::Null, json!({"type": "vote_place", "place": "{place}", "on": true})),
        ("trips.places.unvote", Edit, Value::Null, json!({"type": "vote_place", "place": "{place}", "on": false})),
        ("trips.expenses.add", Edit, lunch(), json!({"type": "add_expense"})),
        ("trips.expenses.update", Edit, json!({"title": "Dinner"}), json!({"type": "update_expense", "expense": "{expense}"})),
        ("trips.expenses.remove", Edit, Value::Null, json!({"type": "remove_expense", "expense": "{expense}"})),
        ("trips.messages.send", Member, json!({"body": "Hi"}), json!({"type": "send_message"})),
        ("trips.messages.edit", Author, json!({"body": "Ho"}), json!({"type": "edit_message", "message": "{message}"})),
        ("trips.messages.delete", Organize, Value::Null, json!({"type": "delete_message", "message": "{message}"})),
        ("trips.messages.react", Member, Value::Null, json!({"type": "react", "message": "{message}", "emoji": "👍", "on": true})),
        ("trips.messages.unreact", Member, Value::Null, json!({"type": "react", "message": "{message}", "emoji": "👍", "on": false})),
        ("trips.read_marks.set", Member, json!({"seq": 1}), json!({"type": "mark_read"})),
    ];
    let mut all = Vec::new();
    for (id, right, body, command) in reads.into_iter().chain(writes) {
        let command = with_fields(command, &body);
        all.push(Call { operation: spec::operation(id), right, body, command });
    }
    // Whatever can be asked as a request of its own can be sent as a command, under the same rights.
    let commands: Vec<_> = all.iter().filter(|call| !call.command.is_null()).cloned().collect();
    all.extend(commands.into_iter().map(|call| Call {
        operation: spec::operation("trips.commands.send"),
        body: json!({"cmd": call.command}),
        ..call
    }));
    all
}

/// Something that the creator paid.
fn lunch() -> Value {
    let amount = json!({"minor": 1_250, "currency": "EUR"});
    json!({"title": "Lunch", "payer": "{creator}", "amount": amount, "shares": [{"user": "{creator}", "minor": 1_250}]})
}

fn with_fields(command: Value, body: &Value) -> Value {
    let Value::Object(mut command) = command else { return command };
    command.extend(body.as_object().cloned().unwrap_or_default());
    Value::Object(command)
}

/// A trip for one call, with what the call is about.
pub(super) struct Scene {
    /// The trip's path.
    pub(super) trip: String,
    names: Vec<(&'static str, String)>,
}

impl Scene {
    /// Prepares a trip in which somebody with `place` can make the call.
    pub(super) async fn of(world: &World, call: &Call, place: Place) -> Self {
        let ann = &world.ann.api;
        let trip = world.trip(&[place]).await;
        let id = trip.rsplit('/').next().unwrap().to_owned();
        let mut names = vec![("{trip}", id), ("{newcomer}", world.newcomer().id.clone()), ("{emoji}", "%F0%9F%91%8D".to_owned())];
        names.push(("{creator}", world.ann.id.clone()));
        let whole = format!("{}{}", call.operation.path, call.body);
        let items = [
            ("{user}", "members", json!({"user": world.guest().id, "role": "participant"})),
            ("{activity}", "activities", json!({"title": "Belém"})),
            ("{place}", "places", json!({"name": "Orsay"})),
            ("{expense}", "expenses", serde_json::from_str(&lunch().to_string().replace("{creator}", &world.ann.id)).unwrap()),
            ("{message}", "messages", json!({"body": "Who books?"})),
        ];
        for (name, collection, body) in items {
            if whole.contains(name) {
                names.push((name, made(ann.post(&format!("{trip}/{collection}"), body).await)));
            }
        }
        Self { trip, names }
    }

    /// A call's path.
    pub(super) fn path(&self, call: &Call) -> String {
        self.fill(call.operation.path)
    }

    /// A call's body.
    pub(super) fn body(&self, call: &Call) -> Value {
        serde_json::from_str(&self.fill(&call.body.to_string())).unwrap()
    }

    /// The same scene, but the trip is one that there is not.
    pub(super) fn elsewhere(&self) -> Self {
        let mut names = self.names.clone();
        names[0].1 = Uuid::now_v7().to_string();
        Self { trip: format!("/api/v1/trips/{}", names[0].1), names }
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

#[test]
fn no_operation_and_no_command_is_missing() {
    let all = all();
    for operation in spec::operations().iter().filter(|operation| operation.id().starts_with("trips.")) {
        assert!(all.iter().any(|call| call.operation.id() == operation.id()), "{} is not called", operation.id());
    }
    for command in spec::DOCUMENT.pointer("/components/schemas/Command/oneOf").unwrap().as_array().unwrap() {
        let tag = &command["title"];
        assert!(tag == "create" || all.iter().any(|call| call.command["type"] == *tag), "{tag} is not sent");
    }
}
