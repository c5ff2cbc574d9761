//! `tripsync demo` as a newcomer meets it: whatever it prints, and whatever the README says about it, works.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use crate::harness::{Client, Server, http_client};

const README: &str = include_str!("../../README.md");
/// How long it may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(30);

/// The values that the demo printed.
struct Printed {
    text: String,
}

impl Printed {
    /// The last of all that the server has printed: it may have been restarted.
    fn by(server: &Server) -> Self {
        let log = server.log();
        let (_, text) = log.rsplit_once("The TripSync demo is ready").expect("the demo says so");
        Self { text: text.to_owned() }
    }

    /// The value of a line such as `  account   robin@demo.example`.
    fn value(&self, name: &str) -> &str {
        let line = self.text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{}", self.text)).trim()
    }

    fn trip(&self) -> Uuid {
        self.value("trip").parse().unwrap()
    }

    /// The commands for a shell, as a person would select them: from `TOKEN=` or `curl` to the end of the paragraph.
    fn commands(&self) -> Vec<&str> {
        self.text.split("\n\n").filter(|part| part.starts_with("TOKEN=") || part.starts_with("curl ")).collect()
    }

    async fn log_in(&self) -> String {
        let account = json!({"email": self.value("account"), "password": self.value("password")});
        let answer = http_client().post(format!("{}/api/v1/auth/login", self.value("address"))).json(&account).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    async fn state(&self, token: &str) -> Value {
        let answer = http_client().get(format!("{}/api/v1/trips/{}/state", self.value("address"), self.trip())).bearer_auth(token).send();
        answer.await.unwrap().error_for_status().unwrap().json::<Value>().await.unwrap()["state"].take()
    }
}

#[tokio::test]
async fn a_newcomer_joins_sees_life_and_is_answered() {
    let mut server = Server::demo().start().await;
    let printed = Printed::by(&server);
    let (token, trip) = (printed.log_in().await, printed.trip());
    let mut robin = Client::connect(&server.live_url(), &token, Codec::Json).await;
    robin.join(trip).await;

    let (_, state) = robin.room(trip).state().unwrap().clone();
    let count = |key: &str| state[key].as_object().unwrap().len();
    assert!(count("days") >= 5 && count("activities") >= 30 && count("places") >= 20, "{state}");
    assert!(state["places"].as_object().unwrap().values().all(|place| place["position"]["lat"].is_number()));
    let me = robin.welcome()["user"].clone();
    let others: Vec<Value> = state["members"].as_object().unwrap().keys().map(|user| json!(user)).filter(|user| *user != me).collect();
    assert_eq!(others.len(), 2);

    robin.until("both companions are present", |robin| robin.room(trip).present().len() == 3).await;
    robin
        .until("both companions do something", |robin| {
            others.iter().all(|user| robin.room(trip).history().values().any(|event| event["by"] == *user))
        })
        .await;

    let id = Uuid::now_v7();
    let ferry = json!({"type": "add_activity", "id": id, "title": "Ferry to Cacilhas", "day": state["details"]["start_date"]});
    robin.ask(trip, ferry).await.unwrap();
    robin.until("the activity is thanked for", |robin| says(robin, trip, |message| message["anchor"]["activity"] == json!(id))).await;
    let hello = Uuid::now_v7();
    robin.ask(trip, json!({"type": "send_message", "id": hello, "body": "Hello Inês!"})).await.unwrap();
    robin.until("the message is answered", |robin| says(robin, trip, |message| message["reply_to"] == json!(hello))).await;

    assert!(server.terminate(GOODBYE).await.success());
}

#[tokio::test]
async fn a_newcomer_takes_the_last_seat_and_a_companion_waits_for_it() {
    let mut server = Server::demo().start().await;
    let printed = Printed::by(&server);
    let (token, pool) = (printed.log_in().await, printed.value("pool").parse::<Uuid>().unwrap());
    let mut robin = Client::connect(&server.live_url(), &token, Codec::Json).await;
    robin.join(pool).await;
    let id = Uuid::now_v7();
    robin.ask(pool, json!({"type": "request", "id": id, "wait": true})).await.unwrap();
    let seats = |client: &Client, like: &dyn Fn(&Value) -> bool| {
        client.room(pool).history().values().any(|event| event["ev"]["type"] == "seats_changed" && like(&event["ev"]))
    };
    robin.until("the seat is taken", |robin| seats(robin, &|ev| ev["taken"] == json!([1, 1]))).await;
    // After a while somebody else stands in line.
    robin.until("somebody waits", |robin| seats(robin, &|ev| ev["waiting"] == 1)).await;
    robin.ask(pool, json!({"type": "withdraw", "claim": id})).await.unwrap();
    robin
        .until("the next one has the seat", |robin| {
            seats(robin, &|ev| ev["waiting"] == 0 && ev["taken"] == json!([1, 1]) && !ev["left"].is_null())
        })
        .await;
    assert!(server.terminate(GOODBYE).await.success());
}

/// Whether somebody said something like that.
fn says(client: &Client, trip: Uuid, like: impl Fn(&Value) -> bool) -> bool {
    client.room(trip).history().values().any(|event| event["ev"]["type"] == "message_sent" && like(&event["ev"]["message"]))
}

#[tokio::test]
async fn a_second_start_goes_on_with_the_same_trip_and_doubles_nothing() {
    let mut server = Server::demo().start().await;
    let first = Printed::by(&server);
    let before = first.state(&first.log_in().await).await;
    server.kill().await;
    server.restart().await;
    let second = Printed::by(&server);
    assert_eq!((second.value("trip"), second.value("password")), (first.value("trip"), first.value("password")));
    let after = second.state(&second.log_in().await).await;
    let keys = |state: &Value, key: &str| state[key].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&before, "places"), keys(&after, "places"));
    assert_eq!(keys(&before, "members"), keys(&after, "members"));
    // What a companion had just added may be there or not.
    let activities = keys(&after, "activities");
    assert!(activities.len() <= keys(&before, "activities").len() + 4, "{activities:?}");
}

#[tokio::test]
async fn the_printed_commands_and_the_tour_of_the_readme_work_when_pasted() {
    if !["bash", "curl"].into_iter().all(is_installed) {
        eprintln!("NOT RUN: the_printed_commands_and_the_tour_of_the_readme_work_when_pasted needs bash and curl");
        return;
    }
    let server = Server::demo().start().await;
    let printed = Printed::by(&server);
    let commands = printed.commands();
    assert_eq!(commands.len(), 4, "{}", printed.text);
    // The folder in which `data` is, as for somebody who runs `cargo run -- demo`.
    let folder = server.data_dir().parent().unwrap().to_owned();
    let said = bash(&folder, &commands.join("\n"));
    assert!(said.contains("Castelo de São Jorge"), "{said}");
    let said = bash(&folder, &tour());
    assert!(said.contains(printed.value("trip")), "{said}");

    let state = printed.state(&printed.log_in().await).await;
    for title in ["Ferry to Cacilhas", "Sardines by the river"] {
        let there = state["activities"].as_object().unwrap().values().any(|activity| activity["title"] == title);
        assert!(there, "{title} was not added; {said}");
    }
}

/// The blocks of the README that are marked as the tour.
fn tour() -> String {
    let blocks = README.split("\n```sh tour\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let tour = blocks.collect::<Vec<_>>().join("\n");
    assert!(tour.contains("curl"), "README.md has no tour");
    tour
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs a script that is to succeed; what it printed.
fn bash(folder: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).env("no_proxy", "*").stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\nended with {}:\n{said}", output.status);
    said
}
