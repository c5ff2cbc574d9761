//! The command line.

use crate::run::{Options, Watch};
use crate::scenario::{BUILTIN, Changes, Scenario, builtin};
use crate::server::Database;
use crate::target::Wanted;
use crate::{bench, encode, many, search, server};
use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tripsync_loadtest::results::{RunResult, Second, Verdict};
use tripsync_loadtest::view::View;

/// Load on a real server, over real sockets, with a verdict.
///
/// Exit codes: 0 correct and within every threshold, 1 a threshold was missed, 2 it could not be run as asked, 3 the server broke a promise,
/// 4 the generator could not keep its schedule, so that the figures say nothing.
#[derive(Parser)]
#[command(name = "tripsync-load", version)]
struct Arguments {
    /// `sqlite`, or `postgres` with the maintenance database's URL in TRIPSYNC_TEST_POSTGRES_URL (`cargo xtask postgres -- …` sets it).
    #[arg(long, default_value = "sqlite", global = true)]
    database: Database,
    /// The program to start; built when absent.
    #[arg(long, global = true)]
    program: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Load(Builtin),
    /// A scenario from a file.
    Run {
        /// The TOML file (docs/LOADTEST.md).
        file: PathBuf,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Prints the scenarios that come with the tool.
    List,
    /// Prints a scenario as TOML, to begin an own one with.
    Show {
        /// Its name.
        name: String,
    },
    #[command(flatten)]
    Measure(Measure),
    #[command(flatten)]
    Tool(tripsync_loadtest::Tool),
    /// Time to encode, decode and turn into JSON one event; no server.
    Encode,
    /// A process of a run with several.
    #[command(hide = true)]
    Worker,
}

/// The scenarios that come with the tool.
#[derive(Subcommand)]
enum Builtin {
    /// A little of everything in ten seconds.
    Smoke(RunArgs),
    /// Many small rooms, mixed edits and presence.
    TripEvening(RunArgs),
    /// One room with 500 editors and 2,000 viewers.
    HotRoom(RunArgs),
    /// Rooms whose members all get every command, at a fixed rate.
    FanOut(RunArgs),
    /// Joined sockets that do nothing.
    Idle(RunArgs),
    /// Everybody joins at once.
    JoinStorm(RunArgs),
    /// Four fifths of the sockets drop at once and come back, the others work on.
    ReconnectStorm(RunArgs),
    /// Many people want the last seats.
    SeatRush(RunArgs),
    /// Some members never read.
    SlowReaders(RunArgs),
    /// Acknowledgement latency against the rate of commands.
    Durable(RunArgs),
    /// An hour of ordinary load.
    Soak(RunArgs),
}

/// Measurements that are no scenarios.
#[derive(Subcommand)]
enum Measure {
    /// Acknowledgement latency of one client that waits for each answer, beside one durable append of the same size.
    Ack {
        /// Commands.
        #[arg(long, default_value_t = 2_000)]
        commands: u32,
    },
    /// The most durable commands per second: every client keeps a window of commands unanswered.
    Throughput {
        /// Rooms, each with one client.
        #[arg(long, default_value_t = 64)]
        rooms: u32,
        /// Unanswered commands per client.
        #[arg(long, default_value_t = 64)]
        window: u32,
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Time to restore a trip with a long history.
    Hydrate {
        /// Events of history.
        #[arg(long, default_value_t = 10_000)]
        events: u32,
    },
    /// Searching among many open pools, over REST.
    Search {
        /// Open pools.
        #[arg(long, default_value_t = 100_000)]
        pools: u32,
        /// Searches of each kind.
        #[arg(long, default_value_t = 2_000)]
        searches: u32,
    },
}

impl Builtin {
    fn scenario(self) -> anyhow::Result<(Scenario, RunArgs)> {
        let (name, run) = match self {
            Self::Smoke(run) => ("smoke", run),
            Self::TripEvening(run) => ("trip-evening", run),
            Self::HotRoom(run) => ("hot-room", run),
            Self::FanOut(run) => ("fan-out", run),
            Self::Idle(run) => ("idle", run),
            Self::JoinStorm(run) => ("join-storm", run),
            Self::ReconnectStorm(run) => ("reconnect-storm", run),
            Self::SeatRush(run) => ("seat-rush", run),
            Self::SlowReaders(run) => ("slow-readers", run),
            Self::Durable(run) => ("durable", run),
            Self::Soak(run) => ("soak", run),
        };
        Ok((builtin(name)?, run))
    }
}

/// How a scenario is run.
#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    changes: Changes,
    /// Servers that run already (ws://host:port, http://host:port), repeated or with commas; one is started when absent.
    #[arg(long, value_delimiter = ',')]
    server: Vec<String>,
    /// Where the started server keeps its data: `disk`, or `memory` (/dev/shm), where a durable write costs nothing.
    #[arg(long, default_value = "disk")]
    journal: String,
    /// A setting of the started server (`live.idle_after=5s`); repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Runs, of which the median and the range are told.
    #[arg(long, default_value_t = 1)]
    runs: u32,
    /// Searches the highest rate at which the scenario's thresholds hold; a rate that fails is tried twice. Also --runs times, and against
    /// the floor.
    #[arg(long)]
    find_limit: bool,
    /// A run (or --runs) at each of several sizes (`rooms=1,10,100`, or members, state-bytes, payload, per-second).
    #[arg(long, value_name = "WHAT=SIZES", conflicts_with_all = ["find_limit", "versus_floor"])]
    grow: Option<many::Grow>,
    /// The same load on the bare server of this tool, in turns with the real one.
    #[arg(long, conflicts_with = "server")]
    versus_floor: bool,
    /// In turns with runs in which those who never read do: what slow readers cost the others.
    #[arg(long, conflicts_with_all = ["find_limit", "grow", "versus_floor", "server"])]
    versus_all_read: bool,
    /// Processes with sockets: one may have as many as the limit of descriptors allows.
    #[arg(long, default_value_t = 1)]
    workers: u32,
    /// Threads with sockets in each process.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Source addresses of sockets (127.0.0.1,127.0.0.2), for more than 28,000 to one server.
    #[arg(long, value_delimiter = ',')]
    sources: Vec<Ipv4Addr>,
    /// Where the result goes, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn main() -> anyhow::Result<ExitCode> {
    // clap ends the process itself, with 2 for what it does not understand.
    let arguments = Arguments::parse();
    if let What::Tool(tool) = &arguments.what {
        return Ok(tool.run());
    }
    if matches!(arguments.what, What::Encode) {
        encode::run();
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let verdict = runtime.block_on(Box::pin(dispatch(arguments)))?;
    Ok(ExitCode::from(u8::from(verdict)))
}

async fn dispatch(Arguments { database, program, what }: Arguments) -> anyhow::Result<Verdict> {
    let (scenario, run) = match what {
        What::Load(builtin) => builtin.scenario()?,
        What::Run { file, run } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            (Scenario::parse(&text).with_context(|| file.display().to_string())?, run)
        }
        What::List => {
            for (name, _) in BUILTIN {
                crate::measure::show(name, builtin(name)?.about);
            }
            return Ok(Verdict::Good);
        }
        What::Show { name } => {
            let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name).with_context(|| format!("there is no scenario `{name}`"))?;
            print(text);
            return Ok(Verdict::Good);
        }
        What::Worker => {
            crate::run::worker().await?;
            return Ok(Verdict::Good);
        }
        What::Measure(what) => {
            measure(database, program, what).await?;
            return Ok(Verdict::Good);
        }
        // Done before there was a runtime.
        What::Tool(_) | What::Encode => return Ok(Verdict::Good),
    };
    load(scenario, run, database, program).await
}

