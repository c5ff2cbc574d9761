//! Search of listings by area.
mod cells;
pub use cells::cell_of;
