//! A server of a test's own, which may be harmed.

use xtask::throwaway::Harm;

/// A throwaway server: it may be killed, frozen and started again. Gone on drop.
///
/// Its address stays the same. Nothing here blocks the runtime.
#[derive(Debug)]
pub(crate) struct Private<I> {
    /// Away only while a blocking thread works on it.
    instance: Option<I>,
    pub(super) url: String,
}

impl<I: Harm + Send + 'static> Private<I> {
    /// Starts one on a blocking thread; `url` is where it is.
    ///
    /// # Panics
    /// It does not start; the text has its log.
    pub(super) async fn of(start: impl FnOnce() -> anyhow::Result<I> + Send + 'static, url: fn(&I) -> String) -> Self {
        let instance = blocking(move || start().unwrap()).await;
        let url = url(&instance);
        Self { instance: Some(instance), url }
    }

    /// `kill -9` for all its processes at one moment.
    pub(crate) async fn kill(&mut self) {
        self.with(I::kill).await;
    }

    /// Up again at its old address after it was killed or stopped; back when it answers.
    pub(crate) async fn restart(&mut self) {
        self.with(I::restart).await;
    }

    /// SIGSTOP for all its processes: connections stay, nothing answers.
    pub(crate) async fn freeze(&mut self) {
        self.with(I::freeze).await;
    }

    /// It goes on after [`Self::freeze`].
    pub(crate) async fn thaw(&mut self) {
        self.with(I::thaw).await;
    }

    pub(super) async fn with(&mut self, work: impl FnOnce(&mut I) -> anyhow::Result<()> + Send + 'static) {
        let mut instance = self.instance.take().expect("an earlier call on this server was not awaited to its end");
        let done = blocking(move || {
            let result = work(&mut instance);
            (instance, result)
        });
        let (instance, result) = done.await;
        self.instance = Some(instance);
        result.unwrap();
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
