//! What a person who writes a policy should know: whether it can be used, and which of
//! its rules may one day be for another guest than the one that was meant.

use pvelens_proto::agent::v1::GuestKind;

use super::{Policy, PolicyError};
use crate::{
    collector::{PMXCFS_FILE_LIMIT, identify},
    format::{free_text, guest_config},
    guest::catalogue::Catalogue,
    host::Host,
};

const NODES: &str = "/etc/pve/nodes";
const NAME_LIMIT: usize = 80;

/// A policy that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Review {
    pub(crate) profile: &'static str,
    /// Rules that add commands, and that take away.
    pub(crate) allow: usize,
    pub(crate) narrow: usize,
    pub(crate) remarks: Vec<Remark>,
}

/// About one VMID in a rule of `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// Which one, from 1.
    pub(crate) rule: usize,
    pub(crate) vmid: u32,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// It is named without the second in which it was created, which would be this.
    Unpinned { name: String, created: i64 },
    /// As before, and its configuration does not have that second.
    CannotBePinned { name: String },
    /// As before, and there is no such VM: the rule is for whoever gets the VMID.
    NobodyYet,
    /// The guest that has the VMID was created at another time, or does not say when.
    OtherGuest { name: String, created: Option<i64> },
    /// The guest that was meant is gone.
    Gone,
}

/// A VM as its configuration has it.
struct Vm {
    name: String,
    created: Option<i64>,
}

/// Looks through a policy, and at the guests that it names.
///
/// # Errors
/// When the agent would not use it.
pub(crate) fn review(
    host: &Host,
    catalogue: &Catalogue,
    text: &str,
) -> Result<Review, PolicyError> {
    let policy = Policy::parse(text, catalogue)?;
    let (own_node, _) = identify(host);
    let mut remarks = Vec::new();
    for (rule, allow) in (1..).zip(&policy.allow) {
        for vmid in allow.guests.unpinned() {
            let what = match vm(host, &own_node, vmid) {
                None => What::NobodyYet,
                Some(Vm { name, created }) => match created {
                    Some(created) => What::Unpinned { name, created },
                    None => What::CannotBePinned { name },
                },
            };
            remarks.push(Remark { rule, vmid, what });
        }
        for (vmid, pin) in allow.guests.pinned() {
            let what = match vm(host, &own_node, vmid) {
                None => What::Gone,
                Some(vm) if vm.created == Some(pin) => continue,
                Some(Vm { name, created }) => What::OtherGuest { name, created },
            };
            remarks.push(Remark { rule, vmid, what });
        }
    }
    Ok(Review {
        profile: policy.profile.name(),
        allow: policy.allow.len(),
        narrow: policy.narrow.len(),
        remarks,
    })
}

/// The VM, of this node first: the same policy may be on every node.
fn vm(host: &Host, own_node: &str, vmid: u32) -> Option<Vm> {
    let mut nodes = host.list(NODES).unwrap_or_default();
    nodes.sort_by_key(|node| node != own_node);
    nodes.iter().find_map(|node| {
        let path = format!("{NODES}/{node}/qemu-server/{vmid}.conf");
        let text = host.read(&path, PMXCFS_FILE_LIMIT).ok()?;
        let config = guest_config::parse(GuestKind::Qemu, vmid, node, &text);
        let settings = config.settings.unwrap_or_default();
        Some(Vm {
            name: free_text::bounded(&settings.name, NAME_LIMIT),
            created: settings.created_at.map(|time| time.seconds),
        })
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn remarks(policy: &str) -> Vec<Remark> {
        let tree = TempDir::new().unwrap();
        for (node, vmid, text) in [
            (
                "pve1",
                101,
                "name: web1\nmeta: creation-qemu=9.0.2,ctime=1650984230\n",
            ),
            ("pve2", 102, "name: old\n"),
        ] {
            let directory = tree
                .path()
                .join(format!("etc/pve/nodes/{node}/qemu-server"));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("{vmid}.conf")), text).unwrap();
        }
        let host = Host::open(tree.path()).unwrap();
        let text = format!("[[allow]]\nguests = [{policy}]\ncommands = [\"memory\"]\n");
        let review = review(&host, &Catalogue::embedded().unwrap(), &text).unwrap();
        assert_eq!(
            (review.allow, review.narrow, review.profile),
            (1, 0, "standard")
        );
        review.remarks
    }

    #[test]
    fn a_guest_that_is_named_by_its_number_alone_is_told_with_its_pin() {
        let whats: Vec<_> = remarks("101, \"102\", 103, \"200-299\", \"all\"")
            .into_iter()
            .map(|remark| (remark.vmid, remark.what))
            .collect();
        let name = "web1".to_owned();
        let created = 1_650_984_230;
        assert_eq!(
            whats,
            [
                (101, What::Unpinned { name, created }),
                (
                    102,
                    What::CannotBePinned {
                        name: "old".to_owned()
                    }
                ),
                (103, What::NobodyYet),
            ]
        );
    }

    #[test]
    fn a_pin_that_is_not_that_of_the_guest_is_told() {
        assert_eq!(remarks("\"101@1650984230\""), []);
        let other = remarks("\"101@1650984231\", \"103@7\"");
        assert!(
            matches!(other[0].what, What::OtherGuest { .. }),
            "{other:?}"
        );
        assert_eq!(other[1].what, What::Gone);
    }
}
