//! `/etc/passwd`: who else is root, and which accounts of programs may log in.

use crate::format::{FormatError, plain, whole_lines};

/// Last components of shells that let nobody in (`shells(5)`, `nologin(8)`).
const NO_LOGIN: &[&str] = &["false", "halt", "nologin", "shutdown", "sync", "true"];

/// What is taken of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts {
    pub(super) other_roots: Vec<String>,
    pub(super) system_logins: u32,
}

/// Lines of seven fields with colons between them (`passwd(5)`). Lines of NIS,
/// which begin with a sign, and others are skipped.
pub(super) fn parse(text: &str) -> Result<Accounts, FormatError> {
    let mut accounts = Accounts::default();
    for line in whole_lines(text)?.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, id, _, _, _, shell] = fields.as_slice() else {
            continue;
        };
        match id.parse::<u32>() {
            Ok(0) if *name != "root" => {
                accounts.other_roots.push(plain::short(name, 64));
            }
            Ok(1..=999) if is_login(shell) => {
                accounts.system_logins = accounts.system_logins.saturating_add(1);
            }
            _ => {}
        }
    }
    Ok(accounts)
}

/// An empty shell is `/bin/sh`.
fn is_login(shell: &str) -> bool {
    let name = shell.trim().rsplit('/').next().unwrap_or_default();
    !NO_LOGIN.contains(&name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn other_roots_are_named_and_programs_that_may_log_in_are_counted() {
        let text = "root:x:0:0:root:/root:/bin/bash\ntoor:canary-hash:0:0:canary note:/root:/bin/sh\n\
            sync:x:4:65534:sync:/bin:/bin/sync\nbackup:x:34:34::/:/usr/sbin/nologin\n\
            postgres:x:110:115::/var/lib/postgresql:/bin/bash\nempty:x:111:115::/:\n\
            alice:x:1000:1000::/home/alice:/bin/bash\n+::::::\nbroken\n";
        let accounts = parse(text).unwrap();
        assert_eq!(accounts.other_roots, ["toor"]);
        assert_eq!(accounts.system_logins, 2);
        assert!(!format!("{accounts:?}").contains("canary"));
        assert!(parse("root:x:0:0:root:/root:/bin/ba").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(([a-z]{0,4}:){0,2}[0-9]{0,11}(:\\PC{0,5}){0,5}\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
