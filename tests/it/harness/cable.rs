//! What traffic to Postgres or Redis can run through, so that it can be cut: bytes are passed on, or stay where they are.
//!
//! A cut cable is a network that swallows everything: connections stay open and nothing comes through, in one direction or both.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Which way nothing comes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cut {
    #[default]
    None,
    /// What the node says is not heard.
    Out,
    /// The node hears nothing.
    In,
    Both,
}

impl Cut {
    /// Whether nothing comes through this way.
    pub(crate) fn stops(self, way: Self) -> bool {
        self == way || self == Self::Both
    }
}

/// See the module's text. Gone on drop, with its connections.
pub(crate) struct Cable {
    pub(crate) address: SocketAddr,
    switches: Arc<Mutex<Switches>>,
    _running: AbortOnDropHandle<()>,
}

/// How connections are told.
#[derive(Default)]
struct Switches {
    /// Those from now on, and all that were not forsaken.
    current: watch::Sender<Cut>,
    /// Of those that were: without its switch a connection would end.
    forsaken: Vec<watch::Sender<Cut>>,
}

impl Cable {
    /// From an address of this machine to a server at `to`.
    pub(crate) async fn lay(from: IpAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((from, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let switches = Arc::<Mutex<Switches>>::default();
        let running = tokio::spawn(run(listener, to, Arc::clone(&switches)));
        Self { address, switches, _running: AbortOnDropHandle::new(running) }
    }

    pub(crate) fn set(&self, cut: Cut) {
        self.switches.lock().unwrap().current.send_replace(cut);
    }

    /// The connections that there are stay as they are for ever, in silence or not; new ones are passed on. As when the other end's machine is
    /// gone and another has its address.
    pub(crate) fn forsake(&self) {
        let mut switches = self.switches.lock().unwrap();
        let old = std::mem::take(&mut switches.current);
        switches.forsaken.push(old);
    }
}

async fn run(listener: TcpListener, to: SocketAddr, switches: Arc<Mutex<Switches>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let cut = switches.lock().unwrap().current.subscribe();
        connections.spawn(connection(near, to, cut));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(near: TcpStream, to: SocketAddr, mut cut: watch::Receiver<Cut>) {
    // A handshake does not get through either.
    if cut.wait_for(|cut| *cut == Cut::None).await.is_err() {
        return;
    }
    let Ok(far) = TcpStream::connect(to).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_read, far_write, cut.clone(), Cut::Out) => {}
        () = pass(far_read, near_write, cut, Cut::In) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<Cut>, way: Cut) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if cut.wait_for(|cut| !cut.stops(way)).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// `host:port` of a URL with user and password.
pub(crate) fn address(url: &str) -> SocketAddr {
    let (_, rest) = url.rsplit_once('@').expect("a URL with a password");
    let address = rest.split('/').next().unwrap();
    address.parse().unwrap_or_else(|_| panic!("no address in {address}"))
}

/// The same URL with another `host:port`.
pub(crate) fn through(url: &str, by: SocketAddr) -> String {
    url.replace(&format!("@{}/", address(url)), &format!("@{by}/"))
}
