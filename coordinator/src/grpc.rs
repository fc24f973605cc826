//! The services of `pvelens.v1`.
