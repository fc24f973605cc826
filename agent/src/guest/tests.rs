//! The engine against a small node whose guests have sockets: what is refused never
//! reaches one.

mod agent;
mod deny;
mod flow;
mod outcomes;
mod world;
