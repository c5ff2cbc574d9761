//! Several nodes on this machine, for whoever wants to see them at work: a throwaway Postgres and Redis, and nodes on free ports.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::guardian::Guardian;
use crate::ports::{free_port, random_u64};
use crate::process::{Signal, has_ended, poll};
use crate::{chaos, postgres, redis};

/// Far more than a start takes.
const START_LIMIT: Duration = Duration::from_secs(60);
const EMAIL: &str = "ana@example.org";

/// The server to start.
#[derive(Clone, Debug)]
pub enum Build {
    /// Built first.
    Fresh {
        /// Optimised.
        release: bool,
    },
    /// One that was built before.
    Program(PathBuf),
}

/// Starts everything, says what to try, and waits; Ctrl-C ends this process, and guardians everything else.
///
/// # Errors
/// Something cannot be built or started; the text says what.
pub fn run(nodes: usize, server: &Build, settings: &[String]) -> anyhow::Result<bool> {
    ensure!((1..=9).contains(&nodes), "--nodes: 1 to 9");
    let program = match server {
        Build::Fresh { release } => build(*release)?,
        // Nodes run in folders of their own.
        Build::Program(program) => std::path::absolute(program).context("cannot tell where --program is")?,
    };
    say(&format!("starting Postgres, Redis and {nodes} nodes"))?;
    let mut cluster = Cluster::start(nodes, &program, settings)?;
    let password = random_secret();
    register(&cluster.nodes[0].address, &password)?;
    std::io::stdout().write_all(guide(&cluster.nodes, &password).as_bytes())?;
    // Until Ctrl-C, or the end of all nodes.
    let mut ended = vec![false; nodes];
    while ended.contains(&false) {
        std::thread::sleep(Duration::from_millis(500));
        for (number, (node, ended)) in (1..).zip(cluster.nodes.iter_mut().zip(&mut ended)) {
            if !*ended && let Some(status) = node.child.try_wait().context("cannot look after a node")? {
                *ended = true;
                say(&format!("node {number} (pid {}) has ended: {status}", node.child.id()))?;
            }
        }
    }
    Ok(true)
}

/// Nodes with a Postgres and a Redis of their own; all end when it is dropped.
pub(crate) struct Cluster {
    nodes: Vec<Node>,
    _postgres: postgres::Instance,
    _redis: redis::Instance,
}

impl Cluster {
    pub(crate) fn start(nodes: usize, program: &Path, settings: &[String]) -> anyhow::Result<Self> {
        let (postgres, redis) = (postgres::start()?, redis::start()?);
        let secrets = Secrets { signing: random_secret(), cluster: random_secret() };
        let start = |number| Node::start(program, number, &postgres.url("postgres"), &redis.url(), &secrets, settings);
        // One after the other: the first makes the tables.
        let nodes = (1..=nodes).map(start).collect::<Result<_, _>>()?;
        Ok(Self { nodes, _postgres: postgres, _redis: redis })
    }

    /// `host:port` of each node.
    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.address.as_str()).collect()
    }

    /// What all nodes have used of the processor so far, in seconds (`utime` and `stime` of proc_pid_stat(5), in hundredths).
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut ticks = 0.0;
        for node in &self.nodes {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.child.id())).context("cannot see what a node uses")?;
            // Behind the name, which may have anything in it.
            let (_, fields) = stat.rsplit_once(") ").context("/proc has another format than expected")?;
            ticks += fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(ticks / 100.0)
    }

    /// The sum of a counter over all nodes and labels.
    pub(crate) fn counted(&self, counter: &str) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for node in &self.nodes {
            let text = http(&node.metrics, &format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", node.metrics))?;
            let of_it = text.lines().filter(|line| line.strip_prefix(counter).is_some_and(|rest| rest.starts_with(['{', ' '])));
            sum += of_it.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>();
        }
        Ok(sum)
    }
}

fn say(what: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{what}").context("cannot write to the terminal")
}

fn build(release: bool) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // As `cargo run` builds it, so that nothing is built twice.
    command.args(["build", "--package", "tripsync", "--bin", "tripsync"]);
    if release {
        command.arg("--release");
    }
    ensure!(command.status().context("cannot start cargo")?.success(), "the build failed");
    Ok(std::path::absolute(chaos::target().join(if release { "release" } else { "debug" }).join("tripsync"))?)
}

