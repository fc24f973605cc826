//! Options of kernel modules that matter to guests.

use pvelens_proto::agent::v1::{HostFiles, ModprobeOption};

use super::{joined_lines, without_comment};

const MODULES: &[&str] = &[
    "kvm",
    "kvm_amd",
    "kvm_intel",
    "vfio",
    "vfio_iommu_type1",
    "vfio_pci",
];
const VALUE_LIMIT: usize = 200;

/// Lines `options module name=value` and `blacklist module` (`modprobe.d(5)`).
pub(super) fn parse(text: &str, found: &mut HostFiles) {
    for line in joined_lines(text) {
        let mut words = without_comment(&line).split_whitespace();
        match (words.next(), words.next()) {
            (Some("blacklist"), Some(_)) => {
                found.blacklisted_modules = found.blacklisted_modules.saturating_add(1);
            }
            (Some("options"), Some(module)) => {
                // The kernel takes both for the same.
                let module = module.replace('-', "_");
                let options = words.filter_map(|word| option(&module, word));
                found.module_options.extend(options);
            }
            _ => {}
        }
    }
}

fn option(module: &str, word: &str) -> Option<ModprobeOption> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let is_known = MODULES.contains(&module) || (module == "zfs" && name.starts_with("zfs_arc_"));
    let is_word = name.len() <= 64 && is_plain(name, b"_-");
    let value = Some(value).filter(|value| value.len() <= VALUE_LIMIT && is_plain(value, b"_-:.,"));
    (is_known && is_word).then(|| ModprobeOption {
        module: module.to_owned(),
        name: name.to_owned(),
        value: value.unwrap_or_default().to_owned(),
    })
}

fn is_plain(text: &str, others: &[u8]) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_of_known_modules_are_taken() {
        let mut found = HostFiles::default();
        let text = "options vfio-pci ids=10de:1eb8,10de:10f0 \\\n disable_vga=1 # canary\noptions zfs zfs_arc_max=8589934592 zvol_threads=4\n\
            options wifi key=canary\nblacklist nouveau\n# blacklist canary\noptions kvm ignore_msrs=\"can ary\"\n";
        parse(text, &mut found);
        let options: Vec<[&str; 3]> = found
            .module_options
            .iter()
            .map(|o| [o.module.as_str(), o.name.as_str(), o.value.as_str()])
            .collect();
        assert_eq!(
            options,
            [
                ["vfio_pci", "ids", "10de:1eb8,10de:10f0"],
                ["vfio_pci", "disable_vga", "1"],
                ["zfs", "zfs_arc_max", "8589934592"],
                ["kvm", "ignore_msrs", ""],
            ]
        );
        assert_eq!(found.blacklisted_modules, 1);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((options kvm|options vfio-pci|blacklist) \\PC{0,9}=?\\PC{0,9}\\\\?\n?){0,9}") {
            parse(&text, &mut HostFiles::default());
        }
    }
}
