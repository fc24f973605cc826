//! How the store of this coordinator does.

use jiff::SignedDuration;

use crate::{
    check::{Failure, Input, Remedy},
    figure,
    finding::{Evidence, Risk, Severity},
    store::{Condition, REPLACED_TOLD, Replaced, StoreError},
    untrusted,
};

/// A single write that fails is tried again within a minute.
const FAILING: SignedDuration = SignedDuration::from_mins(2);

const FULL: Remedy = Remedy {
    diagnose: &["df -h /var/lib/pvelens", "pvelens store check"],
    fix: "Make room on the file system of the store, or give it less: limit_mebibytes in the section [store] of /etc/pvelens/pvelens.toml.",
    impact: "Findings and the present state are right meanwhile. What is measured waits in memory; after some hours the oldest of it is lost.",
    risk: Risk::Low,
    way_back: "",
};
const FAILS: Remedy = Remedy {
    diagnose: &[
        "journalctl -u pvelens -n 50",
        "pvelens store check",
        "findmnt -T /var/lib/pvelens",
    ],
    fix: "Mend the disk or the file system of the store. If the file itself is damaged, restart the coordinator: it sets the file aside and goes on with the newest good backup, or a new file.",
    impact: "Findings and the present state are right meanwhile. What is measured waits in memory; after some hours the oldest of it is lost.",
    risk: Risk::Low,
    way_back: "",
};
const DAMAGED: Remedy = Remedy {
    diagnose: &[
        "pvelens store check",
        "journalctl -u pvelens -n 50",
        "dmesg -T | tail -n 50",
    ],
    fix: "Look at the disk of the coordinator. Delete the file that was set aside when nobody needs it any more.",
    impact: "What was kept since the backup, or everything without one, is missing from histories.",
    risk: Risk::Low,
    way_back: "",
};
const SHORT: Remedy = Remedy {
    diagnose: &["pvelens store check", "df -h /var/lib/pvelens"],
    fix: "Give the store more room: limit_mebibytes in the section [store] of /etc/pvelens/pvelens.toml.",
    impact: "Histories are shorter than 400 days.",
    risk: Risk::Low,
    way_back: "",
};

pub(super) fn failures(input: &Input<'_>) -> Vec<Failure> {
    let Some(condition) = input.store else {
        return Vec::new();
    };
    let failing = failing(input, condition);
    let damaged = condition.replaced.as_ref();
    let damaged = damaged.filter(|replaced| input.at.duration_since(replaced.at) < REPLACED_TOLD);
    let short = short(condition);
    failing
        .into_iter()
        .chain(damaged.map(self::damaged))
        .chain(short)
        .collect()
}

fn failing(input: &Input<'_>, condition: &Condition) -> Option<Failure> {
    let (error, since) = condition.failing.as_ref()?;
    if input.at.duration_since(*since) < FAILING {
        return None;
    }
    let (title, remedy): (_, &'static Remedy) = match error {
        StoreError::Full => ("The disk of the coordinator's store is full", &FULL),
        _ => ("The store of the coordinator takes nothing", &FAILS),
    };
    let lost = match condition.lost_values {
        0 => String::new(),
        lost => format!(" {lost} values are lost so far."),
    };
    let why = untrusted::line(&error.to_string(), 200).into_owned();
    let since = figure::since(*since, input.at);
    let summary = format!("{title} {since}: {why}.{lost}");
    let mut failure = Failure::new(Severity::Warning, summary)
        .about("store")
        .proof([
            Evidence::new("error", why, "store"),
            Evidence::new("lost values", count(condition.lost_values), "store"),
        ]);
    failure.instead = Some((title, remedy));
    Some(failure)
}

fn damaged(replaced: &Replaced) -> Failure {
    const TITLE: &str = "The store of the coordinator was damaged";
    let gap = match &replaced.backup {
        Some((_, at)) => format!(
            "what was kept from {} to {} is missing",
            at.strftime("%Y-%m-%d %H:%M"),
            replaced.at.strftime("%Y-%m-%d %H:%M UTC")
        ),
        None => format!(
            "there was no backup: what was kept before {} is missing",
            replaced.at.strftime("%Y-%m-%d %H:%M UTC")
        ),
    };
    let set_aside = replaced.set_aside.display().to_string();
    let set_aside = untrusted::line(&set_aside, 200).into_owned();
    let summary = format!("{TITLE} and is set aside; {gap}.");
    let mut failure = Failure::new(Severity::Warning, summary)
        .about("store damaged")
        .proof([
            Evidence::new("set aside as", set_aside, "store"),
            Evidence::new(
                "why",
                untrusted::line(&replaced.why, 200).into_owned(),
                "store",
            ),
        ]);
    failure.instead = Some((TITLE, &DAMAGED));
    failure
}

fn short(condition: &Condition) -> Option<Failure> {
    const TITLE: &str = "The store of the coordinator is smaller than what it should keep";
    let until = condition.shortened_to?;
    let summary = format!(
        "{TITLE}: some values of before {} went before their time, since all take {}.",
        until.strftime("%Y-%m-%d %H:%M UTC"),
        figure::bytes(condition.size.total_bytes)
    );
    let mut failure = Failure::new(Severity::Info, summary)
        .about("store short")
        .proof([Evidence::new(
            "size",
            count(condition.size.total_bytes),
            "store",
        )]);
    failure.instead = Some((TITLE, &SHORT));
    Some(failure)
}

/// Exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(number: u64) -> f64 {
    number as f64
}
