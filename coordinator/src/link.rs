//! Connections to node agents.
