//! Who is here: one entry for each person, whatever their devices do, and nobody who is not.

use serde_json::{Value, json};
use tokio::time::Instant;
use tripsync_domain::Role;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::people::User;
use crate::harness::{Backend, Client, Server, TestDatabase};

const GRACE_MS: u64 = 800;

struct Scene {
    server: Server,
    trip: Uuid,
    ben: User,
    /// Somebody who watches.
    ana: Client,
    _database: TestDatabase,
}

impl Scene {
    async fn set() -> Self {
        let database = TestDatabase::create(Backend::Sqlite).await;
        let server = Server::on(&database).set("live.presence_grace", format!("{GRACE_MS}ms")).start().await;
        let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
        let trip = ana.trip(&server, &[(&ben, Role::Participant)]).await;
        let mut ana = ana.client(&server, Codec::Json).await;
        ana.join(trip).await;
        Self { server, trip, ben, ana, _database: database }
    }

    async fn device(&self, codec: Codec) -> Client {
        let mut device = self.ben.client(&self.server, codec).await;
        device.join(self.trip).await;
        device
    }

    /// Waits until Ben is shown like this; `None`: not at all.
    async fn shows(&mut self, what: &str, wanted: impl Fn(Option<&Value>) -> bool) {
        let (trip, ben) = (self.trip, self.ben.id);
        self.ana.until(what, |ana| wanted(ana.room(trip).present().get(&ben))).await;
    }

    async fn shows_devices(&mut self, devices: u64) {
        self.shows(&format!("Ben with {devices} devices"), |ben| ben.is_some_and(|ben| ben["devices"] == devices)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_are_one_person() {
    let mut scene = Scene::set().await;
    let mut phone = scene.device(Codec::MessagePack).await;
    scene.shows_devices(1).await;
    let mut laptop = scene.device(Codec::Json).await;
    scene.shows_devices(2).await;
    let item = Uuid::now_v7();
    phone.presence(scene.trip, json!({"looking_at": item, "typing": true})).await;
    scene.shows("what the phone does", |ben| ben.is_some_and(|ben| ben["state"] == json!({"looking_at": item, "typing": true}))).await;
    // The device that changed last is shown, but not one that is idle.
    laptop.presence(scene.trip, json!({"editing": {"item": item, "field": "title"}})).await;
    scene.shows("what the laptop does", |ben| ben.is_some_and(|ben| ben["state"]["editing"]["field"] == "title")).await;
    laptop.presence(scene.trip, json!({"idle": true})).await;
    scene.shows("the phone again", |ben| ben.is_some_and(|ben| ben["state"]["typing"] == true)).await;
    laptop.close().await;
    scene.shows_devices(1).await;
    // A goodbye needs no grace.
    let before = Instant::now();
    phone.leave(scene.trip).await;
    scene.shows("nobody", |ben| ben.is_none()).await;
    assert!(before.elapsed().as_millis() < u128::from(GRACE_MS), "kept after a goodbye for {:?}", before.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drop_does_not_flicker_and_nobody_lingers() {
    let mut scene = Scene::set().await;
    let mut phone = scene.device(Codec::Json).await;
    phone.presence(scene.trip, json!({"typing": true})).await;
    scene.shows("Ben typing", |ben| ben.is_some_and(|ben| ben["state"]["typing"] == true)).await;
    let since = scene.ana.room(scene.trip).present()[&scene.ben.id]["since"].clone();
    let (trip, ben) = (scene.trip, scene.ben.id);

    // Back within the grace: he was here all the time.
    phone.drop_connection();
    scene.shows_devices(0).await;
    phone.until("it is back", |phone| phone.reconnects() == 1 && phone.room(trip).is_joined()).await;
    scene.shows_devices(1).await;
    assert_eq!(scene.ana.room(trip).present()[&ben]["since"], since);
    assert_eq!(scene.ana.room(trip).gone(), 0, "he flickered");

    // Not back: he is shown for the grace, and then no more.
    let dropped = Instant::now();
    phone.drop_connection();
    scene.shows_devices(0).await;
    scene.shows("nobody", |ben| ben.is_none()).await;
    let kept = dropped.elapsed().as_millis();
    assert!(kept >= u128::from(GRACE_MS) * 9 / 10, "kept for {kept} ms only");

    // Who comes now is not shown him, and after a crash of the server nobody is shown who does not come back.
    let mut late = scene.device(Codec::MessagePack).await;
    scene.shows_devices(1).await;
    assert_eq!(late.room(trip).present().len(), 2);
    late.drop_connection();
    scene.server.kill().await;
    scene.server.restart().await;
    scene.ana.until("Ana is back", |ana| ana.room(trip).is_joined() && ana.reconnects() == 1).await;
    assert!(!scene.ana.room(trip).present().contains_key(&ben));
    assert_eq!(scene.ana.room(trip).present().len(), 1);
}
