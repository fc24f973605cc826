//! Rates and series of the payloads that hold figures.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{Shared, put};
use crate::{
    live::{
        agent::{Agent, Paging},
        clock::plausible,
        facts::{Held, Stamp},
        keys::Moment,
        series::NodeSeries,
    },
    view::rates::{
        self,
        guest::{self, Traffic},
    },
};

impl Agent {
    pub(super) fn keep_cpu(
        &mut self,
        value: Arc<wire::CpuTimes>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        self.booted = plausible(value.boot_time.as_ref());
        let interval = self.interval(self.facts.cpu.as_ref(), stamp);
        let shares = interval.and_then(|(previous, _)| rates::cpu(&previous, &value));
        if let Some(shares) = shares {
            self.series(stamp, shared).cpu(shares);
        }
        self.rates.cpu = shares.map(|shares| (shares, stamp));
        put(&mut self.facts.cpu, value, stamp);
    }

    pub(super) fn keep_pressure(
        &mut self,
        value: Arc<wire::Pressure>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let interval = self.interval(self.facts.pressure.as_ref(), stamp);
        let rates = interval.map(|(previous, seconds)| rates::pressure(&previous, &value, seconds));
        if let Some(rates) = &rates {
            self.series(stamp, shared).pressure(rates);
        }
        self.rates.pressure = rates.map(|rates| (rates, stamp));
        put(&mut self.facts.pressure, value, stamp);
    }

    pub(super) fn keep_memory(
        &mut self,
        value: Arc<wire::Memory>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let interval = self.interval(self.facts.memory.as_ref(), stamp);
        let paging = interval.map(|(previous, seconds)| Paging {
            swapped_in_pages_per_second: rates::per_second(
                previous.swapped_in_pages_total,
                value.swapped_in_pages_total,
                seconds,
            ),
            swapped_out_pages_per_second: rates::per_second(
                previous.swapped_out_pages_total,
                value.swapped_out_pages_total,
                seconds,
            ),
            oom_kills: previous
                .oom_kills_total
                .zip(value.oom_kills_total)
                .and_then(|(before, after)| rates::growth(before, after)),
        });
        if self.is_news(self.facts.memory.as_ref(), stamp) {
            let mut series = self.series(stamp, shared);
            series.memory(&value);
            if let Some(paging) = &paging {
                series.paging(
                    paging.swapped_in_pages_per_second,
                    paging.swapped_out_pages_per_second,
                    paging.oom_kills,
                );
            }
        }
        self.rates.paging = paging.map(|paging| (paging, stamp));
        put(&mut self.facts.memory, value, stamp);
    }

    pub(super) fn keep_disks(
        &mut self,
        value: Arc<wire::Disks>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let interval = self.interval(self.facts.disks.as_ref(), stamp);
        let rates = interval.map(|(previous, seconds)| rates::disks(&previous, &value, seconds));
        if let Some(rates) = &rates {
            self.series(stamp, shared).disks(&value, rates);
        }
        self.rates.disks = rates.map(|rates| (rates, stamp));
        put(&mut self.facts.disks, value, stamp);
    }

    pub(super) fn keep_filesystems(
        &mut self,
        value: Arc<wire::Filesystems>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        if self.is_news(self.facts.filesystems.as_ref(), stamp) {
            self.series(stamp, shared).filesystems(&value);
        }
        put(&mut self.facts.filesystems, value, stamp);
    }

    pub(super) fn keep_network(
        &mut self,
        value: Arc<wire::Network>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let interval = self.interval(self.facts.network.as_ref(), stamp);
        let rates =
            interval.map(|(previous, seconds)| rates::interfaces(&previous, &value, seconds));
        if let Some(rates) = &rates {
            self.series(stamp, shared).interfaces(&value, rates);
        }
        self.rates.interfaces = rates.map(|rates| (rates, stamp));
        put(&mut self.facts.network, value, stamp);
    }

    pub(super) fn keep_load(
        &mut self,
        value: Arc<wire::Load>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        if self.is_news(self.facts.load.as_ref(), stamp) {
            self.series(stamp, shared).load(&value);
        }
        put(&mut self.facts.load, value, stamp);
    }

    pub(super) fn keep_sensors(
        &mut self,
        value: Arc<wire::Sensors>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        if self.is_news(self.facts.sensors.as_ref(), stamp) {
            self.series(stamp, shared).sensors(&value);
        }
        put(&mut self.facts.sensors, value, stamp);
    }

