//! One integration-test binary: one link step, whatever the number of topics. A topic is a module here; what they share
//! (databases, server processes, waiting) is in [`harness`], whose text says how to write a test with it.

// `cfg(test)` is always set here; it tells clippy that this is test code, where `unwrap` is fine.
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod live;
#[cfg(test)]
mod load;
#[cfg(test)]
mod process;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod ws;
