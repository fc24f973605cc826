//! Identifiers of tasks, `UPID:NODE:PID:PSTART:START:TYPE:ID:USER:`
//! (`pve-common@src/PVE/UPID.pm`).

/// Characters of one; longer ones are none.
const LIMIT: usize = 400;

/// The parts of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upid<'a> {
    pub node: &'a str,
    pub pid: u32,
    /// Start of the process in kernel ticks since boot.
    pub start_ticks: u64,
    /// Seconds since the epoch.
    pub started: u32,
    pub task_type: &'a str,
    pub id: &'a str,
    pub user: &'a str,
}

impl<'a> Upid<'a> {
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let printable = text.len() <= LIMIT && text.bytes().all(|byte| byte.is_ascii_graphic());
        let parts: Vec<&str> = text.split(':').take(10).collect();
        let ["UPID", node, pid, ticks, start, task_type, id, user, ""] = parts.as_slice() else {
            return None;
        };
        let named = !node.is_empty() && !task_type.is_empty() && !user.is_empty();
        (printable && named).then_some(())?;
        Some(Self {
            node,
            pid: u32::from_str_radix(pid, 16).ok()?,
            start_ticks: u64::from_str_radix(ticks, 16).ok()?,
            started: u32::from_str_radix(start, 16).ok()?,
            task_type,
            id,
            user,
        })
    }

    /// Path of the task's log on its node.
    #[must_use]
    pub fn log_path(text: &'a str) -> Option<String> {
        let upid = Self::parse(text)?;
        // It becomes part of a path.
        let last = upid.started & 0xf;
        (!text.contains('/')).then(|| format!("/var/log/pve/tasks/{last:X}/{text}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "UPID:pve1:00001095:0008B409:6B02DE20:vzdump:111:root@pam!cron:";

    #[test]
    fn parts_are_told() {
        let upid = Upid::parse(TEXT).unwrap();
        assert_eq!(
            (upid.pid, upid.start_ticks, upid.started),
            (4245, 570_377, 1_795_350_048)
        );
        assert_eq!(
            (upid.node, upid.task_type, upid.id),
            ("pve1", "vzdump", "111")
        );
        assert_eq!(upid.user, "root@pam!cron");
        assert_eq!(
            Upid::log_path(TEXT).unwrap(),
            format!("/var/log/pve/tasks/0/{TEXT}")
        );
        let no_id = "UPID:pve1:000000FD:0002F277:6B02CF64:aptupdate::root@pam:";
        assert_eq!(Upid::parse(no_id).unwrap().id, "");
    }

    #[test]
    fn other_text_is_none() {
        for text in [
            "",
            "UPID:",
            "UPID:a:1:2:3:t:i:u",
            "UPID:a:1:2:3:t:i:u:x",
            "UPID:a:x:2:3:t:i:u:",
        ] {
            assert_eq!(Upid::parse(text), None, "{text}");
        }
        assert_eq!(Upid::log_path("UPID:a:1:2:3:t:../../x:u:"), None);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_not(text in "(UPID)?(:[0-9A-Fa-z@]{0,9}){0,9}\\PC{0,3}") {
            if let Some(upid) = Upid::parse(&text) {
                prop_assert!(text.contains(upid.task_type));
            }
        }
    }
}
