//! Whether the clock follows another, as chrony or systemd says.

use std::{net::IpAddr, time::Duration};

use pvelens_proto::{
    agent::v1::{ChronyTracking, CollectionClass, FailureKind, TimeSync},
    timestamp_from_millis,
};

use super::{CollectError, Collector, Payload, Reading};
use crate::{
    format::{FormatError, plain::name, whole_lines},
    probe::{Request, request::SystemRequest},
};

const WORD_LIMIT: usize = 64;
const LOCAL_TIME: &str = "/etc/localtime";

pub(super) const COLLECTOR: Collector = Collector {
    name: "time_sync",
    summary: "whether the clock is synchronised, and how far it is off",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    deadline: Duration::from_secs(25),
    paths: &[LOCAL_TIME],
    probes: &["chrony", "time"],
    collect,
};

/// Asks chrony first: asking systemd starts a daemon of it for half a minute.
fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let chrony = reading.ask(&Request::System(SystemRequest::Chrony {}));
    match chrony {
        // Installed and not running is a state of this node, which systemd then tells.
        Ok(answer) if answer.exit_status == 0 => {
            let tracking = answer
                .text()
                .and_then(|text| tracking(text).map_err(|error| error.at(&answer.source)))?;
            return Ok(Payload::TimeSync(TimeSync {
                is_synchronized: Some(tracking.leap_status != "Not synchronised"),
                chrony: Some(tracking),
                time_zone: time_zone(reading),
                ..TimeSync::default()
            }));
        }
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => reading.fail(error),
    }
    let answer = match reading.ask(&Request::System(SystemRequest::Time {})) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("the system probe is not there"));
        }
        result => result?,
    };
    let time = shown(answer.success()?).map_err(|error| error.at(&answer.source))?;
    Ok(Payload::TimeSync(time))
}

/// The name behind the link to the zone's rules, as systemd finds it. A copy of the
/// rules has none.
fn time_zone(reading: &mut Reading<'_>) -> String {
    let target = match reading.link_target(LOCAL_TIME) {
        Err(error) if matches!(error.kind, FailureKind::NotFound | FailureKind::NotAFile) => None,
        result => reading.keep(result),
    };
    let target = target.unwrap_or_default();
    let zone = target.split_once("/zoneinfo/").map(|(_, zone)| zone);
    zone.and_then(name).unwrap_or_default().to_owned()
}

/// `timedatectl show`.
fn shown(text: &str) -> Result<TimeSync, FormatError> {
    let mut time = TimeSync::default();
    for (key, value) in whole_lines(text)?
        .lines()
        .filter_map(|line| line.split_once('='))
    {
        match key {
            "NTP" => time.is_ntp_enabled = Some(value == "yes"),
            "NTPSynchronized" => time.is_synchronized = Some(value == "yes"),
            "Timezone" => time.time_zone = value.chars().take(WORD_LIMIT).collect(),
            _ => {}
        }
    }
    if time.is_synchronized.is_none() {
        return Err(FormatError::malformed("no word on synchronisation"));
    }
    Ok(time)
}

/// `chronyc -c tracking`: the values of its lines, with commas (`chrony@client.c`).
fn tracking(text: &str) -> Result<ChronyTracking, FormatError> {
    let line = whole_lines(text)?.lines().next().unwrap_or_default();
    let words: Vec<&str> = line.split(',').collect();
    let [
        _,
        source,
        stratum,
        updated,
        offset,
        _,
        rms,
        _,
        _,
        _,
        delay,
        dispersion,
        _,
        leap,
    ] = words.as_slice()
    else {
        return Err(FormatError::malformed("not 14 values"));
    };
    let figure = |word: &str| word.parse::<f64>().ok().filter(|figure| figure.is_finite());
    let updated_at = updated
        .split('.')
        .next()
        .and_then(|seconds| seconds.parse::<i64>().ok()?.checked_mul(1000))
        .filter(|millis| *millis > 0);
    Ok(ChronyTracking {
        stratum: stratum
            .parse()
            .map_err(|_| FormatError::malformed("no stratum"))?,
        leap_status: leap.chars().take(WORD_LIMIT).collect(),
        source_address: source
            .parse::<IpAddr>()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        updated_at: updated_at.map(timestamp_from_millis),
        offset_seconds: figure(offset).map(f64::abs),
        rms_offset_seconds: figure(rms),
        root_delay_seconds: figure(delay),
        root_dispersion_seconds: figure(dispersion),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clock_that_follows_and_one_that_does_not() {
        let good = tracking("C0000263,192.0.2.99,3,1795349000.123456789,-0.25,0.1,0.2,-12.3,0.001,0.05,0.0045,nan,64.5,Normal\n").unwrap();
        assert_eq!((good.stratum, good.offset_seconds), (3, Some(0.25)));
        assert_eq!(good.source_address, "192.0.2.99");
        assert_eq!(good.root_dispersion_seconds, None);
        let bad = tracking(
            "00000000,,0,0.000000000,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n",
        )
        .unwrap();
        assert_eq!(
            (bad.leap_status.as_str(), bad.updated_at),
            ("Not synchronised", None)
        );
        assert!(tracking("506 Cannot talk to daemon\n").is_err());
    }

    #[test]
    fn systemd_says_it_in_words() {
        let time = shown("Timezone=Etc/UTC\nLocalRTC=no\nNTP=no\nNTPSynchronized=yes\n").unwrap();
        assert_eq!(
            (time.is_ntp_enabled, time.is_synchronized),
            (Some(false), Some(true))
        );
        assert_eq!(time.time_zone, "Etc/UTC");
        assert!(shown("NTP=no\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([0-9a-zN=.-]{0,9},?){0,16}\n?") {
            drop(shown(&text));
            drop(tracking(&text));
        }
    }
}
