//! Whether what is stored says what was sent, and what was delivered.

use crate::engine::acts::{BODY_BYTES, TITLE_BYTES, cut_text};
use crate::engine::{Job, RoomLog};
use crate::rest::Logged;
use crate::wire::{client_index, is_of_run};
use serde_json::Value;

/// What is wrong with a stored event of a trip.
pub(super) fn differs(job: &Job, log: &RoomLog, logged: &Logged) -> Option<String> {
    let heard = log.heard.iter().filter(|(seq, _)| *seq == logged.seq);
    for (seq, bytes) in heard {
        let told = tripsync_domain::protocol::to_json(bytes).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        if told.is_none_or(|told| told["ev"] != logged.event) {
            return Some(format!("event {seq} is stored otherwise than members got it"));
        }
    }
    let client = logged.client.filter(|client| is_of_run(client.as_u128(), job.run))?;
    let (written, cut) = text(&logged.event)?;
    let (index, n) = (client_index(client.as_u128()), logged.n?);
    let persona = job.clients.get(index as usize).and_then(|client| job.scenario.personas.get(usize::from(client.persona)))?;
    // The server takes the white space from the ends.
    let written = written.as_str().map(str::trim);
    let sent = persona.acts.iter().any(|act| written == Some(cut_text(n, act.payload, cut).trim()));
    (!sent).then(|| format!("event {} does not say what client {index} sent as command {n}", logged.seq))
}

/// The text that a command brought, and how long it may be.
fn text(event: &Value) -> Option<(&Value, usize)> {
    match event["type"].as_str()? {
        "message_sent" => Some((&event["message"]["body"], BODY_BYTES)),
        "activity_added" => Some((&event["activity"]["title"], TITLE_BYTES)),
        "place_added" => Some((&event["place"]["name"], TITLE_BYTES)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Client;
    use crate::engine::acts;
    use crate::wire::client_id;
    use serde_json::json;

    const RUN: u64 = 0x1234_5678_9abc_def0;

    fn job() -> Job {
        let client = Client { index: 0, persona: 0, room: 0, account: 0, place: 0, of: 1, replica: false, doomed: false, stays: false };
        let mut scenario = crate::scenario::builtin("fan-out").unwrap();
        // So long that the text ends with a space.
        scenario.personas[0].acts[0].payload = 17;
        let (addresses, sources, rooms, accounts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Job { run: RUN, addresses, sources, threads: 1, scenario, rooms, accounts, clients: vec![client] }
    }

    /// What is wrong when this is stored as command 7, which is event 8, and members got that.
    fn judged(stored: &Value, got: &Value) -> Option<String> {
        let record = rmp_serde::to_vec_named(&json!({"seq": 8, "ev": got})).unwrap();
        let log = RoomLog { heard: vec![(8, record)], ..RoomLog::default() };
        let logged = Logged { seq: 8, client: Some(client_id(RUN, 0)), n: Some(7), event: stored.clone() };
        differs(&job(), &log, &logged)
    }

    #[test]
    fn what_is_stored_otherwise_than_sent_or_delivered_is_noticed() {
        let payload = job().scenario.personas[0].acts[0].payload;
        let says = |text: String| json!({"type": "message_sent", "message": {"body": text}});
        let sent = says(acts::text(7, payload));
        assert_eq!(judged(&sent, &sent), None);
        let trimmed = says(acts::text(7, payload).trim().to_owned());
        assert_eq!(judged(&trimmed, &trimmed), None);
        let of_another = says(acts::text(8, payload));
        assert_eq!(judged(&sent, &of_another).unwrap(), "event 8 is stored otherwise than members got it");
        assert_eq!(judged(&of_another, &of_another).unwrap(), "event 8 does not say what client 0 sent as command 7");
        let read = json!({"type": "read_marked", "seq": 3});
        assert_eq!(judged(&read, &read), None, "no text to compare");
    }
}
