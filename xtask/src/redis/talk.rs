//! As much of Redis' protocol as starting and emptying an instance needs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

/// Far more than an answer takes.
const LIMIT: Duration = Duration::from_secs(10);

/// Logs in and sends commands without arguments of their own, each of which must be answered by a simple string (`+OK`).
pub(super) fn talk(port: u16, password: &str, commands: &[&str]) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).context("cannot connect to Redis")?;
    stream.set_read_timeout(Some(LIMIT))?;
    let login = format!("AUTH {password}");
    for command in std::iter::once(login.as_str()).chain(commands.iter().copied()) {
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        let answer = line(&mut stream).with_context(|| format!("no answer to {}", command.split(' ').next().unwrap_or_default()))?;
        anyhow::ensure!(answer.starts_with('+'), "Redis answered {answer:?}");
    }
    Ok(())
}

fn line(stream: &mut TcpStream) -> anyhow::Result<String> {
    const LONGEST: usize = 1_024;
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") {
        anyhow::ensure!(line.len() < LONGEST, "an answer without an end");
        stream.read_exact(&mut byte)?;
        line.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}
