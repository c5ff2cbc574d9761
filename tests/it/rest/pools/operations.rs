//! Every operation on pools: how to call it with success, who may, and the command that it is.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World};
use crate::rest::client::text;
use crate::rest::spec::{self, Operation};

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Whoever has an account.
    Account,
    /// Whoever may see the pool.
    See,
    /// Whoever has no part in it yet.
    Ask,
    /// Whoever has to decide for seats.
    Accept,
    /// Whoever has a claim, for their own.
    Withdraw,
    /// Whoever has a claim.
    Pickup,
    /// The car.
    Ride,
    /// The owner, of another's claim that nobody else knows of.
    Claim,
    /// The car, of a message that nobody else knows of.
    Message,
    /// The owner.
    Own,
}

impl Right {
    /// The code of the refusal; `None` for who may.
    pub(super) fn refusal(self, place: Place) -> Option<&'static str> {
        match (place, self) {
            (Place::Anonymous, _) => Some("unauthorized"),
            (_, Self::Account) => None,
            (Place::Outsider, _) => Some("not_found"),
            (_, Self::See) => None,
            (Place::Owner, Self::Ask) => Some("forbidden"),
            (_, Self::Ask) => place.claims().then_some("already_exists"),
            (Place::Held, Self::Accept) => None,
            (Place::Pending | Place::Waiting, Self::Accept) => Some("conflict"),
            (_, Self::Accept) => Some("not_found"),
            (_, Self::Withdraw) => (!place.claims()).then_some("not_found"),
            (_, Self::Pickup) => (!place.claims()).then_some("forbidden"),
            (_, Self::Ride) => (!place.rides()).then_some("forbidden"),
            (_, Self::Claim) => (place != Place::Owner).then_some("not_found"),
            (_, Self::Message) => (!place.rides()).then_some("not_found"),
            (_, Self::Own) => (place != Place::Owner).then_some("forbidden"),
        }
    }
}

/// A call that succeeds for those who may.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) right: Right,
    /// The body, with `{names}`; null for none.
    pub(super) body: Value,
    /// The same as a command of the live protocol, with `{names}`; null for what is none.
    pub(super) command: Value,
}

impl Call {
    pub(super) fn is_in_a_pool(&self) -> bool {
        self.operation.path.contains("{pool}")
    }

    /// Whether it changes the room.
    pub(super) fn is_command(&self) -> bool {
        !self.command.is_null()
    }

    /// The tag of its command.
    fn tag(&self) -> &str {
        self.command["type"].as_str().unwrap_or_default()
    }
}

/// All of them.
pub(super) fn all() -> Vec<Call> {
    use Right::{Accept, Account, Ask, Claim, Message, Own, Pickup, Ride, See, Withdraw};
    let none = Value::Null;
    let pickup = json!({"name": "Rua Augusta 12", "position": {"lat": 38.7103, "lon": -9.1366}, "note": null});
    let others = [
        ("pools.list", Account, &none),
        ("pools.get", See, &none),
        ("pools.state", See, &none),
        ("pools.claims.list", See, &none),
        ("pools.claims.get", Claim, &none),
        ("pools.messages.list", See, &none),
        ("pools.messages.get", Message, &none),
        ("pools.reviews.list", See, &none),
        ("pools.log.list", See, &none),
        ("pools.contacts", Ride, &none),
        ("pools.pickup.get", Pickup, &none),
        ("pools.pickup.set", Pickup, &pickup),
        ("pools.pickup.delete", Pickup, &none),
    ]
    .map(|(id, right, body)| (id, right, body.clone(), Value::Null));
    let commands = [
        ("pools.create", Account, own_pool(), Value::Null),
        ("pools.update", Own, json!({"seats": 6}), json!({"type": "update_details"})),
        ("pools.request", Ask, json!({"seats": 1}), json!({"type": "request"})),
        ("pools.hold", Ask, json!({"seats": 1}), json!({"type": "hold"})),
        ("pools.invite", Own, json!({"user": "{newcomer}"}), json!({"type": "invite"})),
        ("pools.claims.accept", Accept, Value::Null, json!({"type": "accept", "claim": "{own}"})),
        ("pools.claims.withdraw", Withdraw, Value::Null, json!({"type": "withdraw", "claim": "{own}"})),
        ("pools.claims.approve", Own, Value::Null, json!({"type": "approve", "claim": "{claim}"})),
        ("pools.claims.reject", Own, json!({"reason": "no"}), json!({"type": "reject", "claim": "{claim}"})),
        ("pools.claims.remove", Own, Value::Null, json!({"type": "remove", "claim": "{claim}"})),
        ("pools.claims.board", Own, json!({"boarded": true}), json!({"type": "board", "claim": "{claim}"})),
        ("pools.depart", Own, Value::Null, json!({"type": "depart"})),
        ("pools.complete", Own, Value::Null, json!({"type": "complete"})),
        ("pools.cancel", Own, json!({"reason": "snow"}), json!({"type": "cancel"})),
        ("pools.messages.send", Ride, json!({"body": "Hi"}), json!({"type": "send_message"})),
        ("pools.reviews.write", Ride, json!({"of": "{other}", "stars": 5}), json!({"type": "review"})),
    ];
    let mut all = Vec::new();
    for (id, right, body, command) in others.into_iter().chain(commands) {
        let command = with_fields(command, &body);
        all.push(Call { operation: spec::operation(id), right, body, command });
    }
    // Whatever can be asked as a request of its own can be sent as a command, under the same rights.
    let commands: Vec<_> = all.iter().filter(|call| call.is_command()).cloned().collect();
    all.extend(commands.into_iter().map(|call| Call {
        operation: spec::operation("pools.commands.send"),
        body: json!({"cmd": call.command}),
        ..call
    }));
    all
}

