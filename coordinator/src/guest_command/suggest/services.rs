//! Services that people name by another name than the guest does.

use crate::guest_command::system::Distribution;

/// A unit of systemd.
#[derive(Debug)]
struct Unit {
    /// As people write it, in small letters.
    said: &'static [&'static str],
    unit: &'static str,
    /// The same on Red Hat and those like it, where it differs.
    red_hat: Option<&'static str>,
    /// The same on Debian and Ubuntu, where it differs.
    debian: Option<&'static str>,
}

const fn same(said: &'static [&'static str], unit: &'static str) -> Unit {
    Unit {
        said,
        unit,
        red_hat: None,
        debian: None,
    }
}

const fn differs(
    said: &'static [&'static str],
    unit: &'static str,
    red_hat: &'static str,
    debian: &'static str,
) -> Unit {
    Unit {
        red_hat: Some(red_hat),
        debian: Some(debian),
        ..same(said, unit)
    }
}

#[rustfmt::skip]
const UNITS: &[Unit] = &[
    same(&["nginx"], "nginx.service"),
    differs(&["apache", "apache2"], "apache2.service", "httpd.service", "apache2.service"),
    differs(&["httpd"], "httpd.service", "httpd.service", "apache2.service"),
    same(&["haproxy"], "haproxy.service"),
    same(&["caddy"], "caddy.service"),
    same(&["traefik"], "traefik.service"),
    same(&["lighttpd"], "lighttpd.service"),
    same(&["squid"], "squid.service"),
    same(&["varnish"], "varnish.service"),
    same(&["tomcat"], "tomcat.service"),
    same(&["php-fpm"], "php-fpm.service"),
    same(&["mariadb"], "mariadb.service"),
    differs(&["mysql"], "mysql.service", "mysqld.service", "mysql.service"),
    same(&["mysqld"], "mysqld.service"),
    same(&["postgresql", "postgres"], "postgresql.service"),
    differs(&["redis"], "redis.service", "redis.service", "redis-server.service"),
    same(&["redis-server"], "redis-server.service"),
    same(&["valkey"], "valkey.service"),
    same(&["mongodb", "mongod"], "mongod.service"),
    same(&["memcached"], "memcached.service"),
    same(&["elasticsearch"], "elasticsearch.service"),
    same(&["opensearch"], "opensearch.service"),
    same(&["influxdb"], "influxdb.service"),
    same(&["rabbitmq", "rabbitmq-server"], "rabbitmq-server.service"),
    same(&["docker", "dockerd"], "docker.service"),
    same(&["containerd"], "containerd.service"),
    same(&["kubelet"], "kubelet.service"),
    same(&["k3s"], "k3s.service"),
    differs(&["ssh", "openssh"], "ssh.service", "sshd.service", "ssh.service"),
    differs(&["sshd"], "sshd.service", "sshd.service", "ssh.service"),
    differs(&["cron"], "cron.service", "crond.service", "cron.service"),
    differs(&["crond"], "crond.service", "crond.service", "cron.service"),
    same(&["named", "bind9"], "named.service"),
    same(&["unbound"], "unbound.service"),
    same(&["dnsmasq"], "dnsmasq.service"),
    same(&["postfix"], "postfix.service"),
    same(&["dovecot"], "dovecot.service"),
    same(&["exim4"], "exim4.service"),
    same(&["rspamd"], "rspamd.service"),
    differs(&["samba", "smbd"], "smbd.service", "smb.service", "smbd.service"),
    same(&["nfs-server"], "nfs-server.service"),
    same(&["vsftpd"], "vsftpd.service"),
    same(&["proftpd"], "proftpd.service"),
    same(&["fail2ban"], "fail2ban.service"),
    same(&["firewalld"], "firewalld.service"),
    same(&["openvpn"], "openvpn.service"),
    same(&["keepalived"], "keepalived.service"),
    same(&["grafana", "grafana-server"], "grafana-server.service"),
    same(&["prometheus"], "prometheus.service"),
    same(&["zabbix-agent"], "zabbix-agent.service"),
    same(&["zabbix-server"], "zabbix-server.service"),
    same(&["jenkins"], "jenkins.service"),
    same(&["gitlab"], "gitlab-runsvdir.service"),
    differs(&["chrony", "chronyd"], "chronyd.service", "chronyd.service", "chrony.service"),
    same(&["systemd-timesyncd", "timesyncd"], "systemd-timesyncd.service"),
    same(&["systemd-resolved"], "systemd-resolved.service"),
    same(&["systemd-networkd"], "systemd-networkd.service"),
    same(&["networkmanager"], "NetworkManager.service"),
    same(&["qemu-guest-agent", "qemu-ga"], "qemu-guest-agent.service"),
];

/// Services of Windows by what people say; short names alone are said, too.
#[rustfmt::skip]
const WINDOWS: &[(&[&str], &str)] = &[
    (&["spooler", "print*", "printing"], "Spooler"),
    (&["iis", "w3svc"], "W3SVC"),
    (&["mssqlserver", "sql server", "mssql"], "MSSQLSERVER"),
    (&["w32time", "windows time"], "W32Time"),
    (&["termservice", "remote desktop", "rdp"], "TermService"),
    (&["wuauserv", "windows update*"], "wuauserv"),
    (&["ntds", "active directory", "domain controller"], "NTDS"),
    (&["dns server"], "DNS"),
    (&["dhcp server"], "DHCPServer"),
    (&["netlogon"], "Netlogon"),
    (&["winrm"], "WinRM"),
    (&["exchange"], "MSExchangeIS"),
    (&["eventlog", "event log service"], "EventLog"),
    (&["task scheduler"], "Schedule"),
    (&["lanmanserver", "file share*", "file sharing"], "LanmanServer"),
    (&["qemu ga", "guest agent"], "QEMU-GA"),
    (&["mysql"], "MySQL"),
    (&["docker"], "docker"),
];

/// The unit that a word stands for on this distribution.
pub(super) fn unit(word: &str, distribution: Distribution) -> Option<&'static str> {
    let word = word.to_lowercase();
    let row = UNITS.iter().find(|row| row.said.contains(&word.as_str()))?;
    let own = match distribution {
        Distribution::RedHat => row.red_hat,
        Distribution::Debian | Distribution::Ubuntu => row.debian,
        _ => None,
    };
    Some(own.unwrap_or(row.unit))
}

/// The service of Windows that is meant.
pub(super) fn windows(says: impl Fn(&str) -> bool) -> Option<&'static str> {
    WINDOWS
        .iter()
        .find(|(said, _)| said.iter().any(|words| says(words)))
        .map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_go_by_the_distribution() {
        let of = |word, distribution| unit(word, distribution).unwrap();
        assert_eq!(of("Apache", Distribution::Debian), "apache2.service");
        assert_eq!(of("apache2", Distribution::RedHat), "httpd.service");
        assert_eq!(of("sshd", Distribution::Ubuntu), "ssh.service");
        assert_eq!(of("sshd", Distribution::Unknown), "sshd.service");
        assert_eq!(of("cron", Distribution::RedHat), "crond.service");
        assert_eq!(unit("the", Distribution::Debian), None);
    }
}
