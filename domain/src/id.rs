//! Identities: one newtype per thing, all UUIDs.
//!
//! In JSON an id is the hyphenated string; in MessagePack it is a `bin` of 16 bytes (a string is accepted too, because
//! JavaScript clients often hold ids as strings). By convention every 16-byte `bin` on the wire is a UUID, which is what
//! lets MessagePack be turned into JSON without knowing types (see [`crate::protocol::to_json`]).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use uuid::Uuid;

/// Declares a UUID newtype with the wire form described in the module documentation.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id as its 16 bytes, big-endian (RFC 9562).
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_uuid(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize_uuid(deserializer).map(Self)
            }
        }
    };
}

id!(
    /// A room: a trip or a pool.
    RoomId
);
id!(
    /// A user account.
    UserId
);
id!(
    /// One installation of a client program, chosen by the client and kept by it; half of a command's identity `(client, n)`.
    ClientId
);
id!(
    /// One socket.
    SessionId
);
id!(
    /// One server process.
    NodeId
);
id!(
    /// An item inside a room: an activity, a place, a message.
    ItemId
);

impl UserId {
    /// The author of what a room does by itself: the nil UUID, which no account has.
    pub const ROOM: Self = Self(Uuid::nil());
}

fn serialize_uuid<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() { serializer.collect_str(&id.hyphenated()) } else { serializer.serialize_bytes(id.as_bytes()) }
}

fn deserialize_uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    struct Visitor;

    impl de::Visitor<'_> for Visitor {
        type Value = Uuid;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a UUID as a string or as 16 bytes")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
            Uuid::parse_str(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Uuid, E> {
            Uuid::from_slice(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))
        }
    }

    if deserializer.is_human_readable() { deserializer.deserialize_str(Visitor) } else { deserializer.deserialize_bytes(Visitor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wire_forms_come_back() {
        let id = UserId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_00ff));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"01920000-0000-7000-8000-0000000000ff\"");
        assert_eq!(serde_json::from_str::<UserId>(&json).unwrap(), id);

        let packed = rmp_serde::to_vec_named(&id).unwrap();
        assert_eq!(packed[..2], [0xc4, 16]);
        assert_eq!(rmp_serde::from_slice::<UserId>(&packed).unwrap(), id);

        let text = rmp_serde::to_vec_named(&id.to_string()).unwrap();
        assert_eq!(rmp_serde::from_slice::<UserId>(&text).unwrap(), id);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(serde_json::from_str::<RoomId>("\"no\"").is_err());
        assert!(rmp_serde::from_slice::<RoomId>(&[0xc4, 2, 1, 2]).is_err());
    }
}
