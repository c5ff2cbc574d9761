//! What a node's traffic to Postgres or Redis runs through, so that it can be cut: bytes are passed on, or stay where they are.
//!
//! A cut cable is a network that swallows everything: connections stay open and nothing comes through, in one direction or both.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Which way nothing comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    None,
    /// What the node says is not heard.
    Out,
    /// The node hears nothing.
    In,
    Both,
}

impl Cut {
    /// Whether nothing comes through this way.
    pub(super) fn stops(self, way: Self) -> bool {
        self == way || self == Self::Both
    }
}

/// See the module's text. Gone on drop, with its connections.
pub(super) struct Cable {
    pub(super) address: SocketAddr,
    cut: Arc<watch::Sender<Cut>>,
    _running: AbortOnDropHandle<()>,
}

impl Cable {
    /// From an address of this machine to a server at `to`.
    pub(super) async fn lay(from: IpAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind((from, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(watch::Sender::new(Cut::None));
        let running = tokio::spawn(run(listener, to, Arc::clone(&cut)));
        Self { address, cut, _running: AbortOnDropHandle::new(running) }
    }

    pub(super) fn set(&self, cut: Cut) {
        self.cut.send_replace(cut);
    }
}

async fn run(listener: TcpListener, to: SocketAddr, cut: Arc<watch::Sender<Cut>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let cut = cut.subscribe();
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
