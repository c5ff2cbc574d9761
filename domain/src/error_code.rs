//! Every error that a client can meet, by one stable code for all surfaces.
//!
//! The exhaustive matches below give the HTTP status, the WebSocket close code, the advice and the log level, so that REST and
//! sockets cannot disagree. `docs/ERRORS.md` has a section per code, checked by a test.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $tag:literal, $status:literal, $title:literal;)*) => {
        /// A stable error code; its snake_case tag is what travels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $tag)] $name,)*
        }

        impl ErrorCode {
            /// All codes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The tag that travels.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $tag),* }
            }

            /// The HTTP status that REST answers with.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// A short title, the same for every occurrence (RFC 9457).
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    // Requests that could not be understood.
    /// The bytes are not JSON or MessagePack, or not in the documented shape.
    Malformed = "malformed", 400, "The request could not be understood";
    /// A value is outside its documented bounds.
    Invalid = "invalid", 422, "A value is not allowed";
    /// A field that does not exist was sent.
    UnknownField = "unknown_field", 422, "There is no such field";
    /// A command type that does not exist was sent.
    UnknownCommand = "unknown_command", 422, "There is no such command";
    /// A frame or body is larger than the limit.
    TooLarge = "too_large", 413, "The request is too large";
    /// The content type is not supported.
    UnsupportedMediaType = "unsupported_media_type", 415, "The media type is not supported";
    /// The method is not allowed on this resource.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// Only WebSockets are served here.
    UpgradeRequired = "upgrade_required", 426, "A WebSocket upgrade is required";
    /// The request took too long to arrive or to answer.
    Timeout = "timeout", 408, "The request took too long";
    // Who is asking.
    /// No credentials, or credentials that do not hold.
    Unauthorized = "unauthorized", 401, "Authentication is required";
    /// User name or password is wrong.
    BadCredentials = "bad_credentials", 401, "The credentials are wrong";
    /// The token has expired; a fresh one helps.
    TokenExpired = "token_expired", 401, "The token has expired";
    /// A refresh token was used twice; its whole family is revoked.
    TokenReused = "token_reused", 401, "The refresh token was used before";
    /// The account is switched off.
    AccountDisabled = "account_disabled", 403, "The account is disabled";
    /// The role does not allow this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// The page's origin is not allowed to open sockets.
    OriginRefused = "origin_refused", 403, "The origin is not allowed";
    /// The host name is not one that this server answers to.
    HostRefused = "host_refused", 400, "The host is not served here";
    // What is asked for.
    /// No such thing, or none that the caller may know of.
    NotFound = "not_found", 404, "Not found";
    /// The e-mail or user name is taken.
    AlreadyExists = "already_exists", 409, "It exists already";
    /// The room's rules refuse this now.
    Conflict = "conflict", 409, "The present state does not allow it";
    /// So many seats are not free on that part of the way.
    SeatsTaken = "seats_taken", 409, "The seats are taken";
    /// The pool has departed, is over or was cancelled.
    PoolClosed = "pool_closed", 409, "The pool is closed";
    /// The room has moved on since the version that was named.
    Stale = "stale", 412, "The resource has changed";
    /// A bounded collection of the room is full.
    LimitReached = "limit_reached", 409, "A limit of the room is reached";
    // Commands.
    /// The command number was used before with another body.
    CommandIdReused = "command_id_reused", 409, "The command number was used for another command";
    /// The idempotency key was used before with another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The idempotency key was used for another request";
    /// The first request with this idempotency key is still running.
    IdempotencyKeyInUse = "idempotency_key_in_use", 409, "The first request with this key is still running";
    /// The socket has not joined this room.
    NotJoined = "not_joined", 409, "The room is not joined";
    // Load and failure.
    /// The caller exceeds a rate limit.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The server has more to do than it accepts; try again later.
    Overloaded = "overloaded", 503, "The server is busy";
    /// A dependency is away; the outcome is not known or the command was not tried; send it again under the same number.
    Retry = "retry", 503, "Try again";
    /// The room keeps failing and rests for a while.
    RoomUnavailable = "room_unavailable", 503, "The room is not available";
    /// The server is going away.
    Restarting = "restarting", 503, "The server is restarting";
    /// A defect of the server; the log has it under the request id.
    Internal = "internal", 500, "Internal error";
    // Reasons for leaving a room or closing a socket.
    /// The client does not read fast enough.
    Slow = "slow", 503, "The connection is too slow";
    /// The room lives on another node now; join again.
    Moved = "moved", 503, "The room has moved";
    /// The member was removed from the room, or left it.
    Removed = "removed", 403, "Removed from the room";
    /// The room was deleted.
    RoomDeleted = "room_deleted", 410, "The room was deleted";
    /// The login session was ended.
    SessionRevoked = "session_revoked", 401, "The session was ended";
    /// The client broke the protocol too often or too badly.
    ProtocolViolation = "protocol_violation", 400, "The protocol was violated";
    /// No subprotocol in common.
    UnsupportedVersion = "unsupported_version", 400, "The protocol version is not supported";
    /// Nothing was heard from the client for too long.
    HeartbeatMissed = "heartbeat_missed", 408, "The heartbeat was missed";
    /// The user has more sockets open than allowed.
    TooManySockets = "too_many_sockets", 429, "Too many sockets";
    /// The socket has joined more rooms than allowed.
    TooManyRooms = "too_many_rooms", 409, "Too many rooms on this socket";
}