/// Runs a scenario as asked.
async fn load(mut scenario: Scenario, run: RunArgs, database: Database, program: Option<PathBuf>) -> anyhow::Result<Verdict> {
    run.changes.apply(&mut scenario)?;
    let in_memory = match run.journal.as_str() {
        "disk" => false,
        "memory" => true,
        other => bail!("--journal {other}: `disk` or `memory`"),
    };
    ensure!(run.threads > 0 && run.workers > 0 && run.runs > 0, "--threads, --workers and --runs are at least 1");
    ensure!(
        run.server.is_empty() || (program.is_none() && run.settings.is_empty()),
        "--program and --set are for a server that is started"
    );
    for setting in &run.settings {
        let (key, value) = setting.split_once('=').with_context(|| format!("--set {setting}: KEY=VALUE"))?;
        scenario.server.insert(key.to_owned(), toml::Value::String(value.to_owned()));
    }
    let wanted = Wanted { servers: run.server, program, database, in_memory };
    let options = Options { workers: run.workers, threads: run.threads, sources: run.sources, command: std::env::args().collect() };
    let mut watch = Progress::new(&scenario);
    let result = if run.versus_floor || run.versus_all_read {
        let against = if run.versus_floor { many::Against::Floor } else { many::Against::AllRead };
        many::in_turns(against, &scenario, &wanted, &options, (run.runs, run.find_limit), &mut watch).await?
    } else if run.find_limit {
        many::find_limits(&scenario, &wanted, &options, run.runs, &mut watch).await?
    } else if let Some(grow) = &run.grow {
        many::grow(&scenario, &wanted, &options, grow, run.runs, &mut watch).await?
    } else {
        many::repeat(&scenario, &wanted, &options, run.runs, &mut watch).await?
    };
    drop(watch);
    if let Some(path) = &run.json {
        result.write(path)?;
    }
    summary(&result);
    Ok(result.outcome.exit_code)
}