/// A pool that anybody may make.
fn own_pool() -> Value {
    let mut pool = super::new_pool();
    pool.as_object_mut().unwrap().remove("group");
    pool
}

fn with_fields(command: Value, body: &Value) -> Value {
    let Value::Object(mut command) = command else { return command };
    command.extend(body.as_object().cloned().unwrap_or_default());
    Value::Object(command)
}

/// A pool for one call, with what the call is about.
pub(super) struct Scene {
    /// The pool's path.
    pub(super) pool: String,
    names: Vec<(&'static str, String)>,
}

impl Scene {
    /// Prepares a pool in which somebody in a place can make the call.
    pub(super) async fn of(world: &World, call: &Call, place: Place) -> Self {
        let owner = world.of(Place::Owner);
        let tag = call.tag();
        let instant = place == Place::Held || tag == "hold";
        let booking = if instant { "instant" } else { "approval" };
        let pool = world.pool(json!({"booking": booking})).await;
        // The guest takes a seat first, so that who asks for all has to wait.
        let confirmed = instant || !matches!(tag, "approve" | "reject");
        let guest = world.guest_claim(&pool, confirmed).await;
        let own = if instant && place == Place::Pending {
            // Nobody asks for an answer in such a pool; whoever has none yet waits.
            let body = json!({"seats": 4, "wait": true});
            Some(text(&world.of(place).post(&format!("{pool}/requests"), body).await.ok(201)["id"]))
        } else {
            world.place(&pool, place).await
        };
        let message = text(&owner.post(&format!("{pool}/messages"), json!({"body": "to the car"})).await.ok(201)["id"]);
        if matches!(tag, "complete" | "review") {
            owner.post(&format!("{pool}/depart"), Value::Null).await.ok(200);
        }
        if tag == "review" {
            owner.post(&format!("{pool}/complete"), Value::Null).await.ok(200);
        }
        let own = own.unwrap_or_else(|| guest.clone());
        if call.operation.id() == "pools.pickup.get" && place.claims() {
            let body = json!({"name": "Rua Augusta 12", "position": {"lat": 38.7, "lon": -9.1}});
            world.of(place).put(&format!("{pool}/pickup"), body).await.ok(200);
        }
        let other = if place == Place::Owner { world.guest.id.clone() } else { world.account(Place::Owner).id.clone() };
        let id = pool.rsplit('/').next().unwrap().to_owned();
        let claim = if matches!(call.right, Right::Accept | Right::Withdraw) { own.clone() } else { guest };
        let newcomer = world.newcomer.id.clone();
        let names =
            [("{pool}", id), ("{claim}", claim), ("{own}", own), ("{message}", message), ("{other}", other), ("{newcomer}", newcomer)];
        Self { pool, names: names.to_vec() }
    }

    /// Ends what counts against people's bounds over all pools.
    pub(super) async fn end(&self, world: &World) {
        let ended = world.of(Place::Owner).post(&format!("{}/cancel", self.pool), Value::Null).await;
        assert!(ended.status == 200 || ended.body["code"] == "conflict", "{ended:?}");
    }

    /// A call's path.
    pub(super) fn path(&self, call: &Call) -> String {
        self.fill(call.operation.path)
    }

    /// A call's body.
    pub(super) fn body(&self, call: &Call) -> Value {
        serde_json::from_str(&self.fill(&call.body.to_string())).unwrap()
    }

    /// The same scene, but the pool is one that there is not.
    pub(super) fn elsewhere(&self) -> Self {
        self.in_room(&Uuid::now_v7().to_string())
    }

    /// The same scene in another room.
    pub(super) fn in_room(&self, room: &str) -> Self {
        let mut names = self.names.clone();
        names[0].1 = room.to_owned();
        Self { pool: format!("/api/v1/pools/{room}"), names }
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

#[test]
fn no_operation_and_no_command_is_missing() {
    let all = all();
    for operation in spec::operations().iter().filter(|operation| operation.id().starts_with("pools.")) {
        let called =
            all.iter().any(|call| call.operation.id() == operation.id()) || ["pools.search", "pools.expense"].contains(&operation.id());
        assert!(called, "{} is not called", operation.id());
    }
    for command in spec::DOCUMENT.pointer("/components/schemas/PoolCommand/oneOf").unwrap().as_array().unwrap() {
        let tag = &command["title"];
        assert!(tag == "create" || all.iter().any(|call| call.command["type"] == *tag), "{tag} is not sent");
    }
}