/// What a client should do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The same request may succeed later, unchanged (a command under the same number).
    RetryLater,
    /// Get fresh credentials first.
    Authenticate,
    /// Change the request; sending it again unchanged gives the same answer.
    Change,
}

impl ErrorCode {
    /// The WebSocket close code: 4000 to 4499 "come back", 4500 to 4999 "not until something changes"; 1012 for a restart.
    #[must_use]
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Restarting => 1012,
            Self::TooLarge => 1009,
            Self::Slow => 4001,
            Self::Overloaded | Self::RateLimited | Self::TooManySockets => 4002,
            Self::Moved => 4003,
            Self::Retry | Self::RoomUnavailable | Self::Timeout => 4004,
            Self::HeartbeatMissed => 4005,
            Self::Internal => 4006,
            Self::Unauthorized | Self::BadCredentials | Self::TokenReused => 4501,
            Self::TokenExpired => 4502,
            Self::SessionRevoked | Self::AccountDisabled => 4503,
            Self::Forbidden | Self::OriginRefused | Self::HostRefused => 4504,
            Self::Removed | Self::RoomDeleted | Self::NotFound => 4505,
            Self::UnsupportedVersion | Self::UpgradeRequired | Self::UnsupportedMediaType | Self::MethodNotAllowed => 4506,
            Self::ProtocolViolation
            | Self::Malformed
            | Self::Invalid
            | Self::UnknownField
            | Self::UnknownCommand
            | Self::AlreadyExists
            | Self::Conflict
            | Self::Stale
            | Self::LimitReached
            | Self::CommandIdReused
            | Self::IdempotencyKeyReused
            | Self::IdempotencyKeyInUse
            | Self::NotJoined
            | Self::SeatsTaken
            | Self::PoolClosed
            | Self::TooManyRooms => 4500,
        }
    }

    /// What a client should do.
    #[must_use]
    pub const fn advice(self) -> Advice {
        match self.http_status() {
            401 => Advice::Authenticate,
            408 | 429 | 503 => Advice::RetryLater,
            _ => Advice::Change,
        }
    }

    /// Whether the server's operator should see it in the log as an error.
    #[must_use]
    pub const fn is_server_fault(self) -> bool {
        matches!(self, Self::Internal | Self::RoomUnavailable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tags_are_unique_and_what_serde_writes() {
        let tags: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(tags.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.as_str()));
        }
    }

    #[test]
    fn close_codes_agree_with_the_advice() {
        for code in ErrorCode::ALL {
            let come_back = matches!(code.close_code(), 1012 | 4000..=4499);
            if come_back {
                assert!(code.advice() == Advice::RetryLater || *code == ErrorCode::Internal, "{code:?}");
            } else {
                assert_ne!(code.advice(), Advice::RetryLater, "{code:?}");
            }
        }
    }
}