async fn measure(database: Database, program: Option<PathBuf>, what: Measure) -> anyhow::Result<()> {
    let program = server::program(program)?;
    // Rooms that are made and left do not fill the memory.
    let more: &[_] = if matches!(what, Measure::Search { .. }) { &[("TRIPSYNC__LIVE__IDLE_AFTER", "5s")] } else { &[] };
    let mut server = server::Server::start(&program, database, more).await?;
    match what {
        Measure::Ack { commands } => bench::ack(&mut server, commands).await,
        Measure::Throughput { rooms, window, seconds } => bench::throughput(&mut server, rooms, window, Duration::from_secs(seconds)).await,
        Measure::Hydrate { events } => bench::hydrate(&mut server, events).await,
        Measure::Search { pools, searches } => search::run(&mut server, pools, searches).await,
    }
}

/// Progress on the error output.
struct Progress {
    name: String,
    seconds: f64,
    view: Option<View>,
}

impl Progress {
    fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.phases.iter().map(|phase| phase.length.as_secs_f64()).sum();
        Self { name: scenario.name.clone(), seconds, view: None }
    }
}

impl Watch for Progress {
    fn step(&mut self, what: &str) {
        // Ends what is drawn, so that the line stands below it.
        self.view = None;
        note(what);
    }

    fn second(&mut self, second: &Second) {
        let view = self.view.get_or_insert_with(|| View::start(&self.name, self.seconds));
        view.show(second);
    }
}

#[expect(clippy::print_stderr, reason = "progress, apart from the result")]
fn note(what: &str) {
    eprintln!("{what}");
}

#[expect(clippy::print_stdout, reason = "the result of the program")]
fn print(text: &str) {
    println!("{text}");
}

/// What cannot be run, in one line.
#[expect(clippy::print_stderr, reason = "the reason of the exit code")]
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("tripsync-load: {error:#}");
}

/// What the table tells of each of several runs.
const IN_EVERY_RUN: [&str; 4] = ["limit_per_s", "ack_p50_ms", "ack_p99_ms", "delivery_p99_ms"];

/// The result in a table.
fn summary(result: &RunResult) {
    use crate::measure::show;
    let metrics = result.metrics();
    for (n, run) in (1..).zip(&result.runs) {
        let told = |name: &&str| run.metrics.get(*name).map(|figure| format!("  {name} {figure:.2}"));
        let figures: String = IN_EVERY_RUN.iter().filter_map(told).collect();
        show(&format!("run {n}"), format!("{}{figures}", run.outcome.exit_code.title()));
    }
    for (name, figure) in &metrics {
        let range = result
            .spread
            .get(name)
            .map_or_else(String::new, |spread| format!("  (median {:.3}, {:.3} to {:.3})", spread.median, spread.min, spread.max));
        show(name, format!("{figure:.3}{range}"));
    }
    for (versus, (name, ratio)) in result.versus_floor.iter().flat_map(|versus| versus.spread.iter().map(move |ratio| (versus, ratio))) {
        let line = format!("{:.3}  ({:.3} to {:.3})", ratio.median, ratio.min, ratio.max);
        show(&format!("{name} / {}", versus.against), line);
    }
    // A floor that the generator holds up is no measure.
    let busy = |(name, _): &(&String, _)| name.starts_with("generator");
    for (name, spread) in result.versus_floor.iter().flat_map(|versus| &versus.floor.spread).filter(busy) {
        show(&format!("{name} at the floor"), format!("{:.3}  ({:.3} to {:.3})", spread.median, spread.min, spread.max));
    }
    for check in &result.checks {
        match &check.skipped {
            Some(why) => show(&format!("check {}", check.name), format!("skipped: {why}")),
            None => show(&format!("check {}", check.name), format!("{} violations of {}", check.violations, check.checked)),
        }
        if check.skipped.is_none() && !check.left_out.is_empty() {
            print(&format!("    {}", check.left_out));
        }
        for example in &check.examples {
            print(&format!("    {example}"));
        }
    }
    show("verdict", result.outcome.exit_code.title());
    for reason in &result.outcome.reasons {
        print(&format!("    {reason}"));
    }
}
