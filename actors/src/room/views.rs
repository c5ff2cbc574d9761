//! What a room shows those who come in or read, encoded once per seq for all who are shown the same.

use crate::frame::View;
use tripsync_domain::Seq;

/// Different views of one seq that are kept; a pool has one for visitors and one for each member whom it shows more.
const KEPT: usize = 8;

/// The views of the newest seq that somebody asked for.
#[derive(Default)]
pub(super) struct Views {
    at: Seq,
    /// With what tells them apart; the one that was made last is at the end.
    known: Vec<(u64, View)>,
}

impl Views {
    /// The view of a seq for those whom the key stands for.
    pub(super) fn of(&mut self, at: Seq, key: u64, make: impl FnOnce() -> Vec<u8>) -> View {
        if self.at != at {
            self.forget();
            self.at = at;
        }
        if let Some((_, view)) = self.known.iter().find(|(known, _)| *known == key) {
            return view.clone();
        }
        if self.known.len() == KEPT {
            self.known.remove(0);
        }
        let view = View::new(make().into());
        self.known.push((key, view.clone()));
        view
    }

    /// Drops views that are not of this seq.
    pub(super) fn keep_only(&mut self, at: Seq) {
        if self.at != at {
            self.forget();
        }
    }

    /// Drops all, with their memory.
    pub(super) fn forget(&mut self) {
        self.known = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_view_is_made_once_per_seq_and_key_and_few_are_kept() {
        let made = Cell::new(0);
        let mut views = Views::default();
        let mut ask = |at: u64, key: u64| {
            let view = views.of(Seq(at), key, || {
                made.set(made.get() + 1);
                vec![u8::try_from(made.get()).unwrap()]
            });
            view.packed()[0]
        };
        assert_eq!([ask(1, 7), ask(1, 8), ask(1, 7), ask(1, 8)], [1, 2, 1, 2]);
        assert_eq!([ask(2, 7), ask(2, 7)], [3, 3]);
        for key in 10..30 {
            ask(2, key);
        }
        assert_eq!((ask(2, 29), ask(2, 7)), (23, 24));
        assert_eq!(views.known.len(), KEPT);
        views.keep_only(Seq(2));
        assert_eq!(views.known.len(), KEPT);
        views.keep_only(Seq(3));
        assert_eq!(views.known.capacity(), 0);
    }
}
