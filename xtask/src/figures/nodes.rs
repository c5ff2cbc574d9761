//! What a second node costs where one would do: the same load with all members at one node and at both, in turns.

use super::{Figure, note};
use crate::cluster::Cluster;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What one client may do is not what is measured.
const LIFTED: [&str; 4] =
    ["live.sockets_per_user_max=1000000", "live.commands_per_s=1000000", "live.commands_burst=1000000", "live.messages_per_s=1000000"];

/// The shown lines of runs in turns, and whether all could be run.
pub(super) fn measure(figure: &Figure, runs: u32) -> anyhow::Result<(String, bool)> {
    let program = std::path::absolute(Path::new("target/release/tripsync"))?;
    let cluster = Cluster::start(2, &program, &LIFTED.map(str::to_owned))?;
    let addresses = cluster.addresses();
    let mut text = format!("## {}: `{}`\n", figure.name, figure.arguments);
    let mut good = true;
    for run in 1..=runs {
        for (members, server) in [("at one node", addresses[0].to_owned()), ("at both nodes", addresses.join(","))] {
            writeln!(text, "run {run}, members {members}")?;
            let before = cluster.cpu_seconds()?;
            let mut command = Command::new("target/release/tripsync-load");
            command.args(figure.arguments.split(' ')).args(["--server", &server]).stderr(Stdio::inherit());
            good &= note(figure, command, &mut text)?;
            writeln!(text, "nodes_cpu_s {:.1}", cluster.cpu_seconds()? - before)?;
        }
    }
    // A lease that lapses because a node is busy, or a message between nodes that is lost, is a finding.
    for counter in ["tripsync_lease_lapses_total", "tripsync_relays_broken_total"] {
        writeln!(text, "{counter} {}", cluster.counted(counter)?)?;
    }
    Ok((text, good))
}
