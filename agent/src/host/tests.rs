//! What `Host` refuses, and how it names it.

use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;

fn tree(files: &[(&str, &str)]) -> (TempDir, Host) {
    let directory = TempDir::new().unwrap();
    for (path, content) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let host = Host::open(directory.path()).unwrap();
    (directory, host)
}

fn kind<T: std::fmt::Debug>(result: Result<T, SourceError>) -> FailureKind {
    result.unwrap_err().kind
}

#[test]
fn a_file_is_read_up_to_its_limit() {
    let (_directory, host) = tree(&[("proc/stat", "12345")]);
    assert_eq!(host.read("/proc/stat", 5).unwrap(), "12345");
    assert_eq!(kind(host.read("/proc/stat", 4)), FailureKind::TooLarge);
    assert_eq!(kind(host.read("/proc/none", 4)), FailureKind::NotFound);
    assert_eq!(kind(host.read("/proc", 4)), FailureKind::NotAFile);
}

#[test]
fn a_sparse_giant_costs_no_more_than_the_limit() {
    let (directory, host) = tree(&[("big", "")]);
    let file = fs::File::create(directory.path().join("big")).unwrap();
    file.set_len(100 << 20).unwrap();
    assert_eq!(kind(host.read("/big", 1 << 16)), FailureKind::TooLarge);
    assert_eq!(
        kind(host.read_first_line("/big", 1 << 16)),
        FailureKind::TooLarge
    );
}

