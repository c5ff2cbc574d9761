//! How a node reaches Postgres and Redis, and how that is cut.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::block_in_place;

use crate::harness::{Cable, Cut, Launch, Namespace, Silence};

/// The lines of a node's namespace.
const TO_POSTGRES: u32 = 0;
const TO_REDIS: u32 = 1;
const FROM_CLIENTS: u32 = 2;

/// How nodes reach Postgres and Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wiring {
    /// As anybody does.
    Direct,
    /// Through proxies, which can stop to forward.
    Cables,
    /// From a network of each node's own, in which packets can vanish.
    Namespaces,
}

/// Those of one node. Gone on drop.
pub(super) struct Wires {
    /// In a namespace they only lead to servers that listen on the loopback device outside, and are never cut.
    postgres: Cable,
    redis: Cable,
    namespace: Option<Arc<Namespace>>,
}

impl Wiring {
    /// Namespaces where they can be made, which is found out by making one, else cables.
    pub(super) fn to_be_cut() -> Self {
        match block_in_place(Namespace::make) {
            Ok(_) => Self::Namespaces,
            Err(reason) => {
                eprintln!("nodes are cut off by proxies; no network namespaces here: {reason}");
                Self::Cables
            }
        }
    }
}

impl Wires {
    /// To a Postgres and a Redis; none where nothing can be cut.
    ///
    /// # Panics
    /// A namespace cannot be made.
    pub(super) async fn lay(wiring: Wiring, postgres: SocketAddr, redis: SocketAddr) -> Option<Self> {
        let namespace = match wiring {
            Wiring::Direct => return None,
            Wiring::Cables => None,
            Wiring::Namespaces => Some(Arc::new(block_in_place(Namespace::make).unwrap())),
        };
        let from = |line| namespace.as_ref().map_or(IpAddr::from(Ipv4Addr::LOCALHOST), |namespace| namespace.outside(line));
        let (postgres, redis) = (Cable::lay(from(TO_POSTGRES), postgres).await, Cable::lay(from(TO_REDIS), redis).await);
        Some(Self { postgres, redis, namespace })
    }

    /// The server to be started is at the other end.
    pub(super) fn lead_to(&self, launch: Launch) -> Launch {
        match &self.namespace {
            Some(namespace) => launch.within(Arc::clone(namespace), FROM_CLIENTS),
            None => launch,
        }
    }

    /// Where the node finds Postgres.
    pub(super) fn postgres(&self) -> SocketAddr {
        self.postgres.address
    }

    /// Where the node finds Redis.
    pub(super) fn redis(&self) -> SocketAddr {
        self.redis.address
    }

    /// Cuts, or heals.
    pub(super) fn cut(&self, postgres: Cut, redis: Cut) {
        let Some(namespace) = &self.namespace else {
            self.postgres.set(postgres);
            self.redis.set(redis);
            return;
        };
        let silence = |line, cut: Cut| Silence { line, outwards: cut.stops(Cut::Out), inwards: cut.stops(Cut::In) };
        block_in_place(|| namespace.silence(&[silence(TO_POSTGRES, postgres), silence(TO_REDIS, redis)])).unwrap();
    }
}

mod tests {
    use std::path::Path;
    use std::process::Stdio;
    use std::time::Duration;

    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::process::{Child, Command};
    use tokio::time::timeout;

    use super::*;

    /// Longer than a packet that was not acknowledged waits to be sent again.
    const SILENT_FOR: Duration = Duration::from_millis(500);
    /// Far more than a healed network takes.
    const LIMIT: Duration = Duration::from_secs(30);

    type Near = (Box<dyn AsyncWrite + Unpin>, Box<dyn AsyncRead + Unpin>);

    /// What a node has to one of its servers, both ends in our hands.
    struct Connection {
        near: Near,
        far: TcpStream,
        /// In the namespace, when there is one.
        _node: Option<Child>,
    }

    impl Connection {
        /// From where a node would be, to a listener.
        async fn open(wires: &Wires, to: SocketAddr, listener: &TcpListener) -> Self {
            let (near, node): (Near, _) = match &wires.namespace {
                None => {
                    let (read, write) = TcpStream::connect(to).await.unwrap().into_split();
                    ((Box::new(write), Box::new(read)), None)
                }
                Some(namespace) => {
                    let mut command = namespace.command(Path::new("bash"));
                    let pass = format!("exec 3<>/dev/tcp/{}/{}; cat <&3 & exec cat >&3", to.ip(), to.port());
                    command.arg("-c").arg(pass).stdin(Stdio::piped()).stdout(Stdio::piped());
                    let mut node = Command::from(command).kill_on_drop(true).spawn().unwrap();
                    ((Box::new(node.stdin.take().unwrap()), Box::new(node.stdout.take().unwrap())), Some(node))
                }
            };
            let (far, _) = timeout(LIMIT, listener.accept()).await.expect("a connection comes").unwrap();
            Self { near, far, _node: node }
        }

        /// One byte in each direction: which of them came, from the node and to it.
        async fn tried(&mut self) -> (bool, bool) {
            self.near.0.write_all(b"o").await.unwrap();
            self.near.0.flush().await.unwrap();
            self.far.write_all(b"i").await.unwrap();
            self.come((false, false), SILENT_FOR).await
        }

        /// Which of these bytes come, those included that `came` before.
        async fn come(&mut self, came: (bool, bool), limit: Duration) -> (bool, bool) {
            let Self { near, far, .. } = self;
            let (mut out, mut into) = ([0], [0]);
            let out = async { came.0 || timeout(limit, far.read_exact(&mut out)).await.is_ok_and(|read| read.is_ok()) };
            let into = async { came.1 || timeout(limit, near.1.read_exact(&mut into)).await.is_ok_and(|read| read.is_ok()) };
            tokio::join!(out, into)
        }
    }

    async fn cuts_what_it_is_told_to(wiring: Wiring) {
        let (postgres, redis) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let wires = Wires::lay(wiring, postgres.local_addr().unwrap(), redis.local_addr().unwrap()).await.unwrap();
        let mut to_postgres = Connection::open(&wires, wires.postgres(), &postgres).await;
        let mut to_redis = Connection::open(&wires, wires.redis(), &redis).await;
        let both = (true, true);
        for cut in [Cut::Out, Cut::In, Cut::Both] {
            let (out, into) = (!cut.stops(Cut::Out), !cut.stops(Cut::In));
            wires.cut(Cut::None, cut);
            let came = tokio::join!(to_postgres.tried(), to_redis.tried());
            assert_eq!(came, (both, (out, into)), "Redis cut {cut:?}");
            wires.cut(cut, Cut::None);
            // What did not come is not lost: the connection is still open.
            assert_eq!(to_redis.come(came.1, LIMIT).await, both, "Redis healed of {cut:?}");
            let came = tokio::join!(to_postgres.tried(), to_redis.tried());
            assert_eq!(came, ((out, into), both), "Postgres cut {cut:?}");
            wires.cut(Cut::None, Cut::None);
            assert_eq!(to_postgres.come(came.0, LIMIT).await, both, "Postgres healed of {cut:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn cables_cut_what_they_are_told_to() {
        cuts_what_it_is_told_to(Wiring::Cables).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn namespaces_cut_what_they_are_told_to() {
        // Where there are none the proxies are what counts, and that was said.
        if Wiring::to_be_cut() == Wiring::Namespaces {
            cuts_what_it_is_told_to(Wiring::Namespaces).await;
        }
    }
}
