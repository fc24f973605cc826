//! External metric servers, from `/etc/pve/status.cfg`.
//!
//! Options are those of `pve-manager@PVE/Status/{Graphite,InfluxDB,OpenTelemetry}.pm`.
//! Headers of OpenTelemetry hold tokens, paths may; neither is carried.

use std::borrow::Cow;

use pvelens_proto::agent::v1::{CollectionClass, MetricServer, MetricServerConfig};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    pmxcfs::{self, SettingsFile},
};
use crate::format::{
    property_string::boolean,
    section_config::{self, Section},
    url_host::plain_host,
};

const PATH: &str = "/etc/pve/status.cfg";

pub(super) const COLLECTOR: Collector = Collector {
    name: "metric_server_config",
    summary: "external metric servers, without secrets",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let file = SettingsFile::read(reading, PATH)?;
    let mut config = parse(&file.text);
    config.sha256 = file.digest(&config);
    pmxcfs::limit(reading, PATH, &mut config.servers);
    Ok(Payload::MetricServerConfig(config))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> MetricServerConfig {
    let lines: Vec<Cow<'_, str>> = text.lines().map(with_id).collect();
    let text = lines.join("\n");
    let config = section_config::parse(&text);
    let mut servers: Vec<MetricServer> = config.sections.iter().map(server).collect();
    servers.sort_by(|a, b| a.id.cmp(&b.id));
    MetricServerConfig {
        servers,
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(config.malformed_lines),
    }
}

/// Only here may a section have no id; its type stands for it
/// (`pve-manager@PVE/Status/Plugin.pm`, parse_section_header).
fn with_id(line: &str) -> Cow<'_, str> {
    match line.trim_end().strip_suffix(':') {
        Some(kind) if !kind.contains([' ', '\t', '#', ':']) => format!("{kind}: {kind}").into(),
        _ => line.into(),
    }
}

fn server(section: &Section<'_>) -> MetricServer {
    let flag = |key: &str| section.get(key).and_then(boolean);
    let (protocol, verify, timeout) = match section.kind {
        "influxdb" => ("influxdbproto", "verify-certificate", "timeout"),
        "opentelemetry" => ("otel-protocol", "otel-verify-ssl", "otel-timeout"),
        _ => ("proto", "verify-certificate", "timeout"),
    };
    let host = section.get("server").and_then(plain_host);
    MetricServer {
        id: section.id.to_owned(),
        server_type: section.kind.to_owned(),
        host: host.unwrap_or_default().to_owned(),
        port: section.get("port").and_then(|port| port.parse().ok()),
        protocol: section.get(protocol).unwrap_or_default().to_owned(),
        disabled: flag("disable").unwrap_or(false),
        verify_certificate: flag(verify),
        timeout_seconds: section.get(timeout).and_then(|text| text.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn servers_of_every_type() {
        let config = parse(
            "influxdb: main\n\tserver influx.example.test\n\tport 8086\n\tinfluxdbproto https\n\tverify-certificate 0\n\n\
             graphite:\n\tserver 192.0.2.7\n\tproto tcp\n\ttimeout 2\n\tdisable 1\n\n\
             opentelemetry: otel\n\tserver otel.example.test\n\totel-protocol http\n\totel-verify-ssl 1\n\totel-timeout 5\n",
        );
        assert_eq!(config.malformed_lines, Vec::<u32>::new());
        let [graphite, influx, otel] = config.servers.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(
            (graphite.id.as_str(), graphite.disabled),
            ("graphite", true)
        );
        assert_eq!(
            (graphite.protocol.as_str(), graphite.timeout_seconds),
            ("tcp", Some(2))
        );
        assert_eq!(
            (influx.protocol.as_str(), influx.port),
            ("https", Some(8086))
        );
        assert_eq!(influx.verify_certificate, Some(false));
        assert_eq!(
            (otel.protocol.as_str(), otel.verify_certificate),
            ("http", Some(true))
        );
        assert_eq!(otel.host, "otel.example.test");
    }

    #[test]
    fn no_secret_leaves_the_node() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/a"),
                (
                    "etc/pve/status.cfg",
                    "opentelemetry: otel\n\tserver canary:canary@host\n\totel-headers Y2FuYXJ5canary\n\totel-path /canary\n\totel-resource-attributes canary\n\n\
                     influxdb: i\n\tserver 192.0.2.1\n\ttoken canary\n\torganization canary\n\tapi-path-prefix canary\n\tbucket canary\n\ncanary\n\tcanary\n",
                ),
            ],
        );
        assert_eq!(kinds(&node), []);
        assert!(!format!("{node:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_servers(text in "((influxdb|graphite|[a-z]{1,4}):[ a-z0-9]{0,4}\n|\t(server|port|timeout) ?\\PC{0,9}\n|\n){0,9}") {
            prop_assert!(parse(&text).servers.len() <= text.lines().count());
        }
    }
}
