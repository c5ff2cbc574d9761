//! The floor: what a bare server costs that only passes frames on, for the real one to be held against.
//!
//! One task per socket reads commands; that task itself writes the ready frame into every member's socket, without waiting, under the room's
//! lock. There are no rules, accounts, rights, journal or presence, and no order beyond that lock; what a socket does not take at once waits
//! within a bound, beyond which the member is dropped. It speaks as much of the live protocol (MessagePack) as the generator needs, and answers
//! every REST request with an id and a token, so that the generator drives it as it drives the real server.
//!
//! It is meant to be as fast as tokio allows: the frame is built once per command, and a delivery is one system call.

mod frame;
mod http;
mod peer;
mod process;
mod room;
#[cfg(test)]
mod tests;

pub use process::Process;

use anyhow::Context;
use room::Hall;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};

/// Sockets that may wait to be accepted: those of a join storm.
const BACKLOG: u32 = 16_384;

/// What the floor is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Bytes of the state that everybody gets who joins.
    #[arg(long, default_value_t = 10_240)]
    pub state_bytes: usize,
    /// Threads that serve sockets; as many as there are processors when not said.
    #[arg(long)]
    pub threads: Option<std::num::NonZeroUsize>,
    /// End when standard input ends, so that it does not outlive who started it.
    #[arg(long, hide = true)]
    pub until_input_ends: bool,
}

/// Runs the floor; its address is the first line of the output.
///
/// # Errors
/// When it cannot listen.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let threads = options.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, std::num::NonZeroUsize::get);
    // One thread needs no scheduler that could move tasks.
    let runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    runtime.block_on(async {
        let listener = listen(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
        writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
        let serving = serve(listener, options.state_bytes);
        if options.until_input_ends {
            tokio::select! {
                () = serving => {}
                () = input_ended() => {}
            }
        } else {
            serving.await;
        }
        anyhow::Ok(())
    })?;
    Ok(())
}

/// Opens a listener for many sockets at once.
///
/// # Errors
/// The system's.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves sockets until it is dropped.
pub async fn serve(listener: TcpListener, state_bytes: usize) {
    let hall = Arc::new(Hall::new(state_bytes));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it only latency suffers.
                let _ = stream.set_nodelay(true);
                let hall = Arc::clone(&hall);
                // A socket that ends, for whatever reason, is over.
                tokio::spawn(async move {
                    let _ = http::serve(stream, &hall).await;
                });
            }
            // Out of descriptors: those that end make room.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

/// A thread of its own waits: there is no file of input that could be polled.
async fn input_ended() {
    let (ended, seen) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whatever ends the input ends the floor.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = seen.await;
}
