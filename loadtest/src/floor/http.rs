//! The reading half: HTTP until the upgrade, then WebSocket messages.

use super::frame::{self, Said};
use super::peer::Peer;
use super::room::{Hall, Room, now};
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use uuid::Uuid;

/// The largest message, or head of a request, that is taken; the real server's default.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the buffer at the beginning; of an idle socket, that is most of what it costs.
const BUFFER_BYTES: usize = 4 * 1024;

/// Serves one connection until it ends.
pub(super) async fn serve(mut stream: TcpStream, hall: &Hall) -> Result<()> {
    let mut buffer = Buffer::default();
    loop {
        let head = loop {
            if let Some(end) = buffer.held().windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8_lossy(buffer.take(end + 4)).into_owned();
            }
            buffer.room_for(buffer.held().len() + BUFFER_BYTES / 4)?;
            let read = stream.read(buffer.free()).await?;
            buffer.filled(read)?;
        };
        let Some(key) = field(&head, "sec-websocket-key") else {
            let length = field(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            buffer.room_for(length)?;
            while buffer.held().len() < length {
                let read = stream.read(buffer.free()).await?;
                buffer.filled(read)?;
            }
            buffer.take(length);
            stream.write_all(answer().as_bytes()).await?;
            continue;
        };
        let protocol = field(&head, "sec-websocket-protocol").filter(|list| list.contains("tripsync.v1.msgpack"));
        if protocol.is_none() && field(&head, "sec-websocket-protocol").is_some() {
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
        let echo = protocol.map_or("", |_| "Sec-WebSocket-Protocol: tripsync.v1.msgpack\r\n");
        let accept = derive_accept_key(key.as_bytes());
        let upgraded = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n{echo}\r\n"
        );
        let named = head.split_once("client=").and_then(|(_, rest)| Uuid::try_parse(rest.get(..36)?).ok());
        let client = named.unwrap_or_else(Uuid::new_v4);
        let (half, writing) = stream.into_split();
        let peer = Arc::new(Peer::new(client, writing));
        peer.send(&[upgraded.into(), frame::welcome(client, &now())]);
        let mut rooms = Vec::new();
        let ended = listen(half, buffer, hall, &peer, &mut rooms).await;
        for room in &rooms {
            room.leave(&peer);
        }
        peer.close();
        return ended;
    }
}

/// The value of a header; `name` in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    head.lines().find_map(value)
}

/// What every REST request gets: enough of an account, a session, a room and an empty list.
fn answer() -> String {
    let id = Uuid::new_v4();
    let body = format!(r#"{{"id":"{id}","user":{{"id":"{id}"}},"access_token":"floor","refresh_token":"floor","items":[],"next":null}}"#);
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn listen(mut half: OwnedReadHalf, mut buffer: Buffer, hall: &Hall, peer: &Arc<Peer>, rooms: &mut Vec<Arc<Room>>) -> Result<()> {
    loop {
        while let Some((opcode, payload)) = buffer.message()? {
            match opcode {
                2 => heard(payload, hall, peer, rooms),
                8 => {
                    peer.send(&[frame::control(8, payload.get(..2).unwrap_or_default())]);
                    return Ok(());
                }
                9 => peer.send(&[frame::control(10, payload)]),
                _ => {}
            }
        }
        let read = half.read(buffer.free()).await?;
        buffer.filled(read)?;
    }
}

fn heard(payload: &[u8], hall: &Hall, peer: &Arc<Peer>, rooms: &mut Vec<Arc<Room>>) {
    let Ok(said) = rmp_serde::from_slice::<Said<'_>>(payload) else { return };
    let position = said.room.and_then(|id| rooms.iter().position(|room| room.id == id.0));
    match (said.t, said.room, position) {
        ("op", _, Some(position)) => {
            if let (Some(n), Some(command)) = (said.n, &said.cmd) {
                rooms[position].say(peer, n, command);
            }
        }
        ("join", Some(id), position) => {
            let room = hall.join(id.0, peer);
            if position.is_none() {
                rooms.push(room);
            }
        }
        ("leave", _, Some(position)) => rooms.swap_remove(position).leave(peer),
        ("ping", ..) => peer.send(&[frame::pong(said.n.unwrap_or_default(), &now())]),
        _ => {}
    }
}

/// Bytes that were read, the first `start` of which are done with.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES], start: 0, end: 0 }
    }
}

impl Buffer {
    fn held(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where to read to; never empty after [`Buffer::room_for`] more than is held.
    fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    fn filled(&mut self, read: usize) -> Result<()> {
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(())
    }

    fn take(&mut self, length: usize) -> &mut [u8] {
        let start = self.start;
        self.start += length;
        &mut self.bytes[start..start + length]
    }

    /// Makes it hold up to `length` bytes.
    fn room_for(&mut self, length: usize) -> Result<()> {
        if length > MESSAGE_BYTES_MAX + 14 {
            return Err(Error::new(ErrorKind::InvalidData, "too large"));
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        Ok(())
    }

    /// The next whole message, unmasked; `None` when more must be read first.
    fn message(&mut self) -> Result<Option<(u8, &[u8])>> {
        let held = self.held();
        let (Some(&first), Some(&second)) = (held.first(), held.get(1)) else {
            self.room_for(BUFFER_BYTES)?;
            return Ok(None);
        };
        // Clients mask (RFC 6455, 5.1), and the generator sends no fragments.
        if second & 0x80 == 0 || first & 0x80 == 0 {
            return Err(Error::new(ErrorKind::InvalidData, "not a whole masked frame"));
        }
        let (head, length) = match (second & 0x7f, held.get(2..4), held.get(2..10)) {
            (126, Some(length), _) => (4, usize::from(u16::from_be_bytes([length[0], length[1]]))),
            (127, _, Some(_)) => return Err(Error::new(ErrorKind::InvalidData, "too large")),
            (126 | 127, ..) => (10, 0),
            (length, ..) => (2, usize::from(length)),
        };
        let whole = head + 4 + length;
        if held.len() < whole {
            self.room_for(whole.max(BUFFER_BYTES))?;
            return Ok(None);
        }
        let frame = self.take(whole);
        let (head, payload) = frame.split_at_mut(head + 4);
        let mask = [head[head.len() - 4], head[head.len() - 3], head[head.len() - 2], head[head.len() - 1]];
        for chunk in payload.chunks_mut(4) {
            for (byte, mask) in chunk.iter_mut().zip(mask) {
                *byte ^= mask;
            }
        }
        Ok(Some((first & 0x0f, payload)))
    }
}
