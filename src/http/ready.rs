//! Whether new clients should be sent to this node, and why not.
//!
//! Not to one that shuts down, that cannot reach the database (nothing could be read or acknowledged), or that is one of several and cannot
//! show its lease: it can claim no room, so most clients would be told to come back, while another node could serve them. That Redis
//! does not answer is told apart, and by itself is no reason: what follows from it is that the lease ends, within `cluster.lease_ttl`.

use crate::app::AppState;
use crate::store::StoreError;
use http::StatusCode;
use std::fmt::Write as _;
use std::time::Duration;
use tripsync_actors::cluster::{Leases, Standing};

/// How long a check waits for the database, and for Redis.
const LIMIT: Duration = Duration::from_secs(2);

/// What was found.
struct Findings {
    draining: bool,
    /// Which database, and whether it answers.
    database: (String, Result<(), String>),
    /// `None` for a node that is alone.
    cluster: Option<Cluster>,
}

struct Cluster {
    standing: Standing,
    redis: Result<(), String>,
}

/// Looks at everything at once; the status, and the page: one line for each check that failed, or for all.
pub(super) async fn answer(app: &AppState, verbose: bool) -> (StatusCode, String) {
    let redis = async {
        match &app.rooms.leases {
            Some(leases) => reach(&**leases).await,
            None => Ok(()),
        }
    };
    let (database, redis) = tokio::join!(app.db.ping(LIMIT), redis);
    let findings = Findings {
        draining: app.draining.is_cancelled(),
        database: (app.db.kind().to_string(), database.map_err(|error| why(&error))),
        // Asked last: the lease may have ended meanwhile.
        cluster: app.rooms.engine.standing().map(|standing| Cluster { standing, redis }),
    };
    findings.judge(verbose)
}

/// In words for strangers, too: causes stay in the log.
fn why(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { why, .. } => (*why).to_owned(),
        StoreError::Unique { .. } | StoreError::Reference | StoreError::Url(_) | StoreError::Schema(_) | StoreError::Database(_) => {
            tracing::warn!(cause = crate::telemetry::chain(error), "the database refuses even a sign of life");
            "it refuses".to_owned()
        }
    }
}

/// Any question that Redis must answer.
async fn reach(leases: &dyn Leases) -> Result<(), String> {
    match tokio::time::timeout(LIMIT, leases.nodes()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err("cannot be reached".to_owned()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

impl Findings {
    fn judge(&self, verbose: bool) -> (StatusCode, String) {
        let mut page = String::new();
        let mut line = |good: bool, text: String| {
            if verbose || !good {
                // Writing into a String cannot fail.
                let _ = writeln!(page, "[{}] {text}", if good { '+' } else { '-' });
            }
            good
        };
        let reason = |result: &Result<(), String>| result.as_ref().err().map(|why| format!(": {why}")).unwrap_or_default();
        let (kind, database) = &self.database;
        let mut ready = line(!self.draining, "accepting requests".to_owned());
        ready &= line(database.is_ok(), format!("database ({kind}){}", reason(database)));
        if let Some(Cluster { standing, redis }) = &self.cluster {
            line(redis.is_ok(), format!("redis{}", reason(redis)));
            let more =
                if standing.holds_lease { format!(" (living nodes: {})", standing.nodes) } else { ": cannot be shown to hold".to_owned() };
            ready &= line(standing.holds_lease, format!("lease{more}"));
            if database.is_err() && redis.is_err() {
                page.push_str("cut off: neither the database nor redis can be reached\n");
            }
        }
        page.push_str(if ready { "ready\n" } else { "not ready\n" });
        (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(draining: bool, database: bool, cluster: Option<(bool, bool)>, verbose: bool) -> (u16, String) {
        let database = ("postgres".to_owned(), if database { Ok(()) } else { Err("connection failed".to_owned()) });
        let cluster = cluster.map(|(redis, holds_lease)| Cluster {
            standing: Standing { holds_lease, nodes: 3 },
            redis: if redis { Ok(()) } else { Err("cannot be reached".to_owned()) },
        });
        let (status, page) = Findings { draining, database, cluster }.judge(verbose);
        (status.as_u16(), page)
    }

    #[test]
    fn a_node_that_is_alone_needs_its_database() {
        assert_eq!(judged(false, true, None, false), (200, "ready\n".into()));
        assert_eq!(judged(false, true, None, true), (200, "[+] accepting requests\n[+] database (postgres)\nready\n".into()));
        assert_eq!(judged(false, false, None, false), (503, "[-] database (postgres): connection failed\nnot ready\n".into()));
        assert_eq!(judged(true, true, None, false), (503, "[-] accepting requests\nnot ready\n".into()));
    }

    #[test]
    fn one_of_several_needs_its_lease_and_says_what_is_away() {
        let whole = "[+] accepting requests\n[+] database (postgres)\n[+] redis\n[+] lease (living nodes: 3)\nready\n";
        assert_eq!(judged(false, true, Some((true, true)), true), (200, whole.into()));
        let redis = "[-] redis: cannot be reached\n";
        let lease = "[-] lease: cannot be shown to hold\n";
        let database = "[-] database (postgres): connection failed\n";
        assert_eq!(judged(false, true, Some((false, true)), false), (200, format!("{redis}ready\n")));
        assert_eq!(judged(false, true, Some((false, false)), false), (503, format!("{redis}{lease}not ready\n")));
        assert_eq!(judged(false, true, Some((true, false)), false), (503, format!("{lease}not ready\n")));
        assert_eq!(judged(false, false, Some((true, true)), false), (503, format!("{database}not ready\n")));
        let cut_off = "cut off: neither the database nor redis can be reached\n";
        let all = format!("{database}{redis}{lease}{cut_off}not ready\n");
        assert_eq!(judged(false, false, Some((false, false)), false), (503, all));
    }
}
