//! Where rsyslog sends messages.
//!
//! Some services want a token in each message, which stands in a template.

use pvelens_proto::agent::v1::RemoteSyslog;

use super::{Reading, file_and_directory, without_comment};
use crate::format::url_host::plain_host;

pub(super) const CONF: &str = "/etc/rsyslog.conf";
const CONF_D: &str = "/etc/rsyslog.d";

pub(super) fn collect(reading: &mut Reading<'_>) -> Vec<RemoteSyslog> {
    let texts = file_and_directory(reading, CONF, CONF_D);
    texts.iter().flat_map(|text| parse(text)).collect()
}

/// Both ways to say it: `*.* @@host:port` and `action(type="omfwd" target="host")`.
fn parse(text: &str) -> Vec<RemoteSyslog> {
    let lines = text.lines().map(without_comment);
    let mut found: Vec<RemoteSyslog> = lines.clone().filter_map(selector_line).collect();
    let whole: String = lines.flat_map(|line| [line, "\n"]).collect();
    let lower = whole.to_ascii_lowercase();
    found.extend(lower.split("action(").skip(1).filter_map(action));
    found
}

/// `selector @host` or `& @@(o)host:port;template` (`rsyslog.conf(5)`).
fn selector_line(line: &str) -> Option<RemoteSyslog> {
    if line.starts_with('$') {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, target] = words.as_slice() else {
        return None;
    };
    let target = target.strip_prefix('@')?;
    let (tcp, target) = match target.strip_prefix('@') {
        Some(target) => (true, target),
        None => (false, target),
    };
    let target = match target.strip_prefix('(') {
        Some(options) => options.split_once(')')?.1,
        None => target,
    };
    let target = target.split(';').next()?;
    let host = match target.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        None => target.split(':').next()?,
    };
    Some(remote(host, tcp))
}

/// The parameters of one action, in lower case, up to its end.
fn action(text: &str) -> Option<RemoteSyslog> {
    let parameters = text.split(')').next()?;
    if value(parameters, "type")? != "omfwd" {
        return None;
    }
    let host = value(parameters, "target").unwrap_or_default();
    Some(remote(host, value(parameters, "protocol") == Some("tcp")))
}

/// The value in `name="value"`.
fn value<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = parameters.split('"');
    while let (Some(before), Some(value)) = (parts.next(), parts.next()) {
        let key = before.trim().strip_suffix('=').map(str::trim);
        if key == Some(name) {
            return Some(value);
        }
    }
    None
}

fn remote(host: &str, tcp: bool) -> RemoteSyslog {
    RemoteSyslog {
        host: plain_host(host).unwrap_or_default().to_owned(),
        tcp,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ways_to_send_are_seen() {
        let text = "*.* @192.0.2.50\n*.*;auth.none\t@@logs.example.test:6514;canary\n& @[2001:db8::1]:514\n*.* @(z5)pack.test # canary\n\
            auth.* /var/log/auth.log\n# *.* @canary\n$template T,\"<%pri%> [canary@41058] %msg%\"\n\
            action(type=\"omfwd\"\n  Target=\"Central.example.test\" port=\"514\" Protocol=\"tcp\"\n  template=\"canary\")\n\
            action(type=\"omfile\" file=\"/var/log/x\")\n";
        let found = parse(text);
        let hosts: Vec<(&str, bool)> = found.iter().map(|r| (r.host.as_str(), r.tcp)).collect();
        assert_eq!(
            hosts,
            [
                ("192.0.2.50", false),
                ("logs.example.test", true),
                ("2001:db8::1", false),
                ("pack.test", false),
                ("central.example.test", true)
            ]
        );
    }

    #[test]
    fn a_target_that_is_not_plain_is_there_and_not_named() {
        let found = parse("*.* @can/ary\n");
        assert_eq!(found, [RemoteSyslog::default()]);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((\\*\\.\\* @@?\\(?|action\\(type=\"omfwd\" target=\")\\PC{0,9}\"?\\)?\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
