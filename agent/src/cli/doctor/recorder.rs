//! The flight recorder: what it kept of emergencies, and whether that can be read.

use std::{io, path::Path};

use super::report::Item;
use crate::{
    cli::flight::{second, signs},
    recorder::{Recorded, read},
};

pub(super) fn look(directory: &Path) -> Item {
    if directory.as_os_str().is_empty() {
        return Item::warning("nothing is recorded in an emergency")
            .why("the settings say so")
            .fix("give the section `recorder` of the settings a `directory`");
    }
    item(directory, read(directory, |_, _| {}))
}

fn item(directory: &Path, recorded: io::Result<Recorded>) -> Item {
    let shown = directory.display();
    let recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Item::unknown(format!("what was recorded: {shown} is closed to this user"))
                .why("only root may read it")
                .fix("run this as root");
        }
        Err(error) => {
            return Item::problem(format!("{shown} cannot be read"))
                .why(error.to_string())
                .fix("look at the directory; an emergency would not be recorded there");
        }
    };
    if let Some(problem) = recorded.problems.first() {
        return Item::warning(format!("not all of {shown} can be read"))
            .why(format!("{}: {}", problem.file, problem.what))
            .fix("`pvelens-agent flight` shows the rest; new records replace what is damaged");
    }
    match recorded.emergencies.last() {
        None => Item::ok(format!("no emergency is recorded in {shown}")),
        Some(last) if last.ended.is_some() => Item::ok(format!(
            "the last emergency began {} and is over: {}",
            second(last.began),
            signs(last)
        )),
        Some(last) => Item::warning(format!(
            "an emergency began {}, and no end of it is recorded: {}",
            second(last.began),
            signs(last)
        ))
        .why("it goes on, or the node was reset in it")
        .fix("`pvelens-agent flight` shows the minutes before and after"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        cli::doctor::report::State,
        recorder::{Emergency, Problem, Sign},
    };

    fn looked(recorded: io::Result<Recorded>) -> Item {
        item(Path::new("/var/lib/pvelens-agent/flight"), recorded)
    }

    fn emergency(ended: Option<i64>) -> Recorded {
        let at = |second| Timestamp::from_second(1_795_349_000 + second).unwrap();
        Recorded {
            emergencies: vec![Emergency {
                began: at(0),
                signs: vec![Sign::QuorumLost],
                ended: ended.map(at),
                last: at(60),
                updates: 7,
                left_out_samples: 0,
                moments: Vec::new(),
            }],
            ..Recorded::default()
        }
    }

    #[test]
    fn an_emergency_without_an_end_is_pointed_at() {
        let open = looked(Ok(emergency(None)));
        assert_eq!(open.state, State::Warning);
        assert!(open.what.contains("no end of it is recorded"), "{open:?}");
        assert!(open.fix.contains("pvelens-agent flight"), "{open:?}");
        let over = looked(Ok(emergency(Some(60))));
        assert_eq!(over.state, State::Ok);
        assert!(over.what.contains("is over"), "{over:?}");
        assert_eq!(looked(Ok(Recorded::default())).state, State::Ok);
    }

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(looked(Err(denied)).state, State::Unknown);
        let file = io::Error::from(io::ErrorKind::NotADirectory);
        assert_eq!(looked(Err(file)).state, State::Problem);
        let mut damaged = emergency(Some(60));
        damaged.problems.push(Problem {
            file: "3".to_owned(),
            what: "the checksum is wrong".to_owned(),
        });
        let damaged = looked(Ok(damaged));
        assert_eq!(damaged.state, State::Warning);
        assert_eq!(damaged.why, "3: the checksum is wrong");
        let off = look(Path::new(""));
        assert_eq!(off.state, State::Warning);
    }
}