#[test]
fn a_fifo_neither_blocks_nor_counts_as_a_file() {
    let (directory, host) = tree(&[]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    assert_eq!(kind(host.read("/pipe", 10)), FailureKind::NotAFile);
}

#[test]
fn text_that_is_not_utf8_names_the_byte() {
    let (directory, host) = tree(&[]);
    fs::write(directory.path().join("latin1"), b"ab\xe9").unwrap();
    let error = host.read("/latin1", 10).unwrap_err();
    assert_eq!(error.kind, FailureKind::NotUtf8);
    assert_eq!(error.detail, "not UTF-8 at byte 2");
}

#[test]
fn links_stay_inside_the_root() {
    let (directory, host) = tree(&[("etc/pve/ceph.conf", "in\n"), ("etc/hostname", "n\n")]);
    fs::create_dir_all(directory.path().join("etc/ceph")).unwrap();
    symlink(
        "/etc/pve/ceph.conf",
        directory.path().join("etc/ceph/ceph.conf"),
    )
    .unwrap();
    symlink(
        "../../../../../../etc/hostname",
        directory.path().join("up"),
    )
    .unwrap();
    assert_eq!(host.read("/etc/ceph/ceph.conf", 10).unwrap(), "in\n");
    // Above the root is the root, as in a chroot.
    assert_eq!(host.read("/up", 10).unwrap(), "n\n");
    assert_eq!(host.read("/../../etc/hostname", 10).unwrap(), "n\n");
}

#[test]
fn banned_paths_stay_closed_behind_harmless_names() {
    let (directory, host) = tree(&[
        ("etc/pve/nodes/pve1/priv/secret", "s"),
        ("etc/pve/nodes/pve1/pve-ssl.key", "s"),
        ("etc/pve/priv/shadow.cfg", "s"),
        ("proc/7/io", "s"),
    ]);
    let root = directory.path();
    symlink("nodes/pve1", root.join("etc/pve/local")).unwrap();
    symlink("priv/shadow.cfg", root.join("etc/pve/storage.cfg")).unwrap();
    symlink("/etc/pve/nodes/pve1/pve-ssl.key", root.join("notes")).unwrap();
    symlink("/proc/7", root.join("innocent")).unwrap();
    for path in [
        "/etc/pve/priv/shadow.cfg",
        "/etc/pve/local/priv/secret",
        "/etc/pve/nodes/../priv/shadow.cfg",
        "/etc//pve///priv/./shadow.cfg",
        "/etc/pve/storage.cfg",
        "/notes",
        "/innocent/io",
        "/proc/7/io",
    ] {
        assert_eq!(kind(host.read(path, 10)), FailureKind::Banned, "{path}");
        assert!(!host.exists(path), "{path}");
    }
    assert_eq!(kind(host.list("/etc/pve/local/priv")), FailureKind::Banned);
}

#[test]
fn magic_links_of_proc_are_refused() {
    let host = Host::open(Path::new("/")).unwrap();
    assert!(host.is_live());
    assert_eq!(kind(host.read("/proc/self/exe", 10)), FailureKind::Banned);
    assert_eq!(kind(host.read("/proc/self/cwd/x", 10)), FailureKind::Banned);
}

#[test]
fn a_first_line_needs_its_newline() {
    let (_directory, host) = tree(&[("a", "one\ntwo\n"), ("b", "one"), ("c", "")]);
    assert_eq!(host.read_first_line("/a", 10).unwrap(), "one");
    assert_eq!(kind(host.read_first_line("/b", 10)), FailureKind::Truncated);
    assert_eq!(kind(host.read_first_line("/c", 10)), FailureKind::Truncated);
    assert_eq!(kind(host.read_first_line("/a", 2)), FailureKind::TooLarge);
}

#[test]
fn a_torn_dot_file_is_truncated() {
    let (_directory, host) = tree(&[("m", "{\"a\":")]);
    let complete = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
    assert_eq!(
        kind(host.read_dot_file("/m", 100, complete)),
        FailureKind::Truncated
    );
}

#[test]
fn names_are_sorted_and_links_are_read_as_written() {
    let (directory, host) = tree(&[("d/b", ""), ("d/a", "")]);
    symlink("nodes/pve1", directory.path().join("local")).unwrap();
    assert_eq!(host.list("/d").unwrap(), ["a", "b"]);
    assert_eq!(host.link_target("/local").unwrap(), "nodes/pve1");
    assert!(host.link_target("/d/a").is_err());
}

#[test]
fn fixture_sizes_come_from_the_tree() {
    let json = r#"{"/": {"total_bytes": 10, "free_bytes": 4, "available_bytes": 3, "inodes_total": 2, "inodes_free": 1}}"#;
    let (_directory, host) = tree(&[(".pvelens/statvfs.json", json)]);
    assert_eq!(host.statvfs("/").unwrap().unwrap().free_bytes, 4);
    assert_eq!(host.statvfs("/other").unwrap(), None);
    let (_directory, broken) = tree(&[(".pvelens/statvfs.json", "{")]);
    assert_eq!(kind(broken.statvfs("/")), FailureKind::Malformed);
}

#[test]
fn what_a_recording_refuses_is_refused_and_exists_as_far_as_the_tree_says() {
    let refused = r#"{"/proc/7/stat": "permission_denied", "/etc/pve/nodes/a/lxc": "disconnected",
        "/sys/link": "permission_denied", "/hidden/x": "io"}"#;
    let (directory, host) = tree(&[
        ("proc/7/stat", "7"),
        ("etc/pve/nodes/a/lxc", ""),
        ("etc/pve/nodes/a/free", "free"),
    ]);
    fs::create_dir_all(directory.path().join("sys")).unwrap();
    symlink("nowhere", directory.path().join("sys/link")).unwrap();
    symlink("proc/7/stat", directory.path().join("stat")).unwrap();
    symlink("nodes/a", directory.path().join("etc/pve/local")).unwrap();
    assert_eq!(host.read("/proc/7/stat", 10).unwrap(), "7");

    fs::create_dir(directory.path().join(".pvelens")).unwrap();
    fs::write(directory.path().join(".pvelens/refused.json"), refused).unwrap();
    let host = Host::open(directory.path()).unwrap();
    for path in ["/proc/7/stat", "//proc/./7/stat", "/proc/7/../7/stat"] {
        let error = host.read(path, 10).unwrap_err();
        assert_eq!(error.kind, FailureKind::PermissionDenied, "{path}");
        assert_eq!(error.path, path);
        assert!(host.exists(path), "{path}");
    }
    for path in ["/etc/pve/nodes/a/lxc", "/etc/pve/local/lxc"] {
        assert_eq!(kind(host.list(path)), FailureKind::Disconnected, "{path}");
    }
    assert_eq!(
        kind(host.link_target("/sys/link")),
        FailureKind::PermissionDenied
    );
    // A link can be read whatever it leads to.
    assert_eq!(host.link_target("/stat").unwrap(), "proc/7/stat");
    assert_eq!(kind(host.read("/stat", 10)), FailureKind::PermissionDenied);
    assert_eq!(kind(host.read("/hidden/x", 10)), FailureKind::Io);
    assert!(!host.exists("/hidden/x"));
    assert_eq!(host.read("/etc/pve/local/free", 10).unwrap(), "free");
    assert_eq!(host.list("/etc/pve/local").unwrap(), ["free", "lxc"]);
}

