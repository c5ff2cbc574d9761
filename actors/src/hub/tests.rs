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
