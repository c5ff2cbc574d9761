//! `tripsync rebalance`

use super::{CliError, Options, runtime};
use crate::cluster;
use crate::telemetry::chain;
use tripsync_actors::cluster::rebalance_request;
use tripsync_domain::NodeId;
use uuid::Uuid;

/// Asks every node of the configured cluster to pass on what it has beyond its share. They do so on their own; this does not wait.
#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn run(options: &Options) -> Result<(), CliError> {
    let config = options.load_with_logging()?;
    let nodes = runtime()?.block_on(async {
        let node = NodeId(Uuid::now_v7());
        let connected = cluster::connect(&config, node).await.map_err(|fault| CliError::Other(chain(&fault)))?;
        let ports = connected.ok_or_else(|| CliError::Other("there is no cluster: cluster.redis_url is not set".to_owned()))?;
        let nodes = ports.leases.nodes().await.map_err(|error| CliError::Other(chain(&error)))?;
        ports.bus.send_all(rebalance_request(node)).await.map_err(|error| CliError::Other(chain(&error)))?;
        Ok::<_, CliError>(nodes.len())
    })?;
    if nodes == 0 {
        return Err(CliError::Other(
            "no node of this cluster is alive: start one, or set cluster.redis_url and cluster.prefix as on them".to_owned(),
        ));
    }
    println!("asked {nodes} nodes to share their rooms out evenly");
    Ok(())
}
