//! Rules that are broken on purpose, so that the suites can be shown to notice. Never in a released binary.

use std::cell::Cell;

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sabotage {
    /// Nothing.
    #[default]
    None,
    /// A request takes its seats, and its approval takes them once more.
    TakesTwice,
    /// A hold or an offer that runs out keeps its seats.
    ExpiryKeeps,
    /// A free seat is offered to whoever came last.
    LastComeFirstServed,
}

thread_local! {
    static BROKEN: Cell<Sabotage> = const { Cell::new(Sabotage::None) };
}

/// Breaks, or repairs, the rules for this thread.
pub fn sabotage(how: Sabotage) {
    BROKEN.set(how);
}

pub(super) fn is(how: Sabotage) -> bool {
    BROKEN.get() == how
}
