//! `cargo demo` as a newcomer runs it.

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Command};

    /// Lines of a report, at any size of cluster.
    const REPORT_LINES: usize = 40;

    fn demo(directory: &Path, arguments: &[&str]) -> (String, bool) {
        let output = Command::new(env!("CARGO_BIN_EXE_pvelens-demo"))
            .args(arguments)
            .env("TMPDIR", directory)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (text, output.status.success())
    }

    #[test]
    fn the_report_names_what_was_planted_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (text, success) = demo(directory.path(), &["--once", "--labels"]);
        assert!(success, "{text}");
        assert!(text.contains("CRITICAL"), "{text}");
        assert!(text.ends_with("found exactly these\n"), "{text}");
        let (report, _) = text.split_once("\nplanted: ").unwrap();
        assert!(report.lines().count() <= REPORT_LINES, "{report}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_healthy_cluster_is_said_to_be_healthy_and_its_files_can_be_kept() {
        let directory = tempfile::tempdir().unwrap();
        let kept = directory.path().join("kept");
        let path = kept.to_str().unwrap();
        let arguments = [
            "--once",
            "--healthy",
            "--labels",
            "--nodes",
            "1",
            "--dir",
            path,
        ];
        let (text, success) = demo(directory.path(), &arguments);
        assert!(success, "{text}");
        assert!(text.contains("HEALTHY"), "{text}");
        assert!(
            text.ends_with("planted: nothing\nfound exactly these\n"),
            "{text}"
        );
        assert!(kept.join("nodes/pve1/etc/pve/storage.cfg").is_file());
        assert!(kept.join("nodes/labels.json").is_file());
    }
}
