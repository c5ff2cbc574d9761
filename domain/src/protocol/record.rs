//! Event records: the bytes of one event, the same in the journal, in memory and on the wire.

use crate::{ClientId, CommandNumber, Conflict, Epoch, RoomId, Seq, Timestamp, UserId};
use rmp::encode::{ByteBuf, write_array_len, write_bin, write_map_len, write_str, write_uint};
use serde::{Deserialize, Serialize};
use std::cell::Cell;

/// One event with its place, as stored and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord<E> {
    /// Its position in the room.
    pub seq: Seq,
    /// When the room judged the command.
    pub at: Timestamp,
    /// Whose command it was.
    pub by: UserId,
    /// The client that sent the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The client's number of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<CommandNumber>,
    /// What happened.
    pub ev: E,
    /// Values that the command overwrote without its author having seen them; on the command's last event.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
}

impl<E: Serialize> EventRecord<E> {
    /// The record's bytes (MessagePack, a map with named fields).
    ///
    /// # Errors
    /// Never for the types of this crate; a room kind whose event cannot be serialised gets the encoder's error.
    pub fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        packed(self)
    }
}

impl<E: for<'de> Deserialize<'de>> EventRecord<E> {
    /// Reads a stored record.
    ///
    /// # Errors
    /// When the bytes are not a record of this kind of event.
    pub fn decode(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

/// Bytes that a thread keeps for the next value; what needed more gives it back.
const SCRATCH_BYTES_MAX: usize = 16 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A value in MessagePack with named fields, in exactly the memory that it needs: written where the one before was written, which
/// grows only once, and copied.
pub(super) fn packed<T: Serialize>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    // Taken, so that a value which encodes another one within itself finds an empty one.
    let mut scratch = SCRATCH.take();
    scratch.clear();
    let written = rmp_serde::encode::write_named(&mut scratch, value);
    let bytes = written.map(|()| scratch.as_slice().to_vec());
    if scratch.capacity() <= SCRATCH_BYTES_MAX {
        SCRATCH.set(scratch);
    }
    bytes
}

/// What somebody outside an event's audience gets in its place: `{seq}`, so that the order stays gapless.
#[must_use]
pub fn encode_bare(seq: Seq) -> Vec<u8> {
    let mut out = Out::with_capacity(16);
    out.map(1);
    out.key("seq").uint(seq.0);
    out.into_vec()
}

/// The frame `events {room, epoch, from, events}` around records that are encoded already.
///
/// `from` is the seq of the first record; the records must follow each other without gaps.
#[must_use]
pub fn encode_events<'a>(room: RoomId, epoch: Epoch, from: Seq, records: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let bytes: usize = records.clone().map(<[u8]>::len).sum();
    let mut out = Out::with_capacity(bytes + 80);
    out.map(5);
    out.key("t").str("events");
    out.key("room").id(room.as_bytes());
    out.key("epoch").uint(epoch.0);
    out.key("from").uint(from.0);
    out.key("events").array(records.len());
    for record in records {
        out.raw(record);
    }
    out.into_vec()
}

/// Writes MessagePack into memory, which cannot fail; so the results of `rmp`'s writers need no handling at every call.
pub(super) struct Out(ByteBuf);

impl Out {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(ByteBuf::with_capacity(bytes))
    }

    pub(super) fn map(&mut self, len: u32) -> &mut Self {
        let Ok(_) = write_map_len(&mut self.0, len);
        self
    }

    pub(super) fn array(&mut self, len: usize) -> &mut Self {
        let Ok(_) = write_array_len(&mut self.0, u32::try_from(len).unwrap_or(u32::MAX));
        self
    }

    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.str(key)
    }

    pub(super) fn str(&mut self, text: &str) -> &mut Self {
        let Ok(()) = write_str(&mut self.0, text);
        self
    }

    pub(super) fn uint(&mut self, value: u64) -> &mut Self {
        let Ok(_) = write_uint(&mut self.0, value);
        self
    }

    pub(super) fn id(&mut self, id: &[u8; 16]) -> &mut Self {
        let Ok(()) = write_bin(&mut self.0, id);
        self
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.as_mut_vec().extend_from_slice(bytes);
        self
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}
