//! What we read from the recordings of a real cluster, against what the API of
//! Proxmox VE answered there at the same time.
//!
//! `tests/oracle/tolerances.toml` says for every value of the API what it is
//! compared with and how close it must be, or why it is not compared. Run with
//! `--nocapture` to see how many values were compared.

#[path = "oracle/api.rs"]
mod api;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/config.rs"]
mod config;
#[path = "oracle/context.rs"]
mod context;
#[path = "oracle/facts.rs"]
mod facts;
#[path = "oracle/figures.rs"]
mod figures;
#[path = "oracle/files.rs"]
mod files;
#[path = "oracle/inventory.rs"]
mod inventory;
#[path = "oracle/merged.rs"]
mod merged;
#[path = "oracle/recordings.rs"]
mod recordings;
#[path = "oracle/table.rs"]
mod table;

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::PathBuf};

    use crate::{
        compare::{self, Account},
        figures, inventory, merged,
        recordings::{self, STATES},
        table::Table,
    };

    /// The archives, or `None` with a line that says so.
    fn archives() -> Option<PathBuf> {
        let folder = recordings::folder();
        if folder.is_dir() {
            return Some(folder);
        }
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "no recordings at {}", folder.display());
        say(&format!(
            "SKIPPED oracle: no recordings at {}",
            folder.display()
        ));
        None
    }

    #[expect(
        clippy::print_stderr,
        reason = "the report of this test, shown with --nocapture"
    )]
    fn say(text: &str) {
        eprintln!("{text}");
    }

    fn report(account: &Account, table: &Table) -> String {
        let mut text = String::from("\ncompared:\n");
        for kind in table.kinds() {
            let count = account.compared.get(kind).copied().unwrap_or(0);
            writeln!(text, "{count:>8}  {kind}").unwrap();
        }
        for (title, rows) in [
            ("excluded", &table.excluded),
            ("not carried", &table.not_carried),
        ] {
            writeln!(text, "{title}:").unwrap();
            for row in rows {
                writeln!(
                    text,
                    "{:>8}  {} {}: {}",
                    row.used.get(),
                    row.records.join(" "),
                    row.fields.join(" "),
                    row.reason
                )
                .unwrap();
            }
        }
        text
    }

    #[test]
    fn every_value_of_the_api_is_ours_or_accounted_for() {
        let Some(archives) = archives() else { return };
        let table = Table::load().unwrap();
        let mut account = Account::default();
        for name in STATES {
            let state = recordings::unpack(&archives, name).unwrap();
            let nodes = compare::collect(&state, &mut account).unwrap();
            figures::compare(&state, &nodes, &table, &mut account).unwrap();
            inventory::compare(&state, &nodes, &table, &mut account).unwrap();
            merged::compare(&state, &nodes, &table, &mut account).unwrap();
            compare::compare(&state, &nodes, &table, &mut account).unwrap();
        }
        say(&report(&account, &table));
        for kind in table.kinds() {
            let count = account.compared.get(kind).copied().unwrap_or(0);
            assert!(count > 0, "nothing was compared as {kind}");
        }
        assert!(
            account.wrong.is_empty(),
            "{} values are wrong:\n{}",
            account.wrong.len(),
            account.wrong.join("\n")
        );
        let idle = table.idle_rows();
        assert!(
            idle.is_empty(),
            "rows of the table without use:\n{}",
            idle.join("\n")
        );
    }
}
