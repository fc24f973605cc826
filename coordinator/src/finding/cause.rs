//! Which findings are consequences of others.
