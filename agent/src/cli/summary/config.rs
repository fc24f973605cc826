//! One line about settings of the cluster.

use pvelens_proto::agent::v1::{
    AccessConfig, DatacenterConfig, JobConfig, NodeConfigs, NotificationConfig, sample::Payload,
};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::AccessConfig(config) => access(config),
        Payload::DatacenterConfig(config) => datacenter(config),
        Payload::JobConfig(config) => jobs(config),
        Payload::ReplicationConfig(config) => count(config.jobs.len(), "replication job"),
        Payload::NotificationConfig(config) => notifications(config),
        Payload::MetricServerConfig(config) => count(config.servers.len(), "metric server"),
        Payload::NodeConfigs(config) => nodes(config),
        _ => return None,
    })
}

fn access(config: &AccessConfig) -> String {
    let users = config.user_config.as_ref().map_or_else(
        || "users unknown".to_owned(),
        |users| {
            format!(
                "{}, {}, {}",
                count(users.users.len(), "user"),
                count(users.tokens.len(), "token"),
                count(users.rules.len(), "rule")
            )
        },
    );
    let realms = config.realm_config.as_ref().map_or_else(
        || "realms unknown".to_owned(),
        |realms| count(realms.realms.len(), "realm"),
    );
    format!("{users}, {realms}")
}

fn datacenter(config: &DatacenterConfig) -> String {
    let or_default = |text: &str| if text.is_empty() { "default" } else { text }.to_owned();
    format!(
        "migration {}, HA shutdown {}",
        or_default(&config.migration_type),
        or_default(&config.ha_shutdown_policy)
    )
}

fn jobs(config: &JobConfig) -> String {
    let scheduled = config.jobs.iter().flat_map(|jobs| &jobs.backups);
    let cron = config.cron.iter().flat_map(|jobs| &jobs.backups);
    let backups: Vec<bool> = scheduled.chain(cron).map(|job| job.enabled).collect();
    let enabled = backups.iter().filter(|enabled| **enabled).count();
    let syncs = config.jobs.iter().map(|jobs| jobs.realm_syncs.len()).sum();
    format!(
        "{}, {enabled} enabled, {}",
        count(backups.len(), "backup job"),
        count(syncs, "realm sync job")
    )
}

fn notifications(config: &NotificationConfig) -> String {
    format!(
        "{}, {}",
        count(config.targets.len(), "target"),
        count(config.matchers.len(), "matcher")
    )
}

fn nodes(config: &NodeConfigs) -> String {
    let names: Vec<&str> = config.nodes.iter().map(|each| each.node.as_str()).collect();
    format!("{}: {}", count(names.len(), "node"), names.join(", "))
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::{AccessUser, BackupJob, ScheduledJobs, UserConfig};

    use super::*;

    #[test]
    fn what_is_unknown_is_said() {
        let unread = Payload::AccessConfig(AccessConfig::default());
        assert_eq!(line(&unread).unwrap(), "users unknown, realms unknown");
        let read = Payload::AccessConfig(AccessConfig {
            user_config: Some(UserConfig {
                users: vec![AccessUser::default()],
                ..UserConfig::default()
            }),
            realm_config: None,
        });
        assert_eq!(
            line(&read).unwrap(),
            "1 user, 0 tokens, 0 rules, realms unknown"
        );
    }

    #[test]
    fn enabled_jobs_are_counted() {
        let jobs = [true, false].map(|enabled| BackupJob {
            enabled,
            ..BackupJob::default()
        });
        let payload = Payload::JobConfig(JobConfig {
            jobs: Some(ScheduledJobs {
                backups: jobs.to_vec(),
                ..ScheduledJobs::default()
            }),
            ..JobConfig::default()
        });
        assert_eq!(
            line(&payload).unwrap(),
            "2 backup jobs, 1 enabled, 0 realm sync jobs"
        );
    }
}
