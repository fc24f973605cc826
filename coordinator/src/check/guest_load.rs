//! Guests that use all of what they were given.

use pvelens_proto::agent::v1::GuestKind;

use super::{
    Check, Failure, Input, Outcome, Remedy, Scope, Unknown, Verdicts, gate, held, held::Series,
    node_cpu, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    intent::Meaning,
    metric::Metric,
    store::row::ObjectKind,
    view::{Guest, MemorySource, Subject},
    windows::{COVERAGE, Day, Declared, Form, Kept, Percentiles, STEP_SECONDS},
};

pub(super) const CPU_SATURATED: Check = Check {
    id: "guest.cpu.saturated",
    title: "A guest uses all of its CPUs",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Guest,
    mappings: &["CAP"],
    windows: &[Declared {
        kinds: &[ObjectKind::Qemu, ObjectKind::Lxc],
        metric: Metric::CpuRatio,
        parts: &[],
        form: Form::Day,
    }],
    remediation: Remedy {
        diagnose: &["pvesh get /nodes/{node}/{kind}/{id}/rrddata --timeframe week"],
        fix: "Find out what the guest computes; if it is right, give it more CPUs: {tool} set {id} --cores NUMBER.",
        impact: "A VM must be restarted unless it supports CPU hotplug.",
        risk: Risk::Low,
        way_back: "Set the former number of CPUs again.",
    },
    run: |input, verdicts| {
        for (index, guest) in input.view.guests() {
            let subject = Subject::Guest(index);
            match gate::warm_guest(input, guest) {
                Ok(()) => cpu_saturated(input, verdicts, subject, guest),
                Err(outcome) => verdicts.push(subject, outcome),
            }
        }
    },
    ..Check::HEALTH
};

/// All of its CPUs for half an hour, or nearly so for a day. Without a store there is no
/// day, and the hour that clears is the half hour that is kept.
fn cpu_saturated(input: &Input<'_>, verdicts: &mut Verdicts<'_>, subject: Subject, guest: &Guest) {
    let limits = &input.params.limits;
    if input.means(guest, Meaning::Batch) {
        verdicts.not_applicable(subject, gate::TAGGED);
        return;
    }
    if is_limited(guest) {
        verdicts.not_applicable(subject, "its CPU limit is lower than its number of CPUs");
        return;
    }
    // One window serves both questions: most guests pass by it.
    let window = Series::of(input, guest.key, Metric::CpuRatio).last(30);
    let day = input.windows.day(guest.key, Metric::CpuRatio, input.at);
    let busy_day = busy_day(input, guest, day);
    if busy_day.is_none() && held::all_below(&window, limits.guest_cpu_clear) {
        if is_calm_hour(input, day) {
            verdicts.pass(subject);
        } else {
            verdicts.recovering(subject);
        }
        return;
    }
    let is_saturated = held::all_above(&window, limits.guest_cpu);
    let node = input.view.node(guest.node);
    // More virtual CPUs help only while the node has some to give.
    if !(is_saturated || busy_day.is_some()) || node_cpu::is_pressed(input, node) {
        held::decide(verdicts, subject, None, window.is_covered(), false);
        return;
    }
    let cpus = guest.figures.cpus;
    let of = cpus.map_or_else(String::new, |cpus| format!(" of its {cpus:.0} CPUs"));
    let half_hour = is_saturated.then(|| window.mean().unwrap_or_default());
    let who = words::guest(guest);
    let what = match (half_hour, busy_day) {
        (None, Some(day)) => format!(
            "{who} has used {} or more{of} for more than an hour of the last day.",
            figure::percent(f64::from(day.p95))
        ),
        (used, _) => format!(
            "{who} has used {}{of} for 30 minutes.",
            figure::percent(used.unwrap_or_default())
        ),
    };
    let seen = |name, value| {
        Evidence::new(name, value, "cgroup and pvestatd")
            .unit("ratio")
            .seen(&node.name, input.at)
    };
    let of_day = busy_day.map(|day| {
        [
            seen("CPU use over 24 h, median", f64::from(day.p50)),
            seen("CPU use over 24 h, 95th percentile", f64::from(day.p95)),
            seen("CPU use over 24 h, 99th percentile", f64::from(day.p99)),
        ]
    });
    let failure = Failure::new(Severity::Warning, what)
        .proof(half_hour.map(|used| seen("CPU use", used)))
        .proof(of_day.into_iter().flatten())
        .proof(cpus.map(|cpus| Evidence::new("CPUs", cpus, "guest configuration")));
    verdicts.fail(subject, failure);
}

