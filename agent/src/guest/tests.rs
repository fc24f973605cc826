//! The engine against a small node whose guests have sockets: what is refused never
//! reaches one.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests make the files and sockets of a node"
)]

mod agent;
mod deny;
mod flow;
mod outcomes;
mod world;
