//! What a guest runs, as far as questions differ by it.

/// Kinds of operating systems that the catalogue tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuestSystem {
    Linux,
    Windows,
    /// Known, and neither: the BSDs and Solaris.
    Other,
    /// Nobody told.
    #[default]
    Unknown,
}

/// Ids and names of systems begin with a few words; more is not looked at.
const LOOKED_AT: usize = 200;

/// Settings of Proxmox VE for Windows: `ostype` of a VM.
const WINDOWS_TYPES: &[&str] = &[
    "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11",
];
/// Settings of Proxmox VE for the others.
const LINUX_TYPES: &[&str] = &["l24", "l26"];

/// Words of ids (os-release, `ostype` of a container) and names of Linux.
const LINUX: &[&str] = &[
    "linux",
    "gnu",
    "debian",
    "ubuntu",
    "mint",
    "linuxmint",
    "kali",
    "raspbian",
    "devuan",
    "proxmox",
    "pop",
    "alpine",
    "arch",
    "archlinux",
    "archarm",
    "manjaro",
    "endeavouros",
    "gentoo",
    "slackware",
    "void",
    "nixos",
    "guix",
    "fedora",
    "centos",
    "rhel",
    "redhat",
    "rocky",
    "almalinux",
    "oracle",
    "ol",
    "amzn",
    "scientific",
    "cloudlinux",
    "virtuozzo",
    "eurolinux",
    "suse",
    "opensuse",
    "sles",
    "sled",
    "mageia",
    "photon",
    "flatcar",
    "coreos",
    "rancheros",
    "talos",
    "bottlerocket",
    "openwrt",
    "buildroot",
    "yocto",
    "openeuler",
    "clearlinux",
    "azurelinux",
    "mariner",
    "deepin",
    "parrot",
    "zorin",
    "elementary",
    "turnkey",
    "haos",
    "hassos",
    "truenas-scale",
    "unmanaged",
];

/// Words of what is neither.
const OTHER: &[&str] = &[
    "freebsd",
    "openbsd",
    "netbsd",
    "dragonfly",
    "dragonflybsd",
    "ghostbsd",
    "pfsense",
    "opnsense",
    "truenas",
    "freenas",
    "solaris",
    "illumos",
    "omnios",
    "openindiana",
    "smartos",
    "macos",
    "darwin",
    "haiku",
    "reactos",
    "minix",
    "other",
];

impl GuestSystem {
    /// Of what the guest agent, `/etc/os-release` or Proxmox VE call it, in any case:
    /// an id (`debian`, `mswindows`), a name (`Debian GNU/Linux 12`) or an `ostype`
    /// (`l26`, `win11`). Empty or not recognised is [`GuestSystem::Unknown`].
    #[must_use]
    pub fn of(os: &str) -> Self {
        let os: String = os.trim().chars().take(LOOKED_AT).collect();
        let os = os.to_ascii_lowercase();
        // Before the words of Linux: "Windows Subsystem for Linux" is nothing of ours.
        if os.contains("windows") || WINDOWS_TYPES.contains(&&*os) {
            return Self::Windows;
        }
        if LINUX_TYPES.contains(&&*os) {
            return Self::Linux;
        }
        let has = |known: &[&str]| words(&os).any(|word| known.contains(&word));
        match (has(LINUX), has(OTHER)) {
            (true, _) => Self::Linux,
            (false, true) => Self::Other,
            (false, false) => Self::Unknown,
        }
    }
}

/// Words with what stands before a digit or a hyphen as a word of its own:
/// `opensuse-leap`, `TrueNAS-SCALE`, `centos7`.
fn words(os: &str) -> impl Iterator<Item = &str> {
    let whole = os.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let parts = os.split(|c: char| !c.is_ascii_alphabetic());
    whole.chain(parts).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_names_and_settings_tell_the_system() {
        let cases = [
            ("debian", GuestSystem::Linux),
            ("alpine", GuestSystem::Linux),
            ("Debian GNU/Linux 12 (bookworm)", GuestSystem::Linux),
            ("opensuse-leap", GuestSystem::Linux),
            ("Rocky Linux 9.4", GuestSystem::Linux),
            ("centos7", GuestSystem::Linux),
            ("TrueNAS-SCALE 24.10", GuestSystem::Linux),
            (" l26 ", GuestSystem::Linux),
            ("linux", GuestSystem::Linux),
            ("mswindows", GuestSystem::Windows),
            (
                "Microsoft Windows Server 2022 Standard",
                GuestSystem::Windows,
            ),
            ("WIN11", GuestSystem::Windows),
            ("w2k8", GuestSystem::Windows),
            ("windows", GuestSystem::Windows),
            ("FreeBSD 14.1-RELEASE", GuestSystem::Other),
            ("solaris", GuestSystem::Other),
            ("other", GuestSystem::Other),
            ("", GuestSystem::Unknown),
            ("   ", GuestSystem::Unknown),
            ("twin10", GuestSystem::Unknown),
            ("archery club", GuestSystem::Unknown),
        ];
        for (os, system) in cases {
            assert_eq!(GuestSystem::of(os), system, "{os:?}");
        }
        assert_eq!(
            GuestSystem::of(&"\u{0}ß".repeat(1_000_000)),
            GuestSystem::Unknown
        );
    }
}
