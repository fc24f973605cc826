//! Names in a text that a command can take: units, services, interfaces, drives and
//! directories. Only what has the strict form of its type comes out, or a word of a
//! table here.

use super::words::{Words, beginning};

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A unit of systemd or a service of Windows.
    Service,
    Interface,
    /// A directory or a drive.
    Place,
}

/// Names of each kind that are taken.
const NAMES: usize = 2;
/// Bytes of a unit and of an interface.
const LONGEST_UNIT: usize = 128;
const LONGEST_INTERFACE: usize = 15;

/// As the node checks them: `systemd.unit(5)`.
const UNIT_KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "swap",
    "path",
    "slice",
    "scope",
    "device",
];

/// What names of interfaces begin with, before a digit or a letter of the place.
const INTERFACES: [&str; 18] = [
    "eth", "ens", "enp", "eno", "enx", "wlan", "wlp", "bond", "team", "br", "vlan", "vmbr", "tun",
    "tap", "wg", "docker", "virbr", "venet",
];

/// Words for services of Linux and their units. Where distributions differ, the name
/// that most of them have or have an alias for.
const UNITS: &[(&str, &str)] = &[
    ("nginx", "nginx.service"),
    ("apache2|apache", "apache2.service"),
    ("httpd", "httpd.service"),
    ("caddy", "caddy.service"),
    ("haproxy", "haproxy.service"),
    ("traefik", "traefik.service"),
    ("varnish", "varnish.service"),
    ("squid", "squid.service"),
    ("php fpm", "php-fpm.service"),
    ("tomcat9", "tomcat9.service"),
    ("tomcat10", "tomcat10.service"),
    ("mysql|mysqld", "mysql.service"),
    ("mariadb", "mariadb.service"),
    ("postgres|postgresql", "postgresql.service"),
    ("redis", "redis.service"),
    ("mongodb|mongod", "mongod.service"),
    ("elasticsearch", "elasticsearch.service"),
    ("influxdb", "influxdb.service"),
    ("rabbitmq", "rabbitmq-server.service"),
    ("memcached", "memcached.service"),
    ("dockerd|docker service|docker daemon", "docker.service"),
    ("containerd", "containerd.service"),
    ("kubelet", "kubelet.service"),
    ("k3s", "k3s.service"),
    ("postfix", "postfix.service"),
    ("dovecot", "dovecot.service"),
    ("exim|exim4", "exim4.service"),
    ("bind9|named service", "named.service"),
    ("unbound", "unbound.service"),
    ("dnsmasq", "dnsmasq.service"),
    ("sshd|ssh", "sshd.service"),
    ("cron", "cron.service"),
    ("crond", "crond.service"),
    ("chrony|chronyd", "chronyd.service"),
    ("timesyncd", "systemd-timesyncd.service"),
    (
        "systemd resolved|resolved service",
        "systemd-resolved.service",
    ),
    ("networkmanager", "NetworkManager.service"),
    ("openvpn", "openvpn.service"),
    ("fail2ban", "fail2ban.service"),
    ("samba|smbd", "smbd.service"),
    ("nfs server|nfsd", "nfs-server.service"),
    ("keepalived", "keepalived.service"),
    ("grafana", "grafana-server.service"),
    ("prometheus", "prometheus.service"),
    ("zabbix agent", "zabbix-agent.service"),
    ("zabbix server", "zabbix-server.service"),
    ("jenkins", "jenkins.service"),
];

/// Words for services of Windows and their short names.
const SERVICES: &[(&str, &str)] = &[
    ("iis|w3svc", "W3SVC"),
    ("spooler|printing|printer", "Spooler"),
    ("sql server|mssql|mssqlserver", "MSSQLSERVER"),
    ("active directory|domain controller|ntds", "NTDS"),
    ("dns server", "DNS"),
    ("dhcp server", "DHCPServer"),
    ("rdp|remote desktop|termservice", "TermService"),
    ("winrm", "WinRM"),
    ("wsus", "WsusService"),
    ("windows update|wuauserv", "wuauserv"),
    ("group polic*", "gpsvc"),
    ("w32time|time service", "W32Time"),
    ("file share*|smb|network share*", "LanmanServer"),
    ("defender", "WinDefend"),
    ("task scheduler|scheduled task*", "Schedule"),
];

