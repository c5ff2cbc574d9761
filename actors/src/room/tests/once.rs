//! A number names one command for ever.

use super::stage::{ANN, Stage, note, pass, quiet};
use crate::config::EngineConfig;
use std::time::Duration;

/// What happens between two sendings.
#[derive(Clone, Copy, Debug)]
enum Between {
    Nothing,
    Reconnect,
    Passivation,
    Restart,
    Crash,
    /// The room forgets the client for another one.
    OtherClient,
    /// So much that the room does not hold the outcome any more.
    ManyMore,
    Reload,
}

#[tokio::test(start_paused = true)]
async fn a_command_is_applied_once_whatever_comes_between() {
    use Between::{Crash, ManyMore, Nothing, OtherClient, Passivation, Reconnect, Reload, Restart};
    for between in [Nothing, Reconnect, Passivation, Restart, Crash, OtherClient, ManyMore, Reload] {
        let config =
            EngineConfig { clients_max: 1, idle_after: Duration::from_secs(1), presence_grace: Duration::ZERO, ..EngineConfig::default() };
        let mut stage = Stage::with(config).await;
        let mut ann = stage.seated(ANN).await;
        stage.op(&ann, 5, &note("one")).await;
        stage.op(&ann, 6, &note("two")).await;
        quiet().await;
        assert_eq!(ann.gist().last().unwrap(), "ack 6 at 4");

        happen(between, &mut stage, &mut ann).await;
        let last = stage.last();
        ann.heard();
        stage.op(&ann, 5, &note("one")).await;
        stage.op(&ann, 5, &note("other")).await;
        stage.op(&ann, 6, &note("two")).await;
        // A number that was never used is free, however old it is.
        stage.op(&ann, 4, &note("zero")).await;
        quiet().await;
        let new = last + 1;
        let mut heard = ann.gist();
        heard.retain(|frame| !frame.starts_with("events"));
        let expected = ["ack 5 at 3 again", "rejected 5 command_id_reused", "ack 6 at 4 again", &format!("ack 4 at {new}")];
        assert_eq!(heard, expected, "{between:?}");
        assert_eq!(stage.last(), new, "{between:?}");
    }
}

async fn happen(between: Between, stage: &mut Stage, ann: &mut super::stage::Socket) {
    match between {
        Between::Nothing => return,
        Between::Reconnect => stage.leave(ann, true).await,
        Between::Passivation => {
            stage.leave(ann, true).await;
            pass(Duration::from_secs(3)).await;
            assert_eq!(stage.engine.rooms(), 0);
        }
        Between::Restart => {
            assert!(stage.engine.drain(Duration::from_secs(5)).await);
            stage.engine = stage.another().await;
        }
        Between::Crash => {
            stage.engine.crash();
            stage.engine = stage.another().await;
        }
        Between::OtherClient => {
            let other = stage.seated(ANN).await;
            stage.op(&other, 1, &note("of another client")).await;
            quiet().await;
            assert_eq!(other.gist().last().unwrap(), "ack 1 at 5");
            return;
        }
        Between::ManyMore => {
            for n in 7..=300 {
                stage.op(ann, n, &note("more")).await;
            }
            quiet().await;
            assert_eq!(ann.gist().last().unwrap(), "ack 300 at 298");
            return;
        }
        Between::Reload => {
            stage.memory.plan_faults([Some(crate::testing::Fault::Lost)]);
            stage.op(ann, 7, &note("lost")).await;
            quiet().await;
            assert_eq!(ann.gist(), ["rejected 7 retry"]);
            return;
        }
    }
    *ann = ann.reconnected(stage);
    stage.join(ann, None).await;
    quiet().await;
}
