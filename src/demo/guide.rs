//! What the newcomer reads: where things are, and commands to paste.

use super::content::{DAYS, Person, ZONE};
use std::path::Path;
use uuid::Uuid;

/// What the texts are about.
#[derive(Debug)]
pub(super) struct Guide<'a> {
    /// `http://address:port`
    pub(super) base: String,
    /// The newcomer's password.
    pub(super) password: &'a str,
    pub(super) trip: Uuid,
    pub(super) pool: Uuid,
    pub(super) folder: &'a Path,
}

impl Guide<'_> {
    /// The text for the terminal.
    pub(super) fn text(&self) -> String {
        let Self { base, password, trip, pool, folder } = self;
        let email = Person::Robin.email();
        let (ines, tomas) = (Person::Ines.name(), Person::Tomas.name());
        let folder = folder.display();
        let (token, read, add, seat, console) = (self.token(), self.read(), self.add(), self.seat(), self.console());
        format!(
            "\
The TripSync demo is ready: {ines} and {tomas} are planning a week in Portugal, and you are the third.

  address   {base}
  docs      {base}/docs/
  account   {email}
  password  {password}
  trip      {trip}
  pool      {pool}
  data      {folder} (delete this folder to begin anew)

Log in; the token is good for 15 minutes:

{token}

Read the trip:

{read}

Add an activity, and see what the others say to it:

{add}

{ines} drives to Sintra and has one seat left. Take it before {tomas} does, half a minute from now, or wait in line for it:

{seat}

Watch and take part: open {base}/docs/ in a browser, and in its console (F12; some ask to allow pasting first) paste

{console}

Then try  say('Hello!')  and watch the answer come. Ctrl-C here stops everything.
"
        )
    }

    /// The same values for a shell: `. data/demo/demo.env`.
    pub(super) fn environment(&self) -> String {
        let Self { base, password, trip, pool, .. } = self;
        format!("URL='{base}'\nEMAIL='{}'\nPASSWORD='{password}'\nTRIP='{trip}'\nPOOL='{pool}'\n", Person::Robin.email())
    }

    fn token(&self) -> String {
        let (base, email, password) = (&self.base, Person::Robin.email(), self.password);
        format!(
            "TOKEN=$(curl -s {base}/api/v1/auth/login -H 'content-type: application/json' \\\n  \
             -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
        )
    }

    fn read(&self) -> String {
        format!("curl -s {}/api/v1/trips/{}/state -H \"authorization: Bearer $TOKEN\"", self.base, self.trip)
    }

    fn add(&self) -> String {
        format!(
            "curl -s {}/api/v1/trips/{}/activities -H \"authorization: Bearer $TOKEN\" -H 'content-type: application/json' \\\n  \
             -d '{{\"title\":\"Ferry to Cacilhas\",\"kind\":\"transport\",\"start\":{{\"local\":\"{}T18:30\",\"tz\":\"{ZONE}\"}}}}'",
            self.base, self.trip, DAYS[3]
        )
    }

    fn seat(&self) -> String {
        format!(
            "curl -s {}/api/v1/pools/{}/commands -H \"authorization: Bearer $TOKEN\" -H 'content-type: application/json' \\\n  \
             -d '{{\"cmd\":{{\"type\":\"request\",\"wait\":true}}}}'",
            self.base, self.pool
        )
    }

    /// For the console of the server's own pages: the JSON subprotocol with the token in its list.
    fn console(&self) -> String {
        let (email, password, trip) = (Person::Robin.email(), self.password, self.trip);
        format!(
            "\
var room = '{trip}', n = 0, seq = 0, who = {{}};
var login = await (await fetch('/api/v1/auth/login', {{method: 'POST', headers: {{'content-type': 'application/json'}},
  body: JSON.stringify({{email: '{email}', password: '{password}'}})}})).json();
var ws = new WebSocket(location.origin.replace('http', 'ws') + '/api/v1/live', ['tripsync.v1.json', 'token', login.access_token]);
var send = frame => ws.send(JSON.stringify(frame));
var op = cmd => send({{t: 'op', room, n: ++n, base: seq, cmd}});
var say = body => op({{type: 'send_message', body}});
ws.onopen = () => send({{t: 'join', room}});
ws.onmessage = message => {{
  const frame = JSON.parse(message.data);
  if (frame.t === 'joined') for (const id in frame.state?.members) who[id] = frame.state.members[id].name;
  if (frame.t === 'joined') seq = frame.seq;
  if (frame.t === 'events') for (const e of frame.events) {{ seq = e.seq; console.log(e.seq, who[e.by], e.ev.type, e.ev); }}
  else console.log(frame.t, frame);
}};
ws.onclose = close => console.log('closed', close.code, close.reason);"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guide() -> Guide<'static> {
        Guide {
            base: "http://127.0.0.1:1".into(),
            password: "secret",
            trip: Uuid::from_u128(7),
            pool: Uuid::from_u128(8),
            folder: Path::new("data/demo"),
        }
    }

    #[test]
    fn it_names_everything_that_is_needed() {
        let text = guide().text();
        for part in ["http://127.0.0.1:1/docs/", "robin@demo.example", "secret", "00000000-0000-0000-0000-000000000007", "new WebSocket("] {
            assert!(text.contains(part), "{part} is missing");
        }
    }

    #[test]
    fn the_shell_can_read_the_environment() {
        for line in guide().environment().lines() {
            let (name, value) = line.split_once('=').unwrap();
            assert!(name.chars().all(|c| c.is_ascii_uppercase()));
            assert!(value.starts_with('\'') && value.ends_with('\'') && value.matches('\'').count() == 2);
        }
    }
}
