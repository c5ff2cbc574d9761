//! What belongs to the request being answered, wherever an answer is made.

use http::HeaderMap;
use std::future::Future;
use std::sync::Arc;
use uuid::Uuid;

/// Header that carries the request id, both ways.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The request being answered.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's `X-Request-Id` if it is 1 to 64 characters of `[A-Za-z0-9._-]`, else a new UUIDv7.
    pub request_id: Arc<str>,
    /// Base of links, without a trailing slash; empty for relative ones.
    pub public_url: Arc<str>,
}

tokio::task_local! {
    static CONTEXT: RequestContext;
}

impl RequestContext {
    /// The context for a request with these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap, public_url: Arc<str>) -> Self {
        let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_plain(text));
        Self { request_id: given.map_or_else(|| Uuid::now_v7().to_string().into(), Arc::from), public_url }
    }

    /// The context of the running task, when it is answering a request.
    #[must_use]
    pub fn current() -> Option<Self> {
        CONTEXT.try_with(Clone::clone).ok()
    }

    /// Runs `work` within this context. A task spawned from a request needs it to mention the request's id.
    pub async fn scope<F: Future>(self, work: F) -> F::Output {
        CONTEXT.scope(self, work).await
    }
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_request_id_is_replaced() {
        let id = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID_HEADER, text.parse().unwrap());
            RequestContext::of(&headers, "".into()).request_id.to_string()
        };
        assert_eq!(id("abc-1.2_3"), "abc-1.2_3");
        for strange in ["", "a b", "a\"b", "a/b", &"x".repeat(65)] {
            assert_ne!(id(strange), strange);
            assert_eq!(id(strange).len(), 36);
        }
    }
}
