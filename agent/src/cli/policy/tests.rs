use std::fs;

use tempfile::TempDir;

use super::*;

fn tree(policy: &str) -> (TempDir, Host) {
    let tree = TempDir::new().unwrap();
    let guests = tree.path().join("etc/pve/nodes/pve1/qemu-server");
    fs::create_dir_all(&guests).unwrap();
    std::os::unix::fs::symlink("nodes/pve1", tree.path().join("etc/pve/local")).unwrap();
    let config = "agent: 1\nname: web1\nmeta: creation-qemu=9.0.2,ctime=1650984230\n";
    fs::write(guests.join("101.conf"), config).unwrap();
    let directory = tree.path().join("etc/pvelens");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("guest-policy.toml"), policy).unwrap();
    let host = Host::open(tree.path()).unwrap();
    (tree, host)
}

fn checked(policy: &str) -> (String, Value) {
    let (_tree, host) = tree(policy);
    let reviewed = review(&host, &Catalogue::embedded().unwrap(), policy);
    let file = Path::new(GUEST_POLICY);
    (
        check_text(file, true, &reviewed).unwrap(),
        check_object(file, true, &reviewed),
    )
}

#[test]
fn an_error_is_shown_with_its_place() {
    let (text, object) = checked("profile = \"standard\"\n[[allow]]\nguest = [101]\n");
    assert!(
        text.contains("cannot be used, and nothing is allowed"),
        "{text}"
    );
    assert!(
        text.contains("line 3, column 1") && text.contains("guest = [101]"),
        "{text}"
    );
    assert_eq!(object["is_usable"], false);
    let (text, _) = checked("[[allow]]\nguests = [101]\ncommands = [\"shell\"]\n");
    assert!(
        text.contains("rule 1 of allow: there is no command `shell`"),
        "{text}"
    );
}

#[test]
fn the_pin_of_a_guest_can_be_taken_over() {
    let (text, object) = checked("[[allow]]\nguests = [101]\ncommands = [\"memory\"]\n");
    assert!(
        text.contains("Rule 1 of allow, 101: now web1, and later whoever gets this VMID; \"101@1650984230\" is web1 alone."),
        "{text}"
    );
    assert_eq!(object["remarks"][0]["pin"], "101@1650984230");
    let (text, _) = checked("[[allow]]\nguests = [\"101@1650984230\"]\ncommands = [\"memory\"]\n");
    assert_eq!(
        text,
        "/etc/pvelens/guest-policy.toml can be used: profile standard, 1 rule of allow, no rule of narrow.\n"
    );
}

#[test]
fn the_shipped_policy_can_be_used_and_adds_nothing() {
    let shipped = include_str!("../../../../packaging/conf/guest-policy.toml");
    let (text, object) = checked(shipped);
    assert!(
        text.contains("no rule of allow, no rule of narrow"),
        "{text}"
    );
    assert_eq!(object["remarks"], json!([]));
    // What it shows as an example can be used as well.
    let examples: String = shipped
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rule) if rule.starts_with('[') || rule.contains(" = ") => format!("{rule}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (text, _) = checked(&examples);
    assert!(text.contains("1 rule of allow, 1 rule of narrow"), "{text}");
}

#[test]
fn commands_are_listed_by_group_with_what_runs() {
    let (_tree, host) = tree("");
    let guests = Guests::new(Arc::new(host), Audit::in_memory()).unwrap();
    let all = list_text(None, &guests.list(None)).unwrap();
    assert!(
        all.starts_with("Profile of the policy: standard\n"),
        "{all}"
    );
    let vmstat = all
        .lines()
        .find(|line| line.trim().starts_with("vmstat"))
        .unwrap();
    assert!(
        vmstat.contains("linux") && vmstat.ends_with("vmstat 1 {samples}"),
        "{vmstat}"
    );
    assert!(all.contains("{samples}: "), "{all}");
    let stopped = list_text(Some(101), &guests.list(Some(101))).unwrap();
    assert!(
        stopped.contains("Nothing runs in 101 now (not_running): 101 does not run"),
        "{stopped}"
    );
}
