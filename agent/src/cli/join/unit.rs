//! The unit of the link, which is enabled by joining and disabled by leaving.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

const LINK: &str = "pvelens-link.service";
/// There where systemd runs the system.
const SYSTEMD: &str = "/run/systemd/system";
/// One that runs already reads its settings anew.
const ENABLE: [&[&str]; 2] = [&["enable", LINK], &["restart", LINK]];
const DISABLE: [&[&str]; 1] = [&["disable", "--now", LINK]];

/// What to type, where it is not done here.
pub(super) const ENABLE_COMMAND: &str =
    "systemctl enable pvelens-link.service && systemctl restart pvelens-link.service";
pub(in crate::cli) const DISABLE_COMMAND: &str = "systemctl disable --now pvelens-link.service";

pub(in crate::cli) fn is_there() -> bool {
    Path::new(SYSTEMD).exists()
}

pub(super) fn enable() -> anyhow::Result<()> {
    ENABLE.iter().try_for_each(|arguments| systemctl(arguments))
}

pub(in crate::cli) fn disable() -> anyhow::Result<()> {
    DISABLE
        .iter()
        .try_for_each(|arguments| systemctl(arguments))
}

#[expect(
    clippy::disallowed_methods,
    reason = "commands of the administrator start and end the link, the agent does not"
)]
fn systemctl(arguments: &[&str]) -> anyhow::Result<()> {
    let typed = || format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl")
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null())
        .output()
        .with_context(typed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", typed(), said.trim());
    }
    Ok(())
}
