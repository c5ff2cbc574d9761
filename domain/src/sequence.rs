//! Numbers that order things.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// As both databases store it (`BIGINT`); values beyond `i64::MAX` cannot arise by counting and saturate.
            #[must_use]
            pub fn to_db(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }

            /// From the database; a negative value, which nothing writes, reads as zero.
            #[must_use]
            pub fn from_db(value: i64) -> Self {
                Self(u64::try_from(value).unwrap_or(0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The position of an event in its room: 1, 2, 3, … without gaps. 0 is "before the first event".
    Seq
);
number!(
    /// Rises with each owner that a room gets: the fence. A stale owner's appends are refused by it.
    Epoch
);
number!(
    /// A client's own number for a command; rises per client. With user and client id it names the command for ever.
    CommandNumber
);

/// The largest command number that is accepted: 2^53 − 1, the largest integer that JavaScript holds exactly.
pub const COMMAND_NUMBER_MAX: u64 = (1 << 53) - 1;
