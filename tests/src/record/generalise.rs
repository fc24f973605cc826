//! From what was refused on one system to what any node refuses.

use std::collections::BTreeMap;

use pvelens_agent::host::fits;
use pvelens_proto::agent::v1::FailureKind;

use super::{Place, Refusal, probe};

/// Patterns of the refused paths: numbers below `/proc` (processes, threads, file
/// descriptors) stand for all, unless something readable fits, too. What lies in a
/// directory, or behind a link, is refused with it.
pub(super) fn patterns(
    refused: &BTreeMap<String, Refusal>,
    readable: &[String],
) -> BTreeMap<String, FailureKind> {
    let is_true = |patterns: &Vec<String>| {
        let fits_none = |path| !patterns.iter().any(|pattern| fits(pattern, path));
        readable.iter().all(|path| fits_none(path))
    };
    let mut all = BTreeMap::new();
    for (path, refusal) in refused {
        let end = match refusal.place {
            Place::File => "",
            Place::Directory | Place::Link => "/**",
        };
        let path = format!("{path}{end}");
        let any_name = vec![of_any_process(&path, "*")];
        // `/proc/*/io` is also the pressure of I/O.
        let any_number = (1..=9).map(|digit| of_any_process(&path, &format!("{digit}*")));
        let patterns = [any_name, any_number.collect()]
            .into_iter()
            .find(is_true)
            .unwrap_or_else(|| vec![path]);
        all.extend(patterns.into_iter().map(|pattern| (pattern, refusal.kind)));
    }
    all
}

/// Puts a pattern in the place of the process, and `*` in that of other numbers.
fn of_any_process(path: &str, process: &str) -> String {
    if !path.starts_with("/proc/") {
        return path.to_owned();
    }
    let names: Vec<&str> = path
        .split('/')
        .enumerate()
        .map(|(index, name)| match index {
            _ if !probe::is_number(name) => name,
            2 => process,
            _ => "*",
        })
        .collect();
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(paths: &[(&str, Place)]) -> BTreeMap<String, Refusal> {
        let kind = FailureKind::PermissionDenied;
        paths
            .iter()
            .map(|(path, place)| {
                let place = *place;
                ((*path).to_owned(), Refusal { place, kind })
            })
            .collect()
    }

    fn names(patterns: &BTreeMap<String, FailureKind>) -> Vec<&str> {
        patterns.keys().map(String::as_str).collect()
    }

    #[test]
    fn a_process_stands_for_all_and_a_directory_for_what_is_in_it() {
        let refused = refused(&[
            ("/proc/1/io", Place::File),
            ("/proc/7/io", Place::File),
            ("/proc/7/root", Place::Link),
            ("/proc/7/fd/3", Place::Link),
            ("/srv/8/io", Place::Directory),
        ]);
        assert_eq!(
            names(&patterns(&refused, &["/proc/1/stat".to_owned()])),
            [
                "/proc/*/fd/*/**",
                "/proc/*/io",
                "/proc/*/root/**",
                "/srv/8/io/**"
            ]
        );
    }

    #[test]
    fn what_is_readable_beside_processes_stays_readable() {
        let refused = refused(&[("/proc/7/io", Place::File)]);
        let patterns = patterns(&refused, &["/proc/pressure/io".to_owned()]);
        assert_eq!(patterns.len(), 9);
        assert!(patterns.contains_key("/proc/7*/io"), "{patterns:?}");
    }

    #[test]
    fn what_some_processes_show_is_not_refused_for_all() {
        let refused = refused(&[("/proc/1/fdinfo/3", Place::File)]);
        let readable = ["/proc/7/fdinfo/3".to_owned()];
        assert_eq!(names(&patterns(&refused, &readable)), ["/proc/1/fdinfo/3"]);
    }
}
