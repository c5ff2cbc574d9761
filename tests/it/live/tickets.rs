//! Tickets end to end: whichever node makes one, any node takes it, and only one of them.

use std::net::SocketAddr;

use jiff::Timestamp;
use reqwest::Method;

use super::people::User;
use super::socket::{LIMIT, Socket};
use crate::harness::{Server, TestDatabase, eventually, for_each_backend};

/// Tickets that two nodes try to take at the same moment.
const RACES: usize = 60;

for_each_backend!(a_ticket_opens_one_socket_on_any_node, a_ticket_ends_with_its_time_and_its_login);

async fn a_ticket_opens_one_socket_on_any_node(database: TestDatabase) {
    let servers = super::logins::nodes(&database, &[]).await;
    let (here, there) = (&servers[0], servers.last().unwrap());
    let ana = User::register(here, "Ana").await;
    let (ticket, _) = ticket(&ana, here).await;
    let mut socket = Socket::open_with_ticket(there.address(), &ticket).await.unwrap();
    assert_eq!(socket.expect("welcome").await["user"], ana.id.to_string());
    for server in [here, there] {
        assert_eq!(refusal(server.address(), &ticket).await, "401");
    }

    for race in 0..RACES {
        let (ticket, _) = self::ticket(&ana, if race % 2 == 0 { here } else { there }).await;
        let (one, other) =
            tokio::join!(Socket::open_with_ticket(here.address(), &ticket), Socket::open_with_ticket(there.address(), &ticket));
        let refused: Vec<_> = [one, other].into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, ["401"], "in race {race}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the server's time is the real one")]
async fn a_ticket_ends_with_its_time_and_its_login(database: TestDatabase) {
    let servers = super::logins::nodes(&database, &[("auth.ticket_ttl", "2s")]).await;
    let (here, there) = (&servers[0], servers.last().unwrap());
    let ana = User::register(here, "Ana").await;
    let (old, until) = ticket(&ana, here).await;
    eventually("the ticket's end", LIMIT, || async { Timestamp::now() > until }).await;
    assert_eq!(refusal(there.address(), &old).await, "401");

    // At once, whether or not the other node has heard of the logout.
    let laptop = ana.login(here).await;
    let (ended, _) = ticket(&laptop, here).await;
    assert_eq!(laptop.call(here, Method::POST, "/api/v1/auth/logout", None).await.0, 204);
    assert_eq!(refusal(there.address(), &ended).await, "401");
    let (good, _) = ticket(&ana, here).await;
    Socket::open_with_ticket(there.address(), &good).await.unwrap();
}

/// A new ticket, and when it ends.
async fn ticket(user: &User, server: &Server) -> (String, Timestamp) {
    let (status, body) = user.call(server, Method::POST, "/api/v1/live/tickets", None).await;
    assert_eq!(status, 201, "{body}");
    let until = body["expires_at"].as_str().unwrap().parse().unwrap();
    (body["ticket"].as_str().unwrap().to_owned(), until)
}

async fn refusal(address: SocketAddr, ticket: &str) -> String {
    Socket::open_with_ticket(address, ticket).await.expect_err("it was refused")
}
