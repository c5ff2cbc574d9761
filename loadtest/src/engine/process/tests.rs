use super::*;
use crate::engine::Client;
use crate::engine::pacer::What;

/// Two clients of each persona.
fn job(scenario: &str) -> Job {
    let scenario = crate::scenario::Scenario::parse(scenario).unwrap();
    let client = |index: u32| Client {
        index,
        persona: u16::try_from(index / 2).unwrap(),
        room: 0,
        account: 0,
        place: index % 2,
        of: 2,
        replica: false,
        doomed: false,
        stays: false,
    };
    let clients = (0..).take(scenario.personas.len() * 2).map(client).collect();
    let (addresses, sources, rooms, accounts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Job { run: 7, addresses, sources, threads: 1, scenario, rooms, accounts, clients }
}

fn dropped(job: &Job) -> Vec<u32> {
    let sources = sources(job, &[(0..4).collect()], 1_000);
    sources.iter().filter(|source| matches!(source.what, What::Storm { .. })).map(|source| source.slot).collect()
}

#[test]
fn a_storm_of_one_persona_leaves_the_others_alone() {
    let text = include_str!("../../../scenarios/reconnect-storm.toml");
    assert_eq!(dropped(&job(text)), [2, 3]);
    assert_eq!(dropped(&job(&text.replace("persona = \"traveller\", ", ""))), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_thread_that_panics_is_noticed_at_once() {
    let (said, mut heard) = mpsc::channel(1);
    // Somebody else keeps the channel open.
    let _other = said.clone();
    let ended = Ended(said);
    let thread = std::thread::spawn(move || {
        let _ended = ended;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { panic!("on purpose") });
    });
    assert!(matches!(heard.recv().await, Some(Said::Ended)));
    assert!(thread.join().is_err());
}

fn common(settled: u64) -> Common {
    Common { tops: Vec::new(), settled: AtomicU64::new(settled) }
}

#[tokio::test]
async fn clients_that_do_not_come_in_end_the_wait() {
    let (reports, mut reported) = mpsc::channel(64);
    let waited = tokio::spawn(async move {
        // One that does not is a finding; when none does there is nothing to measure.
        arriving(&common(2), 3, &reports, Duration::from_millis(50)).await.unwrap();
        arriving(&common(0), 3, &reports, Duration::from_millis(50)).await
    });
    while reported.recv().await.is_some() {}
    let error = waited.await.unwrap().unwrap_err().to_string();
    assert!(error.starts_with("no client came in"), "{error}");
}

#[tokio::test]
async fn clients_that_are_all_in_end_it_well() {
    let (reports, _reported) = mpsc::channel(64);
    arriving(&common(3), 3, &reports, Duration::ZERO).await.unwrap();
}
