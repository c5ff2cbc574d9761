//! `tripsync healthcheck`: for containers, which often hold no other HTTP client.

use super::{CliError, Options};
use clap::Args;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// Where the server listens [default: http.listen of the configuration].
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: Option<SocketAddr>,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u64,
}

#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn run(options: &Options, args: &HealthcheckArgs) -> Result<(), CliError> {
    let address = match args.address {
        Some(address) => address,
        None => {
            let config = options.load()?.config;
            // Checked when the configuration was loaded.
            let listen = config.http.listen.parse().map_err(|error| CliError::Other(format!("http.listen: {error}")))?;
            reachable(listen)
        }
    };
    let limit = Duration::from_secs(args.timeout.max(1));
    let status = ask(address, limit).map_err(|error| CliError::Other(format!("{address} does not answer: {error}")))?;
    if status.contains(" 200 ") {
        println!("ready");
        Ok(())
    } else {
        Err(CliError::Other(format!("{address} is not ready: {status}")))
    }
}

/// "Every address" is no address to connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The status line.
fn ask(address: SocketAddr, limit: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address.ip()).as_bytes())?;
    let mut head = Vec::new();
    stream.take(1024).read_to_end(&mut head)?;
    let text = String::from_utf8_lossy(&head);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
