use super::*;
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

const BUDGET: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(20);

struct Pair {
    outbox: Arc<Outbox>,
    control: Arc<Control>,
    client: WebSocketStream<TcpStream>,
    /// Keeps the server's reading half open.
    _read: tokio::net::tcp::OwnedReadHalf,
}

/// A connection over loopback whose kernel buffers are small, so that a reader that stops is felt soon.
async fn pair() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    SockRef::from(&listener).set_send_buffer_size(8 * 1024).unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    server.set_nodelay(true).unwrap();
    server.writable().await.unwrap();
    let (read, write) = server.into_split();
    let control = Arc::new(Control::default());
    let outbox = Outbox::new(write, Codec::MessagePack, BUDGET, LIMIT, Arc::clone(&control), Arc::new(Meters::new()));
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    Pair { outbox: Arc::new(outbox), control, client, _read: read }
}

/// A frame that says its number, of a size that differs from its neighbours'.
fn frame(n: u32, size: usize) -> Frame {
    let mut payload = n.to_be_bytes().to_vec();
    payload.resize(4 + size, u8::try_from(n % 251).unwrap());
    Frame::new(payload)
}

fn number(payload: &[u8]) -> u32 {
    let (head, body) = payload.split_at(4);
    let n = u32::from_be_bytes(head.try_into().unwrap());
    assert!(body.iter().all(|byte| u32::from(*byte) == n % 251), "frame {n} is torn");
    n
}

impl Pair {
    async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(LIMIT, self.client.next()).await.expect("something comes")
    }

    async fn next_number(&mut self) -> u32 {
        number(&self.next().await.unwrap().unwrap().into_data())
    }

    /// What the socket's task does, until the queue is empty.
    fn flushing(&self) -> tokio::task::JoinHandle<Flushed> {
        let outbox = Arc::clone(&self.outbox);
        tokio::spawn(async move {
            loop {
                match tokio::time::timeout(LIMIT, outbox.flushed()).await.expect("it is written") {
                    Flushed::Blocked => {}
                    end @ (Flushed::Drained | Flushed::Empty | Flushed::Gone) => return end,
                }
            }
        })
    }

    /// Sends until the socket refuses; how many it took.
    fn fill(&self) -> u32 {
        (0..).find(|n| self.outbox.send(&[frame(*n, 1_000 + usize::try_from(n % 7).unwrap())]) == Sent::Full).unwrap()
    }
}

#[tokio::test]
async fn what_a_fast_reader_gets_is_never_queued() {
    let mut pair = pair().await;
    for n in 0..1_000 {
        assert_eq!(pair.outbox.send(&[frame(n, 100), frame(n, 0)]), Sent::Taken);
        assert!(!pair.outbox.is_waiting());
        assert_eq!((pair.next_number().await, pair.next_number().await), (n, n));
    }
}

#[tokio::test]
async fn a_reader_that_stops_is_refused_at_the_budget_and_loses_nothing_that_was_taken() {
    let mut pair = pair().await;
    let taken = pair.fill();
    let waiting = pair.outbox.queue.lock().bytes;
    assert!(waiting <= BUDGET && waiting > BUDGET - 2_000, "{waiting} bytes wait");
    assert!(pair.outbox.stuck_at().is_some());
    // Answers are still taken.
    pair.outbox.send_always(&[frame(taken, 10)]);
    let flushing = pair.flushing();
    for n in 0..=taken {
        assert_eq!(pair.next_number().await, n);
    }
    assert_eq!(flushing.await.unwrap(), Flushed::Drained);
    assert_eq!((pair.outbox.stuck_at(), pair.outbox.queue.lock().parts.capacity()), (None, 0));
    // It is told once.
    let again = pair.fill();
    let flushing = pair.flushing();
    for n in 0..again {
        assert_eq!(pair.next_number().await, n);
    }
    assert_eq!(flushing.await.unwrap(), Flushed::Drained);
    assert!(pair.control.ending().is_none());
}

#[tokio::test]
async fn answers_beyond_twice_the_budget_end_the_session_as_slow() {
    let mut pair = pair().await;
    let taken = pair.fill();
    let mut more = 0;
    while pair.control.ending().is_none() {
        pair.outbox.send_always(&[frame(taken + more, 1_000)]);
        more += 1;
        assert!(pair.outbox.queue.lock().bytes <= 2 * BUDGET);
    }
    assert_eq!(pair.control.ending().unwrap().code, ErrorCode::Slow);
    // What was begun is finished, the rest is skipped, and the goodbye follows.
    pair.outbox.finish([frame(9_999, 0).wire(Codec::MessagePack).clone()].into_iter(), true);
    pair.outbox.send_always(&[frame(8_888, 0)]);
    let flushing = pair.flushing();
    let mut last = 0;
    for n in 0.. {
        last = pair.next_number().await;
        if last != n {
            break;
        }
    }
    assert_eq!((last, flushing.await.unwrap()), (9_999, Flushed::Empty));
    assert!(!pair.outbox.is_waiting());
}

#[tokio::test]
async fn a_snapshot_larger_than_the_budget_gets_through_and_leaves_room_for_answers() {
    let mut pair = pair().await;
    assert_eq!(pair.outbox.send(&[frame(0, 5 * BUDGET)]), Sent::Taken);
    assert_eq!(pair.outbox.send(&[frame(1, BUDGET / 2)]), Sent::Taken);
    pair.outbox.send_always(&[frame(2, BUDGET)]);
    let flushing = pair.flushing();
    for n in 0..3 {
        assert_eq!(pair.next_number().await, n);
    }
    assert_eq!(flushing.await.unwrap(), Flushed::Empty);
    assert!(pair.control.ending().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_write_at_once_do_not_tear_each_others_frames() {
    let mut pair = pair().await;
    let writers: Vec<_> = (0..4_u32)
        .map(|writer| {
            let outbox = Arc::clone(&pair.outbox);
            tokio::spawn(async move {
                for turn in 0..500_u32 {
                    let frames = [frame(turn * 8 + writer * 2, 3_000), frame(turn * 8 + writer * 2 + 1, 10)];
                    while outbox.send(&frames) == Sent::Full {
                        tokio::task::yield_now().await;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let outbox = Arc::clone(&pair.outbox);
    let flushing = tokio::spawn(async move {
        while outbox.flushed().await != Flushed::Gone {
            tokio::task::yield_now().await;
        }
    });
    let mut next = [0_u32; 4];
    for _ in 0..4 * 500 {
        let first = pair.next_number().await;
        let writer = usize::try_from(first % 8 / 2).unwrap();
        assert_eq!(first / 8, next[writer], "in the writer's order");
        assert_eq!(pair.next_number().await, first + 1, "frames that were sent together stay together");
        next[writer] += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    pair.outbox.shutdown(Shutdown::Both);
    flushing.await.unwrap();
}

#[tokio::test]
async fn a_connection_that_broke_takes_frames_and_forgets_them() {
    let pair = pair().await;
    drop(pair.client);
    let mut n = 0;
    tokio::time::timeout(LIMIT, async {
        while !pair.outbox.is_gone() {
            assert_eq!(pair.outbox.send(&[frame(n, 1_000)]), Sent::Taken);
            n += 1;
            tokio::task::yield_now().await;
            if pair.outbox.is_waiting() {
                pair.outbox.flushed().await;
            }
        }
    })
    .await
    .expect("the break is noticed");
    pair.control.woken().await;
    assert_eq!((pair.outbox.send(&[frame(0, 1)]), pair.outbox.is_waiting()), (Sent::Taken, false));
}