#[test]
fn a_pattern_refuses_what_fits_unless_the_path_itself_is_named() {
    let (_directory, host) = tree(&[
        (
            ".pvelens/refused.json",
            r#"{"/sys/*/size": "permission_denied", "/opt/**": "not_found", "/sys/b/size": "io"}"#,
        ),
        ("sys/a/size", "1"),
        ("sys/a/model", "m"),
        ("sys/b/size", "2"),
        ("opt/a/b", "x"),
    ]);
    let denied = FailureKind::PermissionDenied;
    assert_eq!(kind(host.read("/sys/a/size", 10)), denied);
    assert_eq!(kind(host.read("//sys/b/../a//size", 10)), denied);
    assert_eq!(kind(host.read("/sys/b/size", 10)), FailureKind::Io);
    assert_eq!(host.read("/sys/a/model", 10).unwrap(), "m");
    assert_eq!(kind(host.list("/opt")), FailureKind::NotFound);
    assert_eq!(kind(host.read("/opt/a/b", 10)), FailureKind::NotFound);
}

#[test]
fn a_recording_with_a_broken_list_of_refused_paths_is_not_opened() {
    for (text, place) in [
        ("{\"/a\": \"permission_denied\"", "line 1, "),
        ("{\n\"/a\": \"denied\"}", "line 2, "),
        ("{\"/a\": \"Permission_denied\"}", "line 1, "),
        ("{\"/a\": \"unspecified\"}", "line 1, "),
        ("{\"a\": \"io\"}", "line 1, "),
        ("{\"/a/../b\": \"io\"}", "line 1, "),
        ("[]", "line 1, "),
    ] {
        let (directory, _) = tree(&[(".pvelens/other", "")]);
        fs::write(directory.path().join(".pvelens/refused.json"), text).unwrap();
        let error = Host::open(directory.path()).unwrap_err();
        assert_eq!(error.kind, FailureKind::Malformed, "{text}");
        assert_eq!(error.path, "/.pvelens/refused.json");
        assert!(error.detail.starts_with(place), "{text}: {}", error.detail);
    }
    let (directory, _) = tree(&[(".pvelens/other", "")]);
    let file = fs::File::create(directory.path().join(".pvelens/refused.json")).unwrap();
    file.set_len(100 << 20).unwrap();
    assert_eq!(kind(Host::open(directory.path())), FailureKind::TooLarge);
}

#[test]
fn when_a_file_was_changed_is_said_by_the_kernel_and_in_a_tree_by_the_tree() {
    let live = Host::open(Path::new("/")).unwrap();
    assert!(live.modified_at("/etc/passwd").unwrap().is_some());
    let times = r#"{"/a": 1795349087, "/b": 9223372036854775807, "/d": 1}"#;
    let (_directory, host) = tree(&[
        ("a", ""),
        ("b", ""),
        ("c", ""),
        ("d/e", ""),
        (".pvelens/modified.json", times),
    ]);
    let time = host.modified_at("/a").unwrap().unwrap();
    assert_eq!(time.as_second(), 1_795_349_087);
    // Out of range, and not told.
    assert_eq!(host.modified_at("/b"), Ok(None));
    assert_eq!(host.modified_at("/c"), Ok(None));
    let kind = |path| host.modified_at(path).unwrap_err().kind;
    assert_eq!(kind("/d"), FailureKind::NotAFile);
    assert_eq!(kind("/gone"), FailureKind::NotFound);
    assert_eq!(kind("/etc/shadow"), FailureKind::Banned);
    let (_directory, broken) = tree(&[("a", ""), (".pvelens/modified.json", "{")]);
    let error = broken.modified_at("/a").unwrap_err();
    assert_eq!(error.path, "/.pvelens/modified.json");
}
