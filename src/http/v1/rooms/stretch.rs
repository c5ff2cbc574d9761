//! Pages of what not everybody sees.
//!
//! A page must not tell by its end whether there are things that the reader may not see. So it covers a stretch of the room's order,
//! whatever is in there, and may be shorter than it could be.

use crate::http::problem::Problem;
use crate::store::StoreError;
use crate::store::rooms::PAGE_ROWS_MAX;
use std::future::Future;
use tripsync_domain::Seq;

/// Places in a room's order that one page covers.
const STRETCH: u64 = 1_000;

/// What the reader may see of a stretch, and after which place to go on.
pub(in crate::http::v1) struct Seen<T> {
    pub(in crate::http::v1) items: Vec<T>,
    pub(in crate::http::v1) next: Option<Seq>,
}

/// Which page.
#[derive(Clone, Copy)]
pub(in crate::http::v1) struct Span {
    /// The room's newest place.
    pub(in crate::http::v1) newest: Seq,
    /// Where the page before ended.
    pub(in crate::http::v1) after: Option<Seq>,
    /// Items at most.
    pub(in crate::http::v1) len: usize,
}

/// Goes back through a stretch. `rows` gives at most [`PAGE_ROWS_MAX`] before the first and not before the second place, newest first; `seq`
/// tells a row's place, `look` what the reader sees of it.
pub(in crate::http::v1) async fn seen<R, T, F: Future<Output = Result<Vec<R>, StoreError>>>(
    span: Span,
    rows: impl Fn(Seq, Seq) -> F,
    seq: impl Fn(&R) -> Seq,
    mut look: impl FnMut(R) -> Result<Option<T>, Problem>,
) -> Result<Seen<T>, Problem> {
    let newest = Seq(span.newest.0.saturating_add(1));
    let mut before = span.after.map_or(newest, |after| after.min(newest));
    let floor = Seq(before.0.saturating_sub(STRETCH));
    let mut items = Vec::new();
    loop {
        let rows = rows(before, floor).await?;
        let full = rows.last().filter(|_| rows.len() >= PAGE_ROWS_MAX as usize).map(&seq);
        for row in rows {
            let at = seq(&row);
            items.extend(look(row)?);
            if items.len() == span.len {
                return Ok(Seen { items, next: Some(at).filter(|at| at.0 > 1) });
            }
        }
        match full {
            Some(last) => before = last,
            None => return Ok(Seen { items, next: Some(floor).filter(|floor| floor.0 > 1) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All pages of a room of 2,500 places in which some are rows and some of those are seen.
    async fn walk(is_row: fn(u64) -> bool, is_seen: fn(u64) -> bool, len: usize) -> (Vec<u64>, Vec<Option<u64>>) {
        let (mut all, mut ends, mut after) = (Vec::new(), Vec::new(), None);
        loop {
            let rows = |before: Seq, floor: Seq| async move {
                let rows = (floor.0.max(1)..before.0).rev().filter(|seq| is_row(*seq)).take(PAGE_ROWS_MAX as usize);
                Ok(rows.collect::<Vec<_>>())
            };
            let span = Span { newest: Seq(2_500), after, len };
            let page = seen(span, rows, |row| Seq(*row), |row| Ok(is_seen(row).then_some(row))).await.unwrap();
            assert!(page.items.len() <= len);
            all.extend(page.items);
            ends.push(page.next.map(|next| next.0));
            match page.next {
                Some(next) => after = Some(next),
                None => return (all, ends),
            }
        }
    }

    #[tokio::test]
    async fn everything_that_is_seen_comes_once_and_in_order() {
        let (all, _) = walk(|_| true, |seq| seq % 7 == 0, 10).await;
        assert_eq!(all, (1..=2_500).rev().filter(|seq| seq % 7 == 0).collect::<Vec<_>>());
        let (all, ends) = walk(|seq| seq % 3 == 0, |_| true, 100).await;
        assert_eq!(all, (1..=2_500).rev().filter(|seq| seq % 3 == 0).collect::<Vec<_>>());
        assert!(ends.len() < 15, "{ends:?}");
    }

    #[tokio::test]
    async fn pages_do_not_tell_of_what_is_not_seen() {
        let some = walk(|seq| seq.is_multiple_of(5), |seq| seq.is_multiple_of(50), 10).await;
        assert_eq!(walk(|_| true, |seq| seq.is_multiple_of(50), 10).await, some);
        assert_eq!(walk(|seq| seq.is_multiple_of(50), |_| true, 10).await, some);
        assert_eq!(walk(|_| true, |_| false, 10).await, walk(|_| false, |_| true, 10).await);
    }
}