    pub(super) fn keep_runtimes(
        &mut self,
        value: Arc<wire::GuestRuntimes>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let interval = self.interval(self.facts.guest_runtimes.as_ref(), stamp);
        let previous = interval.as_ref().map(|(list, _)| list.guests.as_slice());
        let seconds = interval.as_ref().map_or(1.0, |(_, seconds)| *seconds);
        let mut before = previous.unwrap_or_default().iter();
        let accounted: Vec<_> = value
            .guests
            .iter()
            .map(|guest| {
                let previous = advance(&mut before, guest.vmid, |guest| guest.vmid)?;
                guest::accounted(previous, guest, seconds)
            })
            .collect();
        if self.is_news(self.facts.guest_runtimes.as_ref(), stamp) {
            let without_status = self.facts.pve_status.is_none();
            let broadcasts = shared.broadcasts;
            let mut series = self.series(stamp, shared);
            for (guest, rates) in value.guests.iter().zip(&accounted) {
                series.guest_runtime(guest, rates.as_ref());
                if without_status {
                    let known = broadcasts.guests.get(&guest.vmid);
                    let cpus = known.and_then(|known| known.value.cpus);
                    series.guest_without_status(guest, rates.as_ref(), cpus);
                }
            }
        }
        self.rates.accounted = accounted;
        put(&mut self.facts.guest_runtimes, value, stamp);
    }

    pub(super) fn keep_pve_status(
        &mut self,
        value: Arc<wire::PveStatus>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) {
        let held = self.facts.pve_status.take();
        let comparable = held
            .as_ref()
            .is_some_and(|held| self.is_comparable(&held.stamp, &stamp));
        let earlier = std::mem::take(&mut self.rates.traffic);
        let guests = held.as_ref().map(|held| held.value.guests.as_slice());
        let mut before = guests.unwrap_or_default().iter().zip(&earlier);
        let mut traffic = Vec::with_capacity(value.guests.len());
        for status in &value.guests {
            let previous = advance(&mut before, status.vmid, |(guest, _)| guest.vmid);
            let computed = computed_at(status.computed_at, stamp);
            let Some((previous, rates)) = previous else {
                self.series_at(computed, stamp, shared).guest_status(status);
                traffic.push(None);
                continue;
            };
            let before = plausible(previous.computed_at.as_ref());
            if before == Some(computed) {
                // pvestatd has not computed anew: the last rate still stands.
                traffic.push(*rates);
                continue;
            }
            self.series_at(computed, stamp, shared).guest_status(status);
            let seconds = before
                .filter(|_| comparable)
                .and_then(|before| rates::seconds_between(before, computed));
            let rates: Option<Traffic> =
                seconds.and_then(|seconds| guest::traffic(previous, status, seconds));
            if let Some(rates) = &rates {
                self.series_at(computed, stamp, shared)
                    .guest_traffic(status, rates);
            }
            traffic.push(rates.map(|rates| (rates, computed)));
        }
        let storages = held.as_ref().map(|held| held.value.storages.as_slice());
        let mut before = storages.unwrap_or_default().iter().peekable();
        for storage in &value.storages {
            while before.next_if(|known| known.name < storage.name).is_some() {}
            let known = before.next_if(|known| known.name == storage.name);
            if known.is_none_or(|known| known.computed_at != storage.computed_at) {
                let computed = computed_at(storage.computed_at, stamp);
                self.series_at(computed, stamp, shared).storage(storage);
            }
        }
        self.rates.traffic = traffic;
        put(&mut self.facts.pve_status, value, stamp);
    }

    /// The previous value and the seconds since, if counters can be compared.
    fn interval<T>(&self, held: Option<&Held<T>>, stamp: Stamp) -> Option<(Arc<T>, f64)> {
        let Held {
            value,
            stamp: before,
        } = held?;
        let seconds = rates::seconds_between(before.observed, stamp.observed)?;
        self.is_comparable(before, &stamp)
            .then(|| (Arc::clone(value), seconds))
    }

    /// Whether the sample is of another time than the one held.
    fn is_news<T>(&self, held: Option<&Held<T>>, stamp: Stamp) -> bool {
        held.is_none_or(|held| held.stamp.observed != stamp.observed)
    }

    fn series<'s>(&self, stamp: Stamp, shared: &'s mut Shared<'_>) -> NodeSeries<'s> {
        self.series_at(stamp.observed, stamp, shared)
    }

    fn series_at<'s>(
        &self,
        observed: Timestamp,
        stamp: Stamp,
        shared: &'s mut Shared<'_>,
    ) -> NodeSeries<'s> {
        NodeSeries {
            node: shared.node,
            moment: Moment {
                at: self.clock.correct(observed, stamp.received),
                is_corrected: self.clock.corrects(),
            },
            keys: shared.keys,
            recorder: shared.recorder,
        }
    }
}

/// When pvestatd computed it, else when it was read.
fn computed_at(computed: Option<pvelens_proto::Timestamp>, stamp: Stamp) -> Timestamp {
    plausible(computed.as_ref()).unwrap_or(stamp.observed)
}

/// Moves both sorted lists on together; the entry of this VMID, if there is one.
fn advance<I, T>(before: &mut I, vmid: u32, id: impl Fn(&T) -> u32) -> Option<T>
where
    I: Iterator<Item = T> + Clone,
{
    loop {
        let mut ahead = before.clone();
        let entry = ahead.next()?;
        if id(&entry) > vmid {
            return None;
        }
        *before = ahead;
        if id(&entry) == vmid {
            return Some(entry);
        }
    }
}
