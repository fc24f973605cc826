//! Which operating system a guest has, as far as it is known. It decides which
//! commands make sense; whether one may run decides the node.

use super::facts::GuestFacts;

/// What the catalogue tells apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum GuestSystem {
    Linux,
    Windows,
    /// BSD and others.
    Other,
    #[default]
    Unknown,
}

/// Distributions that differ in their tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    Debian,
    Ubuntu,
    /// Red Hat and those like it: Rocky, Alma, `CentOS`, Fedora, Oracle, Amazon.
    RedHat,
    Suse,
    Arch,
    /// `BusyBox` and `OpenRC`.
    Alpine,
    #[default]
    Unknown,
}

/// The system of one guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct System {
    pub family: GuestSystem,
    pub distribution: Distribution,
}

/// Parts of names, in small letters. The first that fits counts: the name of Ubuntu's
/// flavours may have `debian` in it, that of Windows has no other.
const DISTRIBUTIONS: &[(&str, Distribution)] = &[
    ("ubuntu", Distribution::Ubuntu),
    ("mint", Distribution::Ubuntu),
    ("debian", Distribution::Debian),
    ("raspbian", Distribution::Debian),
    ("kali", Distribution::Debian),
    ("devuan", Distribution::Unknown),
    ("red hat", Distribution::RedHat),
    ("rhel", Distribution::RedHat),
    ("centos", Distribution::RedHat),
    ("rocky", Distribution::RedHat),
    ("alma", Distribution::RedHat),
    ("fedora", Distribution::RedHat),
    ("oracle linux", Distribution::RedHat),
    ("amazon linux", Distribution::RedHat),
    ("suse", Distribution::Suse),
    ("sles", Distribution::Suse),
    ("arch linux", Distribution::Arch),
    ("manjaro", Distribution::Arch),
    ("alpine", Distribution::Alpine),
];

/// Ids of `/etc/os-release` that are too short to be looked for in longer names.
const IDS: &[(&str, Distribution)] = &[
    ("ol", Distribution::RedHat),
    ("amzn", Distribution::RedHat),
    ("arch", Distribution::Arch),
    ("postmarketos", Distribution::Alpine),
];

const OTHERS: &[&str] = &[
    "bsd",
    "dragonfly",
    "darwin",
    "macos",
    "solaris",
    "illumos",
    "omnios",
    "opnsense",
    "pfsense",
];

impl GuestSystem {
    /// By an id or a name for people; see [`System::from_name`] and [`System::from_id`].
    #[must_use]
    pub fn of(operating_system: &str) -> Self {
        System::from_id(operating_system).family
    }
}

impl System {
    #[must_use]
    pub fn linux(distribution: Distribution) -> Self {
        Self {
            family: GuestSystem::Linux,
            distribution,
        }
    }

    #[must_use]
    pub fn of(family: GuestSystem) -> Self {
        Self {
            family,
            distribution: Distribution::Unknown,
        }
    }

    /// By `id` of the guest agent's `guest-get-osinfo`: `mswindows`, or that of
    /// `/etc/os-release`, which only Linux has.
    #[must_use]
    pub fn from_id(id: &str) -> Self {
        match Self::from_name(id) {
            system if system.family != GuestSystem::Unknown || id.is_empty() => system,
            _ => Self::of(GuestSystem::Linux),
        }
    }

