//! One line about packages, kernel and certificates.

use pvelens_proto::agent::v1::{SubscriptionStatus, sample::Payload};

use super::{count, size};

pub(super) fn line(payload: &Payload) -> Option<String> {
    let line = match payload {
        Payload::Packages(packages) => format!(
            "{} installed, {} on hold, {} unfinished",
            count(size(packages.installed_count), "package"),
            packages.held.len(),
            packages.unfinished.len()
        ),
        Payload::PackageUpdates(all) => {
            let security = all
                .updates
                .iter()
                .filter(|update| update.is_security == Some(true));
            format!(
                "{}, {} of security",
                count(all.updates.len(), "update"),
                security.count()
            )
        }
        Payload::Repositories(all) => {
            let enabled = all.repositories.iter().filter(|each| each.enabled).count();
            format!(
                "{}, {enabled} enabled",
                count(all.repositories.len(), "source")
            )
        }
        Payload::Kernels(kernels) => format!(
            "{} runs, {} in /boot{}",
            kernels.running_release,
            count(kernels.boot_releases.len(), "kernel"),
            pinned(&kernels.pinned_release),
        ),
        Payload::Certificates(all) => {
            format!("{} with certificates", count(all.files.len(), "file"))
        }
        Payload::Subscription(subscription) => {
            let status = subscription.status();
            if status == SubscriptionStatus::None {
                "no subscription".to_owned()
            } else {
                let level = subscription.level().as_str_name().to_lowercase();
                let status = status.as_str_name().to_lowercase();
                format!(
                    "{}, {}",
                    level.trim_start_matches("subscription_level_"),
                    status.trim_start_matches("subscription_status_")
                )
            }
        }
        _ => return None,
    };
    Some(line)
}

fn pinned(release: &str) -> String {
    if release.is_empty() {
        String::new()
    } else {
        format!(", {release} pinned")
    }
}
