use pvelens_proto::v1::HealthState;

use super::{health::FailOn, *};

#[test]
fn the_definition_of_the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn commands_are_understood() {
    for line in [
        "serve --config /etc/pvelens/pvelens.toml",
        "mcp --socket /run/x.sock",
        "mcp --role operator",
        "status --output json --cluster lab",
        "nodes --socket /run/x.sock",
        "node pve1 --output markdown",
        "guests --node pve1 --kind qemu --status running --tag web --limit 10",
        "guest 104",
        "guest-commands 104 --group disk --allowed --json",
        "guest-commands web --output markdown --cluster lab",
        "run 104 disk-usage",
        "run web unit-status unit=nginx.service --on-behalf-of ticket-7 --json",
        "run web systemctl status nginx --cluster lab --socket /run/x.sock",
        "storage",
        "metrics guest/100",
        "metrics guest/100 cpu_ratio used_ratio --plot --rows 5",
        "metrics guests@pve1 --also node/pve1 --since 7d --until 2026-11-20 --step 5m",
        "metrics node/pve1 --part sda --limit 10 --output json --cluster lab",
        "metrics --list",
        "metrics --list guest/100 --output markdown",
        "findings --severity warning --category backup --lane posture --all",
        "health --fail-on critical --full --guest 104",
        "health --at 24h --cluster lab --fail-on critical --output json",
        "health --history",
        "health --history --since 7d --until 2026-11-20 --limit 500 --output markdown",
        "recheck",
        "recheck storage.pool.space --subject storage/nas --cluster lab --output json",
        "ack 0a1b2c3d --reason known --for 7d",
        "ack storage.pool.space storage/nas storage/tank --reason known --until 2026-12-01",
        "suppress guest.snapshot.old tag/web --reason kept --for 30d --cluster lab --output json",
        "maintenance node/pve3 --reason memory --for 2h --from 2026-11-20T18:00",
        "expect off node/pve3 --reason sleeps --for 90d --calendar daily --grace 20",
        "expect rotated storage/usb --every 14 --reason swapped --until 2027-01-01",
        "expect no-backup guest/104 pool/lab --reason scripted --for 90d --on-behalf-of T-7",
        "intent list --kind no-backup --output markdown",
        "intent log --limit 5",
        "intent withdraw 0a1b2c3d --reason done --socket /run/x.sock",
        "findings --suppressed",
        "agents",
        "agents --output json --socket /run/x.sock",
        "agents list --output json --socket /run/x.sock",
        "agents token",
        "agents token --node pve3 --valid 30m --socket /run/x.sock",
        "agents token --cluster lab --nodes 12 --valid 7d --output json",
        "agents tokens",
        "agents withdraw abcdefgh",
        "agents revoke pve3 --cluster lab",
        "client issue anna --role reader --out /root/anna --days 30",
        "client renew --server mon.example.org --credentials /etc/pvelens/client",
        "client list --output markdown",
        "client revoke anna",
        "ca show",
        "ca rotate",
        "ca retire 0011aabb --force",
        "ca backup -",
        "ca restore backup.json --force --directory /srv/pvelens",
        "access --output json",
        "log-level",
        "log-level debug --for 90s --socket /run/x.sock",
        "config check pvelens.toml",
        "doctor --output json --socket /run/x.sock --config x.toml",
    ] {
        let words = std::iter::once("pvelens").chain(line.split(' '));
        let parsed = Arguments::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {parsed:?}");
    }
}

#[test]
fn wrong_usage_has_its_status() {
    for line in [
        "",
        "nodes extra",
        "guests --kind vm",
        "guests --limit 0",
        "health --fail-on info",
        "health --at 24h --full",
        "health --at 24h --node pve1",
        "health --at 24h --since 48h",
        "health --at 24h --history",
        "health --history --guest 104",
        "health --history --fail-on critical",
        "health --history --limit 0",
        "health --since 24h",
        "health --full --until 24h",
        "health --limit 5",
        "findings --lane other",
        "mcp --role admin",
        "metrics",
        "metrics guest/100 --rows 5",
        "metrics guest/100 --plot --rows 2",
        "metrics guest/100 --step fast",
        "metrics guest/100 --limit 0",
        "metrics guest/100 cpu_ratio --list",
        "metrics guest/100 --list --plot",
        "metrics --list --also guest/100",
        "guest-commands",
        "guest-commands 104 --json --output text",
        "run 104",
        "ack",
        "ack 0a1b2c3d --for 7d",
        "ack 0a1b2c3d --reason known",
        "ack 0a1b2c3d --reason known --for 7d --until 2026-12-01",
        "ack 0a1b2c3d --reason known --until 7d",
        "maintenance --reason memory --for 2h",
        "maintenance node/pve3 --reason memory --for 5s",
        "expect",
        "expect rotated storage/usb --reason swapped --for 7d",
        "intent withdraw",
        "intent log --limit 501",
        "agents --output json list",
        "agents token --node pve3 --nodes 2",
        "agents token --nodes 0",
        "agents token --nodes 1001",
        "agents token --valid 8d",
        "agents withdraw",
        "agents revoke",
        "client",
        "client issue anna --out x",
        "client issue anna --role root --out x",
        "client issue anna --role reader",
        "client issue anna --role reader --out x --days 366",
        "client revoke",
        "ca",
        "ca retire",
        "ca backup",
        "log-level loud",
        "log-level debug --for 10",
        "log-level debug --for 30s",
        "log-level debug --for 25h",
        "log-level --for 10m",
    ] {
        let words = std::iter::once("pvelens").chain(line.split_whitespace());
        let error = Arguments::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(USAGE), "{line}");
    }
}

#[test]
fn the_exit_status_of_health_follows_the_worst_finding_asked_about() {
    use HealthState::{Critical, Healthy, Unknown, Unspecified, Warning};
    for (state, at_warning, at_critical) in [
        (Healthy, 0, 0),
        (Warning, FOUND, 0),
        (Critical, FOUND, FOUND),
        (Unknown, NOT_ASSESSED, NOT_ASSESSED),
        (Unspecified, NOT_ASSESSED, NOT_ASSESSED),
    ] {
        assert_eq!(health::status(state, FailOn::Warning), at_warning);
        assert_eq!(health::status(state, FailOn::Critical), at_critical);
    }
}