    /// By a name for people, or an id: `Debian GNU/Linux 12 (bookworm)`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        // Names of systems are short, whoever tells them.
        let name: String = name
            .chars()
            .take(128)
            .flat_map(char::to_lowercase)
            .collect();
        if name.contains("windows") {
            return Self::of(GuestSystem::Windows);
        }
        if OTHERS.iter().any(|other| name.contains(other)) {
            return Self::of(GuestSystem::Other);
        }
        let by_id = IDS.iter().find(|(id, _)| name == *id);
        let by_name = DISTRIBUTIONS.iter().find(|(part, _)| name.contains(part));
        match by_id.or(by_name) {
            Some((_, distribution)) => Self::linux(*distribution),
            None if name.contains("linux") => Self::linux(Distribution::Unknown),
            None => Self::default(),
        }
    }

    /// By `ostype` of the guest's configuration: `l26`, `win11`. What an administrator
    /// chose when the guest was made, so weaker than what the guest says.
    #[must_use]
    pub fn from_os_type(os_type: &str) -> Self {
        match os_type {
            "l24" | "l26" => Self::of(GuestSystem::Linux),
            "solaris" => Self::of(GuestSystem::Other),
            windows if windows.starts_with('w') => Self::of(GuestSystem::Windows),
            _ => Self::default(),
        }
    }

    /// By what a command found in the guest; `None` when it does not tell.
    #[must_use]
    pub fn from_facts(facts: &GuestFacts) -> Option<Self> {
        let identity = facts.identity.as_ref()?;
        let system = match (&identity.os_id, &identity.pretty_name) {
            (Some(id), _) => Self::from_id(id),
            (None, Some(name)) => Self::from_name(name),
            (None, None) => return None,
        };
        (system.family != GuestSystem::Unknown).then_some(system)
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match (self.family, self.distribution) {
            (GuestSystem::Windows, _) => "Windows",
            (GuestSystem::Other, _) => "another system than Linux and Windows",
            (GuestSystem::Unknown, _) => "an unknown system",
            (GuestSystem::Linux, Distribution::Debian) => "Debian",
            (GuestSystem::Linux, Distribution::Ubuntu) => "Ubuntu",
            (GuestSystem::Linux, Distribution::RedHat) => "a Linux like Red Hat's",
            (GuestSystem::Linux, Distribution::Suse) => "SUSE Linux",
            (GuestSystem::Linux, Distribution::Arch) => "Arch Linux",
            (GuestSystem::Linux, Distribution::Alpine) => "Alpine Linux",
            (GuestSystem::Linux, Distribution::Unknown) => "Linux",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest_command::facts::Identity;

    #[test]
    fn names_and_ids_are_known() {
        let linux = System::linux;
        for (name, system) in [
            (
                "Debian GNU/Linux 12 (bookworm)",
                linux(Distribution::Debian),
            ),
            ("Ubuntu 24.04.1 LTS", linux(Distribution::Ubuntu)),
            ("Rocky Linux 9.4 (Blue Onyx)", linux(Distribution::RedHat)),
            ("rhel", linux(Distribution::RedHat)),
            ("ol", linux(Distribution::RedHat)),
            ("opensuse-leap", linux(Distribution::Suse)),
            ("Alpine Linux v3.20", linux(Distribution::Alpine)),
            ("arch", linux(Distribution::Arch)),
            ("Gentoo Linux", linux(Distribution::Unknown)),
            (
                "Windows Server 2019 Datacenter",
                System::of(GuestSystem::Windows),
            ),
            ("mswindows", System::of(GuestSystem::Windows)),
            ("freebsd", System::of(GuestSystem::Other)),
            ("", System::default()),
            ("Flatcar", System::default()),
        ] {
            assert_eq!(System::from_name(name), system, "{name}");
        }
        assert_eq!(System::from_id("nixos"), linux(Distribution::Unknown));
        assert_eq!(System::from_id(""), System::default());
    }

    #[test]
    fn the_configuration_tells_the_family() {
        let family = |os_type| System::from_os_type(os_type).family;
        assert_eq!(family("l26"), GuestSystem::Linux);
        assert_eq!(family("win11"), GuestSystem::Windows);
        assert_eq!(family("w2k8"), GuestSystem::Windows);
        assert_eq!(family("other"), GuestSystem::Unknown);
        assert_eq!(family(""), GuestSystem::Unknown);
    }

    #[test]
    fn facts_without_a_system_tell_none() {
        let facts = |id: Option<&str>, name: Option<&str>| GuestFacts {
            identity: Some(Identity {
                os_id: id.map(str::to_owned),
                pretty_name: name.map(str::to_owned),
                hostname: Some("web-1".to_owned()),
                ..Identity::default()
            }),
            ..GuestFacts::default()
        };
        assert_eq!(System::from_facts(&facts(None, None)), None);
        assert_eq!(System::from_facts(&GuestFacts::default()), None);
        assert_eq!(
            System::from_facts(&facts(Some("alpine"), None)),
            Some(System::linux(Distribution::Alpine))
        );
        assert_eq!(
            System::from_facts(&facts(None, Some("Microsoft Windows 11"))),
            Some(System::of(GuestSystem::Windows))
        );
    }
}
