use super::*;
use crate::ports::{Detached, Sent};
use tripsync_domain::RoomId;

#[derive(Default)]
struct Counts(Mutex<usize>);

impl SessionSink for Counts {
    fn send(&self, frames: &[Frame]) -> Sent {
        self.send_always(frames);
        Sent::Taken
    }
    fn send_always(&self, frames: &[Frame]) {
        *self.0.lock() += frames.len();
    }
    fn detached(&self, _: RoomId, _: Detached) {}
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn code(registration: &Registration) -> Option<ErrorCode> {
    registration.control().ending().map(|ending| ending.code)
}

#[test]
fn a_user_has_so_many_sockets_and_no_more() {
    let hub = Hub::new(2);
    let first = hub.register(user(1), Uuid::nil()).unwrap();
    let _second = hub.register(user(1), Uuid::nil()).unwrap();
    let _other = hub.register(user(2), Uuid::nil()).unwrap();
    assert_eq!(hub.register(user(1), Uuid::nil()).err().unwrap().code, ErrorCode::TooManySockets);
    assert_eq!((hub.sockets(), hub.sockets_of(user(1))), (3, 2));
    drop(first);
    let _again = hub.register(user(1), Uuid::nil()).unwrap();
}

#[test]
fn a_logout_ends_one_login_also_before_its_socket_is_open() {
    let hub = Hub::new(20);
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let (first, second) = (hub.register(user(1), one).unwrap(), hub.register(user(1), two).unwrap());
    hub.close_login(user(1), one, &Ending::new(ErrorCode::SessionRevoked, "logged out"));
    assert_eq!((code(&first), code(&second)), (Some(ErrorCode::SessionRevoked), None));
    hub.close_user(user(1), &Ending::new(ErrorCode::AccountDisabled, "disabled"));
    assert_eq!((code(&first), code(&second)), (Some(ErrorCode::SessionRevoked), Some(ErrorCode::AccountDisabled)), "the first stands");
}

#[test]
fn notices_reach_open_sockets_of_the_user() {
    let hub = Hub::new(20);
    let (open, closed, other) = (
        hub.register(user(1), Uuid::nil()).unwrap(),
        hub.register(user(1), Uuid::nil()).unwrap(),
        hub.register(user(2), Uuid::nil()).unwrap(),
    );
    let (mine, theirs) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    open.open(Arc::clone(&mine) as _);
    other.open(Arc::clone(&theirs) as _);
    hub.notice(user(1), &Frame::new([0x80]));
    assert_eq!((*mine.0.lock(), *theirs.0.lock()), (1, 0));
    drop(closed);
}

#[test]
fn a_drain_spreads_the_return_and_refuses_new_sockets() {
    let hub = Hub::new(5_000);
    let all: Vec<_> = (0..4_000).map(|_| hub.register(user(1), Uuid::nil()).unwrap()).collect();
    hub.drain(Duration::from_millis(500));
    let mut hints: Vec<_> = all.iter().map(|one| one.control().ending().unwrap().retry_after_ms.unwrap()).collect();
    hints.sort_unstable();
    assert_eq!((hints[0], hints[3_999]), (500, 4_499));
    assert_eq!(hub.register(user(2), Uuid::nil()).err().unwrap().code, ErrorCode::Restarting);
    drop(all);
    assert_eq!(hub.sockets(), 0);
}

fn node(n: u128) -> NodeId {
    NodeId(Uuid::from_u128(n))
}

#[tokio::test(start_paused = true)]
async fn sockets_at_other_nodes_count_while_these_are_heard_of() {
    let hub = Hub::new(4);
    let refused = || hub.register(user(1), Uuid::nil()).err().map(|refused| (refused.code, refused.retry_after_ms));
    hub.sockets_elsewhere(node(1), &[(user(1), 2), (user(2), 4)]);
    hub.sockets_elsewhere(node(2), &[(user(1), 3)]);
    assert_eq!(refused(), Some((ErrorCode::TooManySockets, Some(1_000))));
    // What a node says replaces what it said.
    hub.sockets_elsewhere(node(2), &[(user(1), 1)]);
    let _first = hub.register(user(1), Uuid::nil()).unwrap();
    assert!(refused().is_some());
    hub.sockets_elsewhere(node(2), &[(user(1), 0)]);
    let _second = hub.register(user(1), Uuid::nil()).unwrap();
    assert!(refused().is_some());
    hub.node_gone(node(1));
    let _third = hub.register(user(1), Uuid::nil()).unwrap();
    // One that says nothing more of it, because its word was lost, is not believed for ever.
    hub.sockets_elsewhere(node(1), &[(user(1), 1)]);
    assert!(refused().is_some());
    tokio::time::advance(COUNTS_FOR).await;
    assert_eq!(refused(), None);
}

#[test]
fn many_sockets_are_told_once_and_again_when_all_is_asked_for() {
    let hub = Hub::new(40);
    let told = |all| hub.socket_counts(all);
    let mut all: Vec<_> = (0..6).map(|_| hub.register(user(1), Uuid::nil()).unwrap()).collect();
    all.truncate(4);
    assert_eq!(hub.users.lock().counts.noted(), 0, "a node that is alone notes nothing");
    assert_eq!(told(true), [], "few are not worth a word");
    all.push(hub.register(user(1), Uuid::nil()).unwrap());
    assert_eq!(told(false), [(user(1), 5)]);
    assert_eq!((told(false), told(true)), (vec![], vec![(user(1), 5)]));
    all.extend([hub.register(user(1), Uuid::nil()).unwrap(), hub.register(user(2), Uuid::nil()).unwrap()]);
    assert_eq!(told(false), [(user(1), 6)]);
    all.truncate(3);
    assert_eq!((told(false), told(true)), (vec![(user(1), 0)], vec![]));
    all.extend((0..5).map(|_| hub.register(user(1), Uuid::nil()).unwrap()));
    assert_eq!(told(false), [(user(1), 8)]);
    // Of one that goes away nothing counts any more, though it takes a while until its sockets are closed.
    hub.drain(Duration::from_millis(500));
    assert_eq!((told(false), told(true)), (vec![(user(1), 0)], vec![]));
}