/// Directories that `directory-usage` knows, the longest first.
const DIRECTORIES: &[(&str, &str)] = &[
    ("/var/lib/docker", "docker"),
    ("/var/cache", "var-cache"),
    ("/var/log", "var-log"),
    ("/var/lib", "var-lib"),
    ("/boot", "boot"),
    ("/home", "home"),
    ("/var", "var"),
    ("/usr", "usr"),
    ("/opt", "opt"),
    ("/srv", "srv"),
    ("/tmp", "tmp"),
];

/// Units that are named, in full or by a well-known word: `nginx.service`.
pub(super) fn units(issue: &str, words: &Words) -> Vec<String> {
    let whole = tokens(issue)
        .filter(|token| is_unit(token))
        .map(str::to_owned);
    let known = UNITS
        .iter()
        .filter(|(word, _)| !words.matches(word).is_empty());
    few(whole.chain(known.map(|(_, unit)| (*unit).to_owned())))
}

/// Services of Windows by their short names.
pub(super) fn services(words: &Words) -> Vec<&'static str> {
    let known = SERVICES
        .iter()
        .filter(|(word, _)| !words.matches(word).is_empty());
    few(known.map(|(_, service)| *service))
}

/// Interfaces of Linux: `eth0`, `ens18`, `bond0.100`.
pub(super) fn interfaces(issue: &str) -> Vec<String> {
    let named = tokens(issue).filter(|token| is_interface(token));
    few(named.map(str::to_owned))
}

/// Letters of drives, small: `d` of `D:` and `D:\Data`.
pub(super) fn drives(issue: &str) -> Vec<String> {
    let letter = |word: &str| {
        let word = word.trim_start_matches(is_wrapping);
        let mut characters = word.chars();
        let letter = characters.next().filter(char::is_ascii_alphabetic)?;
        let is_drive = characters.next() == Some(':')
            && characters
                .next()
                .is_none_or(|next| next == '\\' || is_wrapping(next));
        is_drive.then(|| letter.to_ascii_lowercase().to_string())
    };
    few(beginning(issue).split_whitespace().filter_map(letter))
}

/// The directory that a path is in, and what `directory-usage` calls it.
pub(super) fn directory(issue: &str) -> Option<(&'static str, &'static str)> {
    let below = |path: &str, directory: &str| {
        let rest = path.strip_prefix(directory);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    tokens(issue).find_map(|token| {
        DIRECTORIES
            .iter()
            .find(|(path, _)| below(token, path))
            .copied()
    })
}

fn few<T: PartialEq>(names: impl Iterator<Item = T>) -> Vec<T> {
    let mut few = Vec::new();
    for name in names {
        if few.len() < NAMES && !few.contains(&name) {
            few.push(name);
        }
    }
    few
}

/// What stands between spaces, without what a sentence puts around it.
fn tokens(issue: &str) -> impl Iterator<Item = &str> {
    let words = beginning(issue).split_whitespace();
    words.map(|word| word.trim_matches(is_wrapping))
}

fn is_wrapping(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | '`' | '(' | ')' | '[' | ']' | '<' | '>' | '.' | ',' | ':' | ';' | '!' | '?'
    ) || matches!(c, '“' | '”' | '„' | '‘' | '’' | '«' | '»')
}

/// Letters, digits and `:_.@-`, and a kind: no pattern, no path, no option.
pub(in crate::guest_command) fn is_unit(name: &str) -> bool {
    let Some((stem, kind)) = name.rsplit_once('.') else {
        return false;
    };
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b":_.@-".contains(&byte);
    name.len() <= LONGEST_UNIT
        && UNIT_KINDS.contains(&kind)
        && stem
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && stem.bytes().all(is_in_name)
}

/// A known beginning and a number in it; the rest as Linux has it.
fn is_interface(name: &str) -> bool {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_known = |prefix: &str| {
        let rest = name.strip_prefix(prefix).unwrap_or_default();
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let begins_with_digit = rest
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_digit());
        // The hardware address is the name: `enx525400a1b2c3`.
        let is_address = rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        begins_with_digit || (prefix == "enx" && is_address)
    };
    name.len() <= LONGEST_INTERFACE
        && name.bytes().all(is_in_name)
        && INTERFACES.iter().any(|prefix| is_known(prefix))
}
