//! One line about tasks, backups and history.

use pvelens_proto::agent::v1::{BackupOutcome, TaskStatus, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::Tasks(all) => {
            let of = |status| {
                let tasks = all.tasks.iter();
                tasks.filter(|task| task.status() == status).count()
            };
            format!(
                "{}, {} running, {} failed",
                count(all.tasks.len(), "task"),
                of(TaskStatus::Running),
                of(TaskStatus::Error)
            )
        }
        Payload::Backups(all) => {
            let failed = all
                .runs
                .iter()
                .flat_map(|run| &run.guests)
                .filter(|guest| guest.outcome() == BackupOutcome::Failed)
                .count();
            let guests: usize = all.archives.iter().map(|found| found.guests.len()).sum();
            format!(
                "{}, {failed} of guests failed; archives of {} on local disks",
                count(all.runs.len(), "run"),
                count(guests, "guest")
            )
        }
        Payload::ReplicationState(all) => {
            let failing = all
                .targets
                .iter()
                .filter(|target| target.failures > 0)
                .count();
            format!("{}, {failing} failing", count(all.targets.len(), "target"))
        }
        Payload::ClusterLog(log) => count(log.entries.len(), "entry").replace("entrys", "entries"),
        Payload::JobStates(all) => count(all.jobs.len(), "job"),
        Payload::RrdHistory(history) => {
            let series: usize = history
                .objects
                .iter()
                .flat_map(|object| &object.archives)
                .map(|archive| archive.series.len())
                .sum();
            format!(
                "{series} series of {}",
                count(history.objects.len(), "object")
            )
        }
        _ => return None,
    })
}
