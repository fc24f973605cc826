use super::*;
use crate::guest_command::system::Distribution;

fn of(text: &str, system: System) -> Names {
    Names::of(&Issue::new(text), system)
}

fn service(text: &str) -> Option<String> {
    of(text, System::linux(Distribution::Debian)).service
}

#[test]
fn units_are_named_in_many_ways() {
    for (text, unit) in [
        ("nginx.service does not start", Some("nginx.service")),
        ("Since today nginx is down", Some("nginx.service")),
        ("Apache returns 500", Some("apache2.service")),
        ("php8.2-fpm crashes", Some("php8.2-fpm.service")),
        ("getty@tty1.service loops", Some("getty@tty1.service")),
        ("backup.timer never fires", Some("backup.timer")),
        (
            "our foobar-api service keeps restarting",
            Some("foobar-api.service"),
        ),
        ("the unit billing fails", Some("billing.service")),
        ("the service is down", None),
        ("a web service fails", None),
        ("all services are down since the restart", None),
        ("foo.html is not found", None),
        ("service ../../etc/passwd", None),
        ("service --now", None),
        ("service *", None),
        ("service $(reboot)", None),
        ("service a\u{202e}b", None),
        ("", None),
    ] {
        assert_eq!(service(text).as_deref(), unit, "{text}");
    }
}

#[test]
fn windows_has_other_services() {
    for (text, name) in [
        ("The print spooler hangs", Some("Spooler")),
        ("IIS is down", Some("W3SVC")),
        ("nginx is down", None),
        ("the service AcmeSync does not start", Some("AcmeSync")),
        ("MSSQL$SQLEXPRESS service stopped", Some("MSSQL$SQLEXPRESS")),
        ("service \\\\server", None),
        ("service type=", None),
    ] {
        let names = of(text, System::of(GuestSystem::Windows));
        let expected = match text {
            // The instance is named; the table knows the default one.
            text if text.starts_with("MSSQL$") => Some("MSSQL$SQLEXPRESS"),
            _ => name,
        };
        assert_eq!(names.service.as_deref(), expected, "{text}");
    }
}

#[test]
fn interfaces_have_a_known_form() {
    let interface = |text| of(text, System::default()).interface;
    assert_eq!(interface("no link on eth0!").as_deref(), Some("eth0"));
    assert_eq!(interface("ens18 is down").as_deref(), Some("ens18"));
    assert_eq!(interface("bond0.100 flaps").as_deref(), Some("bond0.100"));
    assert_eq!(interface("ethernet is down"), None);
    assert_eq!(interface("eth0;reboot"), Some("eth0".to_owned()));
    assert_eq!(interface("eth0/../x"), None);
    assert_eq!(interface("eth0aaaaaaaaaaaaaaaa"), None);
}

#[test]
fn drives_and_directories_are_those_of_the_catalogue() {
    let windows = |text| of(text, System::of(GuestSystem::Windows)).drive;
    assert_eq!(windows("C: is full").as_deref(), Some("c"));
    assert_eq!(windows("D:\\Data grows").as_deref(), Some("d"));
    assert_eq!(windows("drive E is full").as_deref(), Some("e"));
    assert_eq!(windows("the F drive").as_deref(), Some("f"));
    assert_eq!(windows("I drive a car"), None);
    assert_eq!(windows("the drive is full"), None);
    let linux = |text| of(text, System::default()).directory;
    assert_eq!(linux("/var/log/nginx fills up"), Some("var-log"));
    assert_eq!(linux("no space on /var."), Some("var"));
    assert_eq!(linux("/variable is none"), Some("root"));
    assert_eq!(linux("/ is full"), Some("root"));
    assert_eq!(linux("disk full"), None);
}

#[test]
fn containers_are_named_beside_the_word() {
    let container = |text| of(text, System::default()).container;
    assert_eq!(
        container("container web_1 restarts").as_deref(),
        Some("web_1")
    );
    assert_eq!(container("the db-2 container").as_deref(), Some("db-2"));
    assert_eq!(container("docker container is down"), None);
    assert_eq!(container("container -f"), None);
}
