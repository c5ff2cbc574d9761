//! What a started server allows each client: everything, so that what is measured is the engine and not a setting.

/// As high as the server's own checks let a limit be.
const MANY: &str = "1000000";

/// Settings of every server that the tool starts, as its environment wants them. What must stay is named in the test below.
pub(super) const LIFTED: [(&str, &str); 9] = [
    ("TRIPSYNC__HTTP__CONNECTIONS_MAX", "30000"),
    ("TRIPSYNC__LIVE__COMMANDS_PER_S", MANY),
    ("TRIPSYNC__LIVE__COMMANDS_BURST", MANY),
    ("TRIPSYNC__LIVE__COMMANDS_IN_FLIGHT_MAX", MANY),
    ("TRIPSYNC__LIVE__PRESENCE_PER_S", MANY),
    ("TRIPSYNC__LIVE__MESSAGES_PER_S", MANY),
    ("TRIPSYNC__LIVE__ROOMS_PER_SOCKET_MAX", MANY),
    ("TRIPSYNC__LIVE__SOCKETS_PER_USER_MAX", MANY),
    ("TRIPSYNC__AUTH__ACCESS_TOKEN_TTL", "24h"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Keys beside these limits that are left as they are, and why.
    const LEFT: &[(&str, &str)] = &[
        ("http.listen", "no limit"),
        ("http.public_url", "no limit"),
        ("http.cors_origins", "no limit"),
        ("http.trusted_hosts", "no limit"),
        ("http.drain_delay", "no limit"),
        ("http.drain_timeout", "no limit"),
        ("http.header_timeout", "the tool's requests are whole"),
        ("http.request_timeout", "a request that takes so long is a finding"),
        ("http.body_bytes_max", "no request of the tool comes near it"),
        ("live.idle_after", "no limit: an hour, so that rooms stay unless a scenario says otherwise"),
        ("live.snapshot_every", "no limit"),
        ("live.presence_grace", "no limit"),
        ("live.joins_at_once", "of the whole server: it protects those who are in, and storms are measured with it"),
        ("live.frame_bytes_max", "no frame of the tool comes near it"),
        ("live.outbound_bytes_max", "bounds the memory that a slow reader costs, which is measured"),
        ("live.heartbeat", "the tool answers pings as any client does"),
        ("live.heartbeat_timeout", "the same"),
        ("live.slow_timeout", "ends the sockets that never read, which is measured"),
        ("live.errors_per_min", "nothing that the tool sends is nonsense"),
        ("auth.signing_key", "no limit"),
        ("auth.previous_signing_key", "no limit"),
        ("auth.issuer", "no limit"),
        ("auth.audience", "no limit"),
        ("auth.session_ttl", "longer than any run"),
        ("auth.refresh_grace", "nothing is refreshed"),
        ("auth.ticket_ttl", "clients come with tokens"),
        ("auth.password_threads", "accounts are made before anything is measured"),
        ("auth.password_queue_max", "the same"),
        ("auth.registration", "no limit: it is open"),
    ];

    /// A limit that comes to be later is in one of the lists before this passes.
    #[test]
    fn every_limit_per_client_is_lifted_or_left_for_a_reason() {
        let defaults: toml::Table = include_str!("../../../config.default.toml").parse().unwrap();
        let keys: BTreeSet<String> = ["http", "live", "auth"]
            .into_iter()
            .flat_map(|section| defaults[section].as_table().unwrap().keys().map(move |key| format!("{section}.{key}")))
            .collect();
        let key = |variable: &str| variable.trim_start_matches("TRIPSYNC__").replace("__", ".").to_lowercase();
        let named: Vec<String> =
            LIFTED.iter().map(|(variable, _)| key(variable)).chain(LEFT.iter().map(|(key, _)| (*key).into())).collect();
        assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), keys);
        assert_eq!(named.len(), keys.len(), "a key is in one list only");
    }
}
