//! Parameters of checks: thresholds and the profile that shifts severities.

use std::collections::BTreeMap;

/// How strict the checks are with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    Homelab,
    Production,
    Strict,
}

/// What the administrator declared, by cluster id or name.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pub profiles: BTreeMap<String, DeclaredProfile>,
}

/// A declared profile with its modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredProfile {
    pub profile: Profile,
    /// Guests of tenants run here.
    pub hosting: bool,
}
