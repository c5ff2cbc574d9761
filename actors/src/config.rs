//! The engine's bounds and times.

use std::time::Duration;

/// The engine's bounds and times; `Default` is what the documentation promises.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Events that a room keeps in memory for resuming sessions (default 1,000; one that was just restored has the last 256); whoever is further
    /// behind gets a snapshot.
    pub ring_events_max: usize,
    /// Bytes of such events (default 256 KiB).
    pub ring_bytes_max: usize,
    /// Events between two snapshots (default 500): bounds how much a restart replays.
    pub snapshot_every: u64,
    /// Events that the last snapshot of a room may lack that is handed over to another node (default 256): so many are read by whoever opens a room
    /// in any case. One that lacks more keeps a snapshot while it still works.
    pub hand_over_tail_max: u64,
    /// Rooms that a node passes on at once (default 8). Each waits for Redis, the next owner and the database, which few keep busy.
    pub hand_over_at_once: usize,
    /// How long a room without sessions stays in memory (default 60 s).
    pub idle_after: Duration,
    /// How often rooms with a deadline are looked for that are not in memory (default 1 s). Such a room is woken before its deadline; a jump
    /// of the clock is noticed this late at most.
    pub lookout_every: Duration,
    /// Changes of presence are collected for this long and sent in one frame (default 50 ms); for up to five times as long while sockets
    /// do nothing but come and drop.
    pub presence_tick: Duration,
    /// How long a user whose socket dropped stays present (default 5 s), so that nobody flickers on a short drop.
    pub presence_grace: Duration,
    /// Commands and reads that may wait for one room, over all its sessions (default 4,096); beyond it they are refused as
    /// `overloaded`.
    pub room_commands_max: usize,
    /// Sessions that may be on their way into a room at once, over all rooms of the node (default 64); more wait, in the order in which they
    /// came, so that a storm of joins does not starve who is in already.
    pub joins_at_once: usize,
    /// Clients per room whose last commands are held in memory (default 1,024); others are looked up in the journal.
    pub clients_max: usize,
    /// Journal lanes (default 1; Postgres takes more, SQLite has one writer anyway).
    pub lanes: usize,
    /// Appends that may wait in one lane (default 4,096 rooms).
    pub lane_queue_max: usize,
    /// Rooms that one commit takes at most (default 512).
    pub batch_rooms_max: usize,
    /// When batches follow each other without pause, commits start at least this far apart (default 1 ms): fewer, larger commits.
    pub commit_spacing: Duration,
    /// Failures of one room within [`Self::failure_window`] before it rests (default 3).
    pub failures_max: usize,
    /// See [`Self::failures_max`] (default 60 s).
    pub failure_window: Duration,
    /// How long a failing room rests at first (default 5 s); doubles with each further rest, up to 5 min.
    pub quarantine: Duration,
    /// How long a caller without a session waits for its command to become durable (default 35 s) before it is told to retry.
    pub call_timeout: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            ring_events_max: 1_000,
            ring_bytes_max: 256 * 1024,
            snapshot_every: 500,
            hand_over_tail_max: 256,
            hand_over_at_once: 8,
            idle_after: Duration::from_secs(60),
            lookout_every: Duration::from_secs(1),
            presence_tick: Duration::from_millis(50),
            presence_grace: Duration::from_secs(5),
            room_commands_max: 4_096,
            joins_at_once: 64,
            clients_max: 1_024,
            lanes: 1,
            lane_queue_max: 4_096,
            batch_rooms_max: 512,
            commit_spacing: Duration::from_millis(1),
            failures_max: 3,
            failure_window: Duration::from_secs(60),
            quarantine: Duration::from_secs(5),
            call_timeout: Duration::from_secs(35),
        }
    }
}
