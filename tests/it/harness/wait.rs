//! Waiting for a condition, with a limit.

use std::fmt::Display;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// What a probe may say: not yet (`false`, `None`, `Err`) or a value.
pub(crate) trait Outcome {
    type Value;

    /// The value, or why there is none yet.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("not so".to_owned()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing there".to_owned())
    }
}

impl<T, E: Display> Outcome for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:#}"))
    }
}

/// How long between two questions: short against what is waited for, long against what asking costs.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks `probe` again and again until it says yes, and gives back what it said.
///
/// # Panics
/// After `limit`, with `what`, the caller's line and what the probe said last. A probe that hangs counts, too.
#[track_caller]
pub(crate) fn eventually<P, F>(what: &str, limit: Duration, mut probe: P) -> impl Future<Output = <F::Output as Outcome>::Value>
where
    P: FnMut() -> F,
    F: Future<Output: Outcome>,
{
    let caller = Location::caller();
    async move {
        let mut last = "no answer".to_owned();
        let asking = async {
            loop {
                match probe().await.settle() {
                    Ok(value) => break value,
                    Err(reason) => last = reason,
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        match tokio::time::timeout(limit, asking).await {
            Ok(value) => value,
            Err(_) => panic!("{caller}: waited {limit:?} for: {what}; last: {last}"),
        }
    }
}

/// Whether a condition came true within the limit; for those who go on without it, too. [`eventually`] is for all others.
pub(crate) async fn comes_true(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let asking = async {
        while !condition() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(limit, asking).await.is_ok()
}

mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn gives_back_what_came() {
        let mut left = 3;
        let value = eventually("the third time", Duration::from_secs(1), || {
            left -= 1;
            std::future::ready((left == 0).then_some("here"))
        });
        assert_eq!(value.await, "here");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "waited 1s for: rain; last: dry")]
    async fn says_what_was_missing() {
        eventually("rain", Duration::from_secs(1), || async { Err::<(), _>("dry") }).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "for: silence; last: no answer")]
    async fn a_probe_that_hangs_is_given_up() {
        eventually("silence", Duration::from_secs(1), std::future::pending::<bool>).await;
    }
}
