//! What `tripsync-load` makes of a run, apart from making it: the result and its schema, what is shown of it, and the floor that a server is
//! held against.
//!
//! Nothing here knows how load is made; `main.rs` and the modules beside it do, and fill in a [`results::RunResult`].

pub mod results;
