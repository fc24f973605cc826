//! Parts of answers with every field filled.

use jiff::Timestamp;

use crate::{
    answer::intent::{SetAside, StatementUse},
    finding::{
        Category, Evidence, EvidenceValue, Finding, FindingState, Lane, Remediation, Risk, Severity,
    },
    intent::{Stated, StatementKind},
    inventory::{
        Coverage, CoverageWord, FailureSummary, GuestDetail, GuestSummary, NicSummary,
        NodeCoverage, NodeSummary, SnapshotSummary, VolumeSummary,
    },
};

/// Gives values that occur once.
#[derive(Default)]
pub(super) struct Unique(u32);

impl Unique {
    pub(super) fn number(&mut self) -> u32 {
        self.0 += 1;
        1_000_000 + self.0
    }

    pub(super) fn big(&mut self) -> u64 {
        self.number().into()
    }

    pub(super) fn ratio(&mut self) -> f64 {
        f64::from(self.number()) + 0.5
    }

    pub(super) fn text(&mut self) -> String {
        format!("text-{}", self.number())
    }

    pub(super) fn time(&mut self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + i64::from(self.number())).unwrap()
    }
}

pub(super) fn coverage(u: &mut Unique) -> Coverage {
    Coverage {
        at: u.time(),
        nodes: vec![NodeCoverage {
            cluster: u.text(),
            node: u.text(),
            level: CoverageWord::Full,
            newest: Some(u.time()),
            stale: true,
            failures: vec![FailureSummary {
                collector: u.text(),
                path: u.text(),
                kind: u.text(),
                detail: u.text(),
            }],
        }],
        not_assessed: vec![u.text(), u.text()],
    }
}

pub(super) fn node(u: &mut Unique) -> NodeSummary {
    NodeSummary {
        cluster: u.text(),
        name: u.text(),
        status: "offline".to_owned(),
        coverage: CoverageWord::Basic,
        figures_at: Some(u.time()),
        uptime_seconds: Some(u.ratio()),
        cpus: Some(u.number()),
        cpu_ratio: Some(u.ratio()),
        iowait_ratio: Some(u.ratio()),
        load1: Some(u.ratio()),
        memory_total_bytes: Some(u.big()),
        memory_used_bytes: Some(u.big()),
        memory_available_bytes: Some(u.big()),
        arc_bytes: Some(u.big()),
        swap_total_bytes: Some(u.big()),
        swap_used_bytes: Some(u.big()),
        root_total_bytes: Some(u.big()),
        root_used_bytes: Some(u.big()),
        cpu_pressure_ratio: Some(u.ratio()),
        memory_pressure_ratio: Some(u.ratio()),
        io_pressure_ratio: Some(u.ratio()),
        ip_address: u.text(),
        kernel_release: u.text(),
        pve_manager_version: u.text(),
        cpu_model: u.text(),
        guests_running: u.number(),
        guests_total: u.number(),
        agent_version: u.text(),
    }
}

pub(super) fn guest(u: &mut Unique) -> GuestSummary {
    GuestSummary {
        cluster: u.text(),
        vmid: u.number(),
        kind: "lxc".to_owned(),
        name: u.text(),
        node: u.text(),
        status: u.text(),
        template: true,
        tags: vec![u.text(), u.text()],
        lock: u.text(),
        figures_at: Some(u.time()),
        uptime_seconds: Some(u.ratio()),
        cpus: Some(u.ratio()),
        cpu_ratio: Some(u.ratio()),
        memory_maximum_bytes: Some(u.big()),
        memory_used_bytes: Some(u.big()),
        memory_source: u.text(),
        memory_host_bytes: Some(u.big()),
        disk_maximum_bytes: Some(u.big()),
        disk_used_bytes: Some(u.big()),
        received_bytes_per_second: Some(u.ratio()),
        transmitted_bytes_per_second: Some(u.ratio()),
        read_bytes_per_second: Some(u.ratio()),
        write_bytes_per_second: Some(u.ratio()),
        cpu_pressure_ratio: Some(u.ratio()),
        memory_pressure_ratio: Some(u.ratio()),
        io_pressure_ratio: Some(u.ratio()),
    }
}

pub(super) fn guest_detail(u: &mut Unique) -> GuestDetail {
    GuestDetail {
        cores: Some(u.number()),
        sockets: Some(u.number()),
        cpu_type: u.text(),
        os_type: u.text(),
        machine: u.text(),
        bios: u.text(),
        start_on_boot: Some(true),
        protection: Some(true),
        agent_enabled: Some(true),
        unprivileged: Some(true),
        volumes: vec![VolumeSummary {
            key: u.text(),
            kind: u.text(),
            storage: u.text(),
            volume: u.text(),
            mount_point: u.text(),
            size_bytes: Some(u.big()),
            backup: true,
            cache: u.text(),
        }],
        nics: vec![NicSummary {
            key: u.text(),
            model: u.text(),
            mac_address: u.text(),
            bridge: u.text(),
            vlan_tag: Some(u.number()),
            firewall: true,
        }],
        snapshots: vec![SnapshotSummary {
            name: u.text(),
            taken: Some(u.time()),
            has_memory_state: true,
        }],
        pending_keys: vec![u.text()],
        created: Some(u.time()),
        generation: u.number(),
        generation_since: Some(u.time()),
    }
}

pub(super) fn finding(u: &mut Unique, value: EvidenceValue) -> Finding {
    Finding {
        fingerprint: u.text(),
        check: u.text(),
        title: u.text(),
        cluster: u.text(),
        subject: u.text(),
        discriminator: u.text(),
        lane: Lane::Posture,
        severity: Severity::Critical,
        category: Category::Lifecycle,
        state: FindingState::Flapping,
        summary: u.text(),
        first_seen: u.time(),
        last_seen: u.time(),
        evidence: vec![Evidence {
            name: u.text(),
            value,
            unit: u.text(),
            source: u.text(),
            node: u.text(),
            observed_at: Some(u.time()),
        }],
        remediation: Remediation {
            diagnose: vec![u.text(), u.text()],
            fix: u.text(),
            impact: u.text(),
            risk: Risk::High,
            way_back: u.text(),
        },
        caused_by: vec![u.text()],
        cause_of: vec![u.text()],
        confidence: u.ratio(),
        mappings: vec![u.text()],
        unverified: true,
        statement: Some(stated(u)),
    }
}

pub(super) fn stated(u: &mut Unique) -> Stated {
    Stated {
        id: u.text(),
        kind: StatementKind::Rotated,
        author: u.text(),
        on_behalf_of: u.text(),
        reason: u.text(),
        until: Some(u.time()),
        severity_without: Some(Severity::Critical),
    }
}

pub(super) fn set_aside(u: &mut Unique) -> SetAside {
    SetAside {
        suppressed: u.number(),
        acknowledged: u.number(),
        statements: vec![StatementUse {
            statement: stated(u),
            findings: u.number(),
        }],
    }
}

pub(super) fn findings(u: &mut Unique) -> Vec<Finding> {
    let (number, text) = (u.ratio(), u.text());
    vec![
        finding(u, EvidenceValue::Flag(true)),
        finding(u, EvidenceValue::Number(number)),
        finding(u, EvidenceValue::Text(text)),
    ]
}
