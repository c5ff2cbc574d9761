//! Redis for tests: the one that all share, and private ones that may be harmed.

use std::path::PathBuf;

use xtask::redis::{Instance, PROGRAM_VARIABLE, URL_VARIABLE};

use super::private::Private;

/// URL of the Redis that all tests share.
///
/// # Panics
/// It is not set: a test that cannot run must not look as if it had passed.
pub(crate) fn shared_redis_url() -> String {
    std::env::var(URL_VARIABLE).unwrap_or_else(|_| {
        panic!("this test needs Redis, and {URL_VARIABLE} is not set: run `cargo xtask test`, which starts one (arguments are handed to `cargo test`)")
    })
}

/// A Redis of the test's own; restarted it is empty.
pub(crate) type PrivateRedis = Private<Instance>;

impl Private<Instance> {
    /// # Panics
    /// There is no Redis; the text names the command that brings one. Or it does not start; the text has its log.
    pub(crate) async fn start() -> Self {
        let program = std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "this test starts a Redis of its own, and {PROGRAM_VARIABLE} is not set: run `cargo xtask test`, which finds or installs one"
            )
        });
        Self::of(move || Instance::start(&program), Instance::url).await
    }

    /// `redis://…`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Deletes everything in it.
    pub(crate) async fn flush(&mut self) {
        self.with(Instance::flush).await;
    }
}

mod tests {
    use std::time::Duration;

    use crate::harness::PrivateRedis;

    async fn connect(redis: &PrivateRedis) -> ::redis::RedisResult<::redis::aio::MultiplexedConnection> {
        ::redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await
    }

    async fn value(redis: &PrivateRedis) -> Option<String> {
        ::redis::cmd("GET").arg("kept").query_async(&mut connect(redis).await.unwrap()).await.unwrap()
    }

    async fn keep(redis: &PrivateRedis) {
        ::redis::cmd("SET").arg("kept").arg("x").query_async::<()>(&mut connect(redis).await.unwrap()).await.unwrap();
        assert_eq!(value(redis).await.as_deref(), Some("x"));
    }

    #[tokio::test]
    async fn a_killed_redis_comes_back_empty_at_its_address() {
        let mut redis = PrivateRedis::start().await;
        keep(&redis).await;
        redis.kill().await;
        assert!(connect(&redis).await.is_err(), "answers though it was killed");
        redis.restart().await;
        assert_eq!(value(&redis).await, None);
        keep(&redis).await;
        redis.flush().await;
        assert_eq!(value(&redis).await, None);
    }

    #[tokio::test]
    async fn a_frozen_redis_answers_only_when_thawed() {
        let mut redis = PrivateRedis::start().await;
        let mut connection = connect(&redis).await.unwrap();
        redis.freeze().await;
        let mut asking = tokio::spawn(async move { ::redis::cmd("PING").query_async::<()>(&mut connection).await });
        assert!(tokio::time::timeout(Duration::from_millis(100), &mut asking).await.is_err(), "answered while frozen");
        redis.thaw().await;
        asking.await.unwrap().unwrap();
        redis.freeze().await;
        redis.kill().await;
        redis.restart().await;
        redis.freeze().await;
        drop(redis);
    }
}