struct Secrets {
    signing: String,
    cluster: String,
}

/// 256 bits in hexadecimal.
fn random_secret() -> String {
    (0..4).map(|_| format!("{:016x}", random_u64())).collect()
}

/// A node; ends when dropped, and by its guardian when this process is killed.
struct Node {
    address: String,
    metrics: String,
    child: Child,
    _guardian: Guardian,
    dir: TempDir,
}

impl Node {
    fn start(program: &Path, number: usize, postgres: &str, redis: &str, secrets: &Secrets, settings: &[String]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("tripsync-node-").tempdir().context("cannot make a temporary directory")?;
        let mut guardian = Guardian::start(Signal::Term, Some(dir.path()))?;
        let (ready, log) = (dir.path().join("ready.json"), dir.path().join("node.log"));
        let output = File::create(&log)?;
        let (address, metrics) = (format!("127.0.0.1:{}", free_port()?), format!("127.0.0.1:{}", free_port()?));
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIPSYNC")) {
            command.env_remove(name);
        }
        let child = command
            .args(["serve", "--ready-file"])
            .arg(&ready)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .env("TRIPSYNC__HTTP__LISTEN", &address)
            .env("TRIPSYNC__METRICS__LISTEN", &metrics)
            .env("TRIPSYNC__DATA_DIR", dir.path().join("data"))
            .env("TRIPSYNC__DATABASE__URL", postgres)
            .env("TRIPSYNC__AUTH__SIGNING_KEY", &secrets.signing)
            .env("TRIPSYNC__CLUSTER__REDIS_URL", redis)
            .env("TRIPSYNC__CLUSTER__SECRET", &secrets.cluster)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        guardian.watch(child.id())?;
        let node = Self { address, metrics, child, _guardian: guardian, dir };
        let started = poll(START_LIMIT, || (ready.exists() || has_ended(node.child.id())).then(|| ready.exists()));
        ensure!(
            started == Some(true),
            "node {number} ({}) did not get ready; its log:\n{}",
            program.display(),
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It is on throwaway data; nothing is owed to it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to a request after which the connection is closed.
fn http(address: &str, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(START_LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Makes an account, with as much HTTP as that needs.
fn register(address: &str, password: &str) -> anyhow::Result<()> {
    let body = format!(r#"{{"email":"{EMAIL}","password":"{password}","display_name":"Ana"}}"#);
    let answer = http(
        address,
        &format!(
            "POST /api/v1/auth/register HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )?;
    ensure!(answer.starts_with("HTTP/1.1 201"), "the account was not made: {}", answer.lines().next().unwrap_or_default());
    Ok(())
}

/// What to do with it.
fn guide(nodes: &[Node], password: &str) -> String {
    let mut text = String::from("\nNodes (any of them will do for any request; clients may know all):\n");
    for node in nodes {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  http://{}  pid {:<8} log {}", node.address, node.child.id(), node.dir.path().join("node.log").display());
    }
    let at = |index: usize| format!("http://{}/api/v1", nodes[index % nodes.len()].address);
    let (one, two, three) = (at(0), at(1), at(2));
    let owner = nodes[1 % nodes.len()].child.id();
    let _ = write!(
        text,
        r#"
Account: {EMAIL}, password {password}

Try this: log in at one node, make a trip at the second, which owns it from then on, write and read at the third.

  TOKEN=$(curl -fsS {one}/auth/login -H 'content-type: application/json' \
    -d '{{"email":"{EMAIL}","password":"{password}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  TRIP=$(curl -fsS {two}/trips -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \
    -d '{{"title":"Lisbon"}}' | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -fsS {three}/trips/$TRIP/messages -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -d '{{"body":"Hello"}}'
  curl -fsS "{three}/trips/$TRIP/messages?limit=5" -H "authorization: Bearer $TOKEN"

Then kill the second node (`kill -9 {owner}`), and write and read at the third again: nothing is lost. For about a second it answers 503, try again
(curl's --retry 3 does); after that the trip is another node's. A node that is gone stays gone here. Ctrl-C ends all of it.
"#
    );
    text
}
