//! What happens in Redis in one step each.
//!
//! `{prefix}nodes` is a sorted set of the living: node id → end of its lease, in milliseconds of Redis' own clock, so that nodes' clocks do
//! not matter. `{prefix}room:{id}` holds a node id. An entry counts only while the node in it is among the living. Everything that a script
//! touches is named in KEYS.

use redis::Script;

/// KEYS[1] the living. `now`, and whether a node is one of them.
macro_rules! script {
    ($text:literal) => {
        concat!(
            "local time = redis.call('TIME')\n",
            "local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)\n",
            "local function lives(node)\n",
            "  local ends = redis.call('ZSCORE', KEYS[1], node)\n",
            "  return ends and tonumber(ends) > now\n",
            "end\n",
            $text
        )
    };
}

/// KEYS[2…] entries to keep; ARGV node, its ttl, the entries' ttl. Gives whether it lived, and which of the entries (from 1) name another
/// node or none.
const RENEW: &str = script!(
    "local lived = lives(ARGV[1])
     redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])
     redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
     redis.call('PEXPIRE', KEYS[1], ARGV[3])
     local lost = {}
     for i = 2, #KEYS do
       if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('PEXPIRE', KEYS[i], ARGV[3])
       else lost[#lost + 1] = i - 1 end
     end
     return {lived and 1 or 0, lost}"
);

/// KEYS[2] the entry; ARGV node, the entry's ttl. Gives the owner.
const CLAIM: &str = script!(
    "if not lives(ARGV[1]) then return false end
     local owner = redis.call('GET', KEYS[2])
     if owner and owner ~= ARGV[1] and lives(owner) then return owner end
     redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
     return ARGV[1]"
);

/// KEYS[2] the entry. Gives the owner.
const OWNER: &str = script!(
    "local owner = redis.call('GET', KEYS[2])
     if owner and lives(owner) then return owner end
     return false"
);

/// KEYS[1] the entry; ARGV node.
const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// KEYS[2] the entry; ARGV from, to, the entry's ttl. Gives whether it was passed on.
const PASS: &str = script!(
    "if redis.call('GET', KEYS[2]) ~= ARGV[1] or not lives(ARGV[2]) then return 0 end
     redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
     return 1"
);

/// Gives the living.
const NODES: &str = script!("return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')");

/// All of them; each is sent by its hash and loaded where Redis does not have it.
pub(super) struct Scripts {
    pub(super) renew: Script,
    pub(super) claim: Script,
    pub(super) owner: Script,
    pub(super) release: Script,
    pub(super) pass: Script,
    pub(super) nodes: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            renew: Script::new(RENEW),
            claim: Script::new(CLAIM),
            owner: Script::new(OWNER),
            release: Script::new(RELEASE),
            pass: Script::new(PASS),
            nodes: Script::new(NODES),
        }
    }
}
