//! Guest commands: whether their policy and their record can be used.

use std::path::Path;

use super::report::Item;
use crate::{
    audit::{AuditError, Report, verify},
    guest::{catalogue::Catalogue, review::review},
    host::{GUEST_POLICY, Host},
};

pub(super) fn look(root: &Path, record: &Path, is_root: bool) -> Vec<Item> {
    if !is_root {
        return vec![
            Item::unknown("the policy and the record of guest commands")
                .why("only root may read them")
                .fix("run this as root"),
        ];
    }
    let record = match record.as_os_str().is_empty() {
        true => Item::warning("guest commands are off")
            .why("the settings say so")
            .fix("give the section `audit` of the settings a `directory`"),
        false => recorded(record, verify(record, None)),
    };
    vec![policy(root), record]
}

fn policy(root: &Path) -> Item {
    let usable = |text: Option<String>| {
        let host = Host::open(root).map_err(|error| error.to_string())?;
        let catalogue = Catalogue::embedded().map_err(|error| error.to_string())?;
        let text = text.unwrap_or_default();
        review(&host, &catalogue, &text).map_err(|error| error.to_string())
    };
    let text = Host::open(root)
        .map_err(|error| error.to_string())
        .and_then(|host| host.read_guest_policy().map_err(|error| error.detail));
    match text.and_then(usable) {
        Ok(review) => Item::ok(format!("{GUEST_POLICY}: profile {}", review.profile)),
        Err(why) => Item::problem(format!(
            "{GUEST_POLICY} cannot be used, so nothing is allowed in any guest"
        ))
        .why(super::gist(&why))
        .fix("correct it; `pvelens-agent policy check` reads it again"),
    }
}

fn recorded(directory: &Path, report: Result<Report, AuditError>) -> Item {
    let shown = directory.display();
    match report {
        Ok(report) if report.is_fine() => Item::ok(match report.last {
            Some(last) => format!("{shown} is as it was written, to record {}", last.sequence),
            None => format!("no guest command was asked for; {shown} is empty"),
        }),
        Ok(report) => {
            let why = report.problems.first().map(ToString::to_string);
            Item::problem(format!("the record of guest commands in {shown} is not as it was written"))
                .why(why.unwrap_or_else(|| "its end is not whole".to_owned()))
                .fix("`pvelens-agent audit verify` says more; no command runs meanwhile")
        }
        Err(error) => Item::problem("the record of guest commands cannot be read")
            .why(error.to_string())
            .fix("the agent makes it when it starts; `journalctl -u pvelens-agent -n 30` may say why not"),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        audit::{Audit, Event, Options, Reaped},
        cli::doctor::report::State,
    };

    fn states(root: &Path, record: &Path) -> Vec<State> {
        let items = look(root, record, true);
        items.iter().map(|item| item.state).collect()
    }

    #[test]
    fn what_stops_guest_commands_is_a_problem() {
        let tree = TempDir::new().unwrap();
        let record = tree.path().join("audit");
        assert_eq!(states(tree.path(), &record), [State::Ok, State::Problem]);
        let audit = Audit::open(&record, &Options::new(1 << 20, "")).unwrap();
        assert_eq!(states(tree.path(), &record), [State::Ok, State::Ok]);
        audit.append(Event::reaped(Reaped::default())).unwrap();
        let file = record.join("audit-00000000000000000001.jsonl");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("\"vmid\":0", "\"vmid\":1")).unwrap();
        fs::create_dir_all(tree.path().join("etc/pvelens")).unwrap();
        fs::write(
            tree.path().join("etc/pvelens/guest-policy.toml"),
            "allow = 1\n",
        )
        .unwrap();
        assert_eq!(
            states(tree.path(), &record),
            [State::Problem, State::Problem]
        );
        let off = look(tree.path(), Path::new(""), true);
        assert_eq!(off[1].state, State::Warning);
        let other = look(tree.path(), &record, false);
        assert_eq!((other.len(), other[0].state), (1, State::Unknown));
    }
}
