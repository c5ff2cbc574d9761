//! The pure rules and wire types.
