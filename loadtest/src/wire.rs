//! Frames as the generator reads and writes them.
//!
//! Reading takes from a frame only what judging it needs ([`Frame`]); the events of thousands of deliveries a second are never built. Writing is
//! ordinary serde.

mod scan;
mod write;

pub(crate) use scan::Scan;
pub(crate) use write::{Codec, Out, Since, encode};

use uuid::Uuid;

/// What the generator needs of a frame from the server.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    Joined {
        epoch: u64,
        seq: u64,
        body: Body<'a>,
        presence: &'a [u8],
    },
    Events {
        epoch: u64,
        from: u64,
        events: Records<'a>,
    },
    Ack {
        n: u64,
        seq: u64,
        repeated: bool,
    },
    Rejected {
        n: u64,
        code: &'a str,
        retry_after_ms: Option<u64>,
    },
    Presence(&'a [u8]),
    Left {
        code: &'a str,
    },
    Bye {
        code: &'a str,
        retry_after_ms: Option<u64>,
    },
    Error {
        code: &'a str,
    },
    /// `welcome`, `notice`, `pong` and what a later version adds.
    Other,
}

/// What a `joined` brings.
#[derive(Debug, PartialEq)]
pub(crate) enum Body<'a> {
    State(&'a [u8]),
    Events(Records<'a>),
    None,
}

/// Event records one after the other, still encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Records<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// What judging needs of one event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    pub(crate) client: Option<u128>,
    pub(crate) n: Option<u64>,
    /// Whether it is for this client, or only its number.
    pub(crate) whole: bool,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a MessagePack frame; `None` when it is none.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut scan = Scan::new(bytes);
        let mut tag: &str = "";
        let (mut epoch, mut seq, mut from, mut n) = (0, 0, 0, None);
        let (mut events, mut state, mut presence, mut code) = (None, None, None, "");
        let (mut repeated, mut retry_after_ms) = (false, None);
        for _ in 0..scan.map()? {
            match scan.str()? {
                "t" => tag = scan.str()?,
                "epoch" => epoch = scan.uint()?,
                "seq" => seq = scan.uint()?,
                "from" => from = scan.uint()?,
                "n" => n = Some(scan.uint()?),
                "events" => {
                    let count = scan.array()?;
                    let rest = scan.rest();
                    for _ in 0..count {
                        scan.skip()?;
                    }
                    events = Some(Records { count, bytes: &rest[..rest.len() - scan.rest().len()] });
                }
                "state" => state = Some(scan.value()?),
                "presence" => presence = Some(scan.value()?),
                "code" => code = scan.str()?,
                "repeated" => repeated = scan.bool()?,
                "retry_after_ms" => retry_after_ms = Some(scan.uint()?),
                _ => scan.skip()?,
            }
        }
        Some(match tag {
            "events" => Self::Events { epoch, from, events: events? },
            "ack" => Self::Ack { n: n?, seq, repeated },
            "presence" => Self::Presence(bytes),
            "joined" => {
                let body = state.map(Body::State).or(events.map(Body::Events)).unwrap_or(Body::None);
                Self::Joined { epoch, seq, body, presence: presence.unwrap_or_default() }
            }
            "rejected" => Self::Rejected { n: n?, code, retry_after_ms },
            "left" => Self::Left { code },
            "bye" => Self::Bye { code, retry_after_ms },
            "error" => Self::Error { code },
            _ => Self::Other,
        })
    }
}

impl<'a> Records<'a> {
    /// How many.
    pub(crate) const fn len(&self) -> u64 {
        self.count as u64
    }

    /// Each of them; ends early at bytes that are no record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Record<'a>> {
        let mut scan = Scan::new(self.bytes);
        (0..self.count).map_while(move |_| Record::read(&mut scan))
    }
}

impl<'a> Record<'a> {
    fn read(scan: &mut Scan<'a>) -> Option<Self> {
        let start = scan.rest();
        let mut record = Self { seq: 0, client: None, n: None, whole: false, bytes: &[] };
        for _ in 0..scan.map()? {
            match scan.str()? {
                "seq" => record.seq = scan.uint()?,
                "client" => record.client = scan.id(),
                "n" => record.n = Some(scan.uint()?),
                "ev" => {
                    record.whole = true;
                    scan.skip()?;
                }
                _ => scan.skip()?,
            }
        }
        record.bytes = &start[..start.len() - scan.rest().len()];
        Some(record)
    }

    pub(crate) fn hash(&self) -> u64 {
        hash(self.bytes)
    }
}

/// A number that differs when the bytes do, for comparing what two clients got. Not for secrets.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = (bytes.len() as u64).wrapping_mul(MIX);
    let mut take = |word: u64| hash = (hash.rotate_left(23) ^ word).wrapping_mul(MIX);
    for chunk in &mut chunks {
        take(u64::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7]]));
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    take(u64::from_le_bytes(last));
    hash ^ (hash >> 29)
}

/// The id of the `index`-th client of the run that began at `run`: receivers in every process can tell whose command an event is.
pub(crate) fn client_id(run: u64, index: u32) -> Uuid {
    // Version 7 and the variant of RFC 9562, so that it is a UUID like any other.
    Uuid::from_u64_pair((run & !0xf000) | 0x7000, 0x8000_0000_0000_0000 | u64::from(index))
}

/// The index that [`client_id`] put in.
pub(crate) fn client_index(id: u128) -> u32 {
    u32::try_from(id & 0xffff_ffff).unwrap_or_default()
}

/// Whether [`client_id`] made it for this run.
pub(crate) fn is_of_run(id: u128, run: u64) -> bool {
    id >> 32 == client_id(run, 0).as_u128() >> 32
}

#[cfg(test)]
mod tests;
