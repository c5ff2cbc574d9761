use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// Knows the users below 100; answers when it is let, and says how often it was asked for how many.
struct Slow {
    asked: Mutex<Vec<usize>>,
    leave: Semaphore,
    fails: AtomicUsize,
    panics: AtomicUsize,
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

#[async_trait]
impl Directory for Slow {
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, JournalError> {
        self.asked.lock().push(users.len());
        self.leave.acquire().await.unwrap().forget();
        let due = |count: &AtomicUsize| count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        assert!(!due(&self.panics), "as the test wants it");
        if due(&self.fails) {
            return Err(JournalError::Unavailable("away".into()));
        }
        let known = users.iter().filter(|user| user.0.as_u128() < 100);
        Ok(known.map(|user| UserCard { user: *user, name: user.0.as_u128().to_string(), group: None }).collect())
    }
}

struct Stage {
    behind: Arc<Slow>,
    gathered: Gathered,
}

type Answer = tokio::task::JoinHandle<Result<Vec<UserCard>, JournalError>>;

impl Stage {
    fn new(waiting_max: usize) -> Self {
        let behind =
            Arc::new(Slow { asked: Mutex::default(), leave: Semaphore::new(0), fails: AtomicUsize::new(0), panics: AtomicUsize::new(0) });
        Self { gathered: Gathered::with_waiting_max(Arc::clone(&behind) as _, waiting_max), behind }
    }

    /// Asks, and lets everything run as far as it goes.
    async fn ask(&self, users: &[u128]) -> Answer {
        let (gathered, users) = (self.gathered.clone(), users.iter().map(|n| user(*n)).collect::<Vec<_>>());
        let answer = tokio::spawn(async move { gathered.cards(&users).await });
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        answer
    }

    fn asked(&self) -> Vec<usize> {
        self.behind.asked.lock().clone()
    }
}

async fn names(answer: Answer) -> Vec<String> {
    answer.await.unwrap().unwrap().into_iter().map(|card| card.name).collect()
}

#[tokio::test]
async fn who_asks_during_a_query_shares_the_next() {
    let stage = Stage::new(10);
    let first = stage.ask(&[1]).await;
    let others = [stage.ask(&[2]).await, stage.ask(&[3, 2, 3]).await, stage.ask(&[100]).await, stage.ask(&[1]).await];
    assert_eq!(stage.asked(), [1], "one at a time");
    stage.behind.leave.add_permits(2);
    assert_eq!(names(first).await, ["1"]);
    let mut answers = Vec::new();
    for other in others {
        answers.push(names(other).await);
    }
    assert_eq!(answers, [vec!["2"], vec!["2", "3"], vec![], vec!["1"]]);
    assert_eq!(stage.asked(), [1, 4], "each user once");
}

#[tokio::test]
async fn a_query_that_fails_is_told_to_all_who_shared_it_and_to_nobody_else() {
    let stage = Stage::new(10);
    let first = stage.ask(&[1]).await;
    let (second, third) = (stage.ask(&[2]).await, stage.ask(&[3]).await);
    stage.behind.leave.add_permits(1);
    assert_eq!(names(first).await, ["1"]);
    stage.behind.fails.store(1, Ordering::SeqCst);
    stage.behind.leave.add_permits(2);
    assert!(matches!(second.await.unwrap(), Err(JournalError::Unavailable(_))));
    assert!(matches!(third.await.unwrap(), Err(JournalError::Unavailable(_))));
    assert_eq!(names(stage.ask(&[4]).await).await, ["4"]);
}

#[tokio::test]
async fn nobody_waits_for_a_query_that_ended_with_a_panic() {
    let stage = Stage::new(10);
    stage.behind.panics.store(1, Ordering::SeqCst);
    let (first, second) = (stage.ask(&[1]).await, stage.ask(&[2]).await);
    stage.behind.leave.add_permits(4);
    assert_eq!((names(first).await, names(second).await), (vec!["1".to_owned()], vec!["2".to_owned()]));
    assert_eq!(names(stage.ask(&[3]).await).await, ["3"]);
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_any_more_holds_up_nobody() {
    let stage = Stage::new(10);
    stage.ask(&[1]).await.abort();
    let second = stage.ask(&[2]).await;
    stage.behind.leave.add_permits(2);
    assert_eq!(names(second).await, ["2"]);
}

#[tokio::test]
async fn beyond_the_bound_questions_are_asked_one_by_one() {
    let stage = Stage::new(1);
    let (first, second, third) = (stage.ask(&[1]).await, stage.ask(&[2]).await, stage.ask(&[3]).await);
    assert_eq!(stage.asked(), [1, 1], "the first, and the third past the second that waits");
    stage.behind.leave.add_permits(3);
    assert_eq!(
        (names(first).await, names(second).await, names(third).await),
        (vec!["1".to_owned()], vec!["2".to_owned()], vec!["3".to_owned()])
    );
}

#[tokio::test]
async fn a_query_is_bounded_and_one_large_question_goes_through_all_the_same() {
    let stage = Stage::new(2_000);
    let first = stage.ask(&[1]).await;
    let large: Vec<u128> = (0..1_000).collect();
    let large = stage.ask(&large).await;
    let mut small = Vec::new();
    for n in 0..600 {
        small.push(stage.ask(&[n]).await);
    }
    stage.behind.leave.add_permits(10);
    assert_eq!((names(first).await.len(), names(large).await.len()), (1, 100));
    for answer in small {
        assert!(answer.await.unwrap().is_ok());
    }
    assert_eq!(stage.asked(), [1, 1_000, 512, 88]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_hangs_is_given_up_and_the_next_one_asked() {
    let stage = Stage::new(10);
    let (first, second) = (stage.ask(&[1]).await, stage.ask(&[2]).await);
    let first = first.await.unwrap();
    assert!(matches!(first, Err(JournalError::Unavailable(_))), "{first:?}");
    stage.behind.leave.add_permits(1);
    assert_eq!(names(second).await, ["2"]);
}