/// A day in which it nearly used all it has; of this run of the guest: before it was
/// started it may have had other CPUs.
fn busy_day(input: &Input<'_>, guest: &Guest, day: Kept<'_, Day>) -> Option<Percentiles> {
    let Kept::Of(Day {
        percentiles: Some(day),
        ..
    }) = day
    else {
        return None;
    };
    let steps = u32::try_from(Form::Day.steps() * STEP_SECONDS).map_or(f64::MAX, f64::from);
    let uptime = guest.figures.uptime_seconds;
    if uptime.is_some_and(|seconds| seconds < COVERAGE * steps) {
        return None;
    }
    (f64::from(day.p95) > held::stored(input.params.limits.guest_cpu_day)).then_some(*day)
}

/// Whether the hour before now says that it is over. The newest half of it was judged by
/// values of half a minute, all of it by those of five minutes.
fn is_calm_hour(input: &Input<'_>, day: Kept<'_, Day>) -> bool {
    match day {
        Kept::Nothing => true,
        Kept::TooFew => false,
        Kept::Of(day) => day.hour.is_some_and(|hour| {
            f64::from(hour) < held::stored(input.params.limits.guest_cpu_clear)
        }),
    }
}

/// A limit below the number of CPUs is another defect.
fn is_limited(guest: &Guest) -> bool {
    let settings = guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref());
    settings.is_some_and(|settings| {
        let cpus = settings
            .cores
            .map(|cores| cores.saturating_mul(settings.sockets.unwrap_or(1)));
        match (settings.cpu_limit_cores, cpus) {
            (Some(limit), Some(cpus)) => limit > 0.0 && limit < f64::from(cpus),
            (Some(limit), None) => limit > 0.0 && guest.kind == GuestKind::Lxc,
            (None, _) => false,
        }
    })
}

pub(super) const MEMORY_SATURATED: Check = Check {
    id: "guest.mem.saturated",
    title: "A guest uses all of its memory",
    category: Category::Performance,
    severity: Severity::Warning,
    scope: Scope::Guest,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["{tool} config {id}", "{tool} status {id} --verbose"],
        fix: "Give the guest more memory: {tool} set {id} --memory MEGABYTES.",
        impact: "Applies to a container at once; a VM must be restarted unless it supports memory hotplug.",
        risk: Risk::Low,
        way_back: "Set the former amount again.",
    },
    run: |input, verdicts| {
        for (index, guest) in input.view.guests() {
            let subject = Subject::Guest(index);
            match gate::warm_guest(input, guest) {
                Ok(()) if guest.kind == GuestKind::Lxc => {
                    container_memory(input, verdicts, subject, guest);
                }
                Ok(()) => verdicts.push(subject, vm_memory(input, guest)),
                Err(outcome) => verdicts.push(subject, outcome),
            }
        }
    },
    ..Check::HEALTH
};

fn container_memory(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    subject: Subject,
    guest: &Guest,
) {
    let limits = &input.params.limits;
    let used = Series::of(input, guest.key, Metric::MemoryUsedRatio);
    if used.below(1.0 - limits.guest_memory_available_clear, 30) {
        verdicts.pass(subject);
        return;
    }
    let stalled = Series::of(input, guest.key, Metric::MemoryPressureSomeRatio).last(15);
    let share = stalled.mean().unwrap_or_default();
    let is_saturated = used.above(limits.container_memory, 15)
        && stalled.is_covered()
        && share > held::stored(limits.container_memory_pressure);
    let failure = is_saturated.then(|| {
        let used = used.mean(15);
        let node = &input.view.node(guest.node).name;
        Failure::new(
            Severity::Warning,
            format!(
                "{} uses {} of its memory and waits for more {} of the time.",
                words::guest(guest),
                figure::percent(used),
                figure::percent(share)
            ),
        )
        .proof([
            Evidence::new(
                "memory used without cache",
                used,
                "memory.current, memory.stat",
            )
            .unit("ratio")
            .seen(node, input.at),
            Evidence::new("time waiting for memory", share, "memory.pressure")
                .unit("ratio")
                .seen(node, input.at),
        ])
    });
    held::decide(verdicts, subject, failure, used.is_covered(15), false);
}

/// What a VM's balloon calls free does not count its page cache, and the rates
/// of swapping that would tell are not collected yet. So plenty of free memory
/// proves that it has enough; little proves nothing, and what the host sees
/// never does.
fn vm_memory(input: &Input<'_>, guest: &Guest) -> Outcome {
    if guest.figures.memory_source != Some(MemorySource::Balloon) {
        return Outcome::Unknown(Unknown::NotReported);
    }
    let limits = &input.params.limits;
    let used = Series::of(input, guest.key, Metric::MemoryUsedRatio).last(15);
    if held::all_below(&used, 1.0 - limits.guest_memory_available_clear) {
        return Outcome::Pass;
    }
    if !used.is_covered() {
        return Outcome::Unknown(Unknown::Coverage);
    }
    // Not all of the time below the trigger either.
    if used.share_above(held::stored(1.0 - limits.guest_memory_available)) < 1.0 {
        return Outcome::Recovering;
    }
    Outcome::Unknown(Unknown::NotReported)
}

#[cfg(test)]
mod tests;
