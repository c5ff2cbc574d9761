//! When a server is ready: it says so in a file, and over HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// What the server writes into its `--ready-file`: `{"http":"127.0.0.1:1234","metrics":"127.0.0.1:1235","pid":7}`, and `"node"` when it is one of several
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) http: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
    /// Of one of several nodes.
    pub(super) node: Option<uuid::Uuid>,
}

/// Waits for the ready file of this very process, then for `/readyz` to answer 200; `Err` says what is missing.
pub(super) async fn wait(child: &mut Child, file: &Path, client: &reqwest::Client, limit: Duration) -> Result<Addresses, String> {
    let mut missing = "the server has not written its ready file".to_owned();
    let asking = async {
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Err(format!("the server ended ({status}) before it was ready"));
            }
            if let Some((addresses, pid)) = std::fs::read_to_string(file).ok().and_then(|text| parse(&text)) {
                if pid != child.id() {
                    return Err(format!("the ready file names process {pid}, but the server is {}", child.id()));
                }
                match client.get(format!("http://{}/readyz", addresses.http)).send().await {
                    Ok(answer) if answer.status() == 200 => return Ok(addresses),
                    Ok(answer) => missing = format!("/readyz answers {}", answer.status()),
                    Err(error) => missing = format!("/readyz does not answer: {error:#}"),
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(limit, asking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("not ready after {limit:?}: {missing}")),
    }
}

/// `None` also for a file that is not written to its end.
fn parse(text: &str) -> Option<(Addresses, u32)> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let address = |key: &str| value.get(key)?.as_str()?.parse().ok();
    let pid = value.get("pid")?.as_u64()?.try_into().ok()?;
    let node = value.get("node").and_then(|node| node.as_str()?.parse().ok());
    Some((Addresses { http: address("http")?, metrics: address("metrics"), node }, pid))
}
