//! Parameters of checks: thresholds, and the profile that shifts severities.
//!
//! A cluster has one profile. It is proposed from what is seen until the
//! administrator declares one, and moves the severity of a check by the steps
//! between the columns of its row in the catalogue.

use std::collections::BTreeMap;

use crate::{
    check::{Check, Failure, Input},
    finding::{Lane, Severity},
    intent::Meaning,
    view::{Cluster, ClusterIndex, Subject, View},
};

mod limits;

pub use limits::Limits;

/// How strict the checks are with a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    Homelab,
    Production,
    Strict,
}

/// What the administrator declared, by cluster id or name, and the thresholds.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pub profiles: BTreeMap<String, DeclaredProfile>,
    pub limits: Limits,
}

/// A declared profile with its modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredProfile {
    pub profile: Profile,
    /// Guests of tenants run here.
    pub hosting: bool,
}

/// What decides the severity of one failure besides the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leniency {
    pub profile: Profile,
    pub hosting: bool,
    /// The object carries the tag `lab`.
    pub lab: bool,
}

impl Profile {
    /// As configuration and reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Homelab => "homelab",
            Self::Production => "production",
            Self::Strict => "strict",
        }
    }
}

/// Clusters up to this size may be proposed as homelab.
const HOMELAB_NODES: usize = 3;

impl Params {
    /// The profile of a cluster, whether tenants' guests run there, and where
    /// that comes from: `declared`, or `proposed: 2 nodes, no subscription, ...`.
    #[must_use]
    pub fn profile_of(&self, view: &View, cluster: ClusterIndex) -> (Profile, bool, String) {
        let cluster = view.cluster(cluster);
        let declared = self
            .profiles
            .get(&*cluster.id)
            .or_else(|| self.profiles.get(&*cluster.name));
        if let Some(declared) = declared {
            return (declared.profile, declared.hosting, "declared".to_owned());
        }
        let (profile, origin) = propose(
            cluster.nodes.len(),
            cluster.subscribed,
            has_ha_resources(view, cluster),
        );
        (profile, false, format!("proposed: {origin}"))
    }
}

/// As the member says that read its configuration last.
fn has_ha_resources(view: &View, cluster: &Cluster) -> Option<bool> {
    let read = view.nodes_of(cluster);
    let newest = read
        .filter_map(|(_, node)| node.facts.ha_config.as_ref())
        .max_by_key(|config| config.at)?;
    Some(!newest.value.resources.is_empty())
}

/// At most three nodes, no subscription and no HA make a homelab; what is not
/// known proposes `production`. `strict` and `hosting` are never proposed.
fn propose(nodes: usize, subscribed: Option<bool>, ha_in_use: Option<bool>) -> (Profile, String) {
    let profile = if nodes <= HOMELAB_NODES && subscribed == Some(false) && ha_in_use == Some(false)
    {
        Profile::Homelab
    } else {
        Profile::Production
    };
    let subscription = match subscribed {
        Some(true) => "subscription",
        Some(false) => "no subscription",
        None => "subscription unknown",
    };
    let ha = match ha_in_use {
        Some(true) => "HA",
        Some(false) => "no HA",
        None => "HA unknown",
    };
    let plural = if nodes == 1 { "" } else { "s" };
    let origin = format!("{nodes} node{plural}, {subscription}, {ha}");
    (profile, origin)
}

/// Whether the object is for tests: it carries the tag `lab`, or was named so.
#[must_use]
pub fn is_lab(input: &Input<'_>, subject: Subject) -> bool {
    let tags = &input.intent.tags;
    tags.has_subject(input.view, subject, Meaning::Lab)
}

/// The severity of a failure after profile, modifier, tag and floor; `None` =
/// the profile keeps it silent.
#[must_use]
pub fn severity(check: &Check, failure: &Failure, leniency: Leniency) -> Option<Severity> {
    let base = failure.severity;
    let lane = failure.lane.unwrap_or(check.lane);
    let mut result = shifted(check, base, leniency);
    // A health branch of a posture check is never lowered.
    if lane == Lane::Health && check.lane == Lane::Posture {
        result = result.max(Some(base));
    }
    if leniency.lab {
        result = match lane {
            Lane::Posture => None,
            Lane::Health => result.min(Some(Severity::Warning)),
        };
    }
    if check.floor {
        result = result.max(Some(base));
    }
    result
}

fn shifted(check: &Check, base: Severity, leniency: Leniency) -> Option<Severity> {
    let Some(row) = check.profile else {
        return Some(base);
    };
    let column = match leniency.profile {
        Profile::Homelab => row.homelab,
        Profile::Production => row.production,
        Profile::Strict => row.strict,
    };
    let result = column.map(|column| {
        let steps = rank(column) - row.production.map_or(-1, rank);
        // Clamped to what a finding can have.
        match rank(base) + steps {
            ..=0 => Severity::Info,
            1 => Severity::Warning,
            _ => Severity::Critical,
        }
    });
    if leniency.hosting {
        // `None` is below every severity.
        result.max(row.hosting)
    } else {
        result
    }
}

fn rank(severity: Severity) -> i8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

#[cfg(test)]
mod tests;
