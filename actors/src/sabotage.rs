//! Ways to break the engine on purpose, so that the checkers can be shown to notice.
//!
//! In a release build every question is answered by a constant "no", and there is no way to ask for anything else. A debug build of the server
//! takes a name from `TRIPSYNC_SABOTAGE`, so that the load test's verdict can be tried.

macro_rules! sabotage {
    ($($(#[$doc:meta])* $name:ident $(, $ask:ident)?;)*) => {
        /// What is broken.
        #[cfg(any(test, feature = "testing", debug_assertions))]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sabotage {
            /// Nothing.
            Nothing,
            $($(#[$doc])* $name,)*
        }

        #[cfg(any(test, feature = "testing", debug_assertions))]
        impl Sabotage {
            /// Every way to break the engine.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// Those that only several nodes show.
            pub const OF_CLUSTERS: &'static [Self] = &[Self::NoFence, Self::EpochFromLease, Self::RelayDropsSilently];
            pub(crate) const NONE: Self = Self::Nothing;

            /// By its name, as in `AckEarly`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|sabotage| format!("{sabotage:?}") == name)
            }

            $($(pub(crate) fn $ask(self) -> bool {
                self == Self::$name
            })?)*
        }

        /// Nothing is ever broken on purpose.
        #[cfg(not(any(test, feature = "testing", debug_assertions)))]
        #[derive(Clone, Copy)]
        pub(crate) struct Sabotage;

        #[cfg(not(any(test, feature = "testing", debug_assertions)))]
        impl Sabotage {
            pub(crate) const NONE: Self = Self;

            $($(pub(crate) const fn $ask(self) -> bool {
                false
            })?)*
        }
    };
}

sabotage! {
    /// Commands are acknowledged when they are decided, not when they are durable.
    AckEarly, acks_early;
    /// A command is judged however often it comes, and the journal is not told its number.
    NoDedupe, forgets_commands;
    /// Events are sent when they are decided, not when they are durable.
    BroadcastEarly, broadcasts_early;
    /// Who resumes misses the first event.
    ResumeSkips, skips_on_resume;
    /// After a failed append everything that waited counts as stored.
    TrustLost, trusts_lost;
    /// Who is removed goes on to get events.
    KeepRemoved, keeps_removed;
    /// What was stored unnoticed is not announced after a reload.
    ForgetMissed, forgets_missed;
    /// A relay loses a message now and then, and does not notice that one is missing.
    RelayDropsSilently, drops_silently;
    /// The journal takes appends of an owner that was overtaken. Done by the journal in memory.
    NoFence;
    /// Epochs are counted in the place of leases, and fall back with it. Done by the journal in memory.
    EpochFromLease;
}
