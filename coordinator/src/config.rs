//! Configuration: `pvelens.toml`.
