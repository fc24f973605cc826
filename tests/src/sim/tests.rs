//! The simulated node against the agent's own readers.

use std::collections::BTreeMap;

use pvelens_agent::collector::{COLLECTORS, Payload, collect_once};
use pvelens_proto::{agent::v1::Sample, timestamp_to_millis};

use super::*;
use crate::run::{Options, host, run};

fn spec() -> ClusterSpec {
    ClusterSpec::default()
}

/// What simulated nodes do not have, or not all of them.
const NOT_SIMULATED: &[&str] = &[
    "bonds",
    "ceph_config",
    "ceph_state",
    "certificates",
    "container_filesystems",
    "corosync",
    "corosync_state",
    "cpu_features",
    "cpu_models",
    "firmware",
    "hardware_errors",
    "host_files",
    "job_state",
    "journal_events",
    "kernel_settings",
    "kernels",
    "listeners",
    "mapping_config",
    "md_arrays",
    "multipath",
    "network_mounts",
    "package_updates",
    "packages",
    "pci_devices",
    "replication_state",
    "repositories",
    "rrd_history",
    "sdn_config",
    "sensor",
    "sensor_limits",
    "sshd",
    "subscription",
    "tasks",
    "time_sync",
    "zfs",
];

fn samples(cluster: &Cluster, index: usize) -> Vec<Sample> {
    let host = host(cluster, index).unwrap();
    COLLECTORS
        .iter()
        .map(|collector| collect_once(collector, &host))
        .collect()
}

#[test]
fn the_agent_reads_every_file_of_every_version_without_a_failure() {
    for (pve_version, nodes) in [(8, 3), (9, 3), (9, 1), (9, 2), (9, 4)] {
        let directory = temporary_directory().unwrap();
        let spec = ClusterSpec {
            pve_version,
            nodes,
            ..spec()
        };
        let mut cluster = Cluster::create(&spec, directory.path()).unwrap();
        cluster.advance(30).unwrap();
        for index in 0..nodes {
            for sample in samples(&cluster, index) {
                assert_eq!(
                    sample.failures,
                    [],
                    "{} of PVE {pve_version}",
                    sample.collector
                );
                let optional = NOT_SIMULATED.contains(&sample.collector.as_str());
                let empty = matches!(sample.payload, None | Some(Payload::NoData(_)));
                assert!(optional || !empty, "{} gave nothing", sample.collector);
            }
        }
    }
}

#[test]
fn counters_never_go_backwards_and_gauges_stay_inside() {
    let directory = temporary_directory().unwrap();
    let mut cluster = Cluster::create(&spec(), directory.path()).unwrap();
    let mut last: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..30 {
        cluster.advance(10).unwrap();
        for sample in samples(&cluster, 1) {
            for (name, value) in counters(&sample) {
                let before = last.insert(name.clone(), value).unwrap_or(0.0);
                assert!(value >= before, "{name} fell from {before} to {value}");
            }
        }
    }
    assert!(last.len() > 40, "{}", last.len());
}

/// Every number of a sample whose name ends in `_total`.
fn counters(sample: &Sample) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    let text = format!("{:?}", sample.payload);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for part in text.split([',', '{']) {
        let Some((name, value)) = part.split_once("_total: ") else {
            continue;
        };
        let number = value
            .trim_start_matches("Some(")
            .trim_end_matches([')', '}', ' ', ']']);
        if let Ok(number) = number.parse::<f64>() {
            let count = seen.entry(name).or_default();
            *count += 1;
            found.push((format!("{} {name} {count}", sample.collector), number));
        }
    }
    found
}

/// What the coordinator measures is what the simulator did, within 2 %.
#[test]
fn measured_rates_are_the_integrated_ones() {
    let directory = temporary_directory().unwrap();
    let mut cluster = Cluster::create(&spec(), directory.path()).unwrap();
    cluster.plan_override(
        0,
        Override::new(series::Series::CpuSome, "pve2", "", 0.3, None),
    );
    cluster.plan_override(
        0,
        Override::new(series::Series::SwapInPages, "pve3", "", 700.0, None),
    );
    let options = Options {
        minutes: 2,
        step_seconds: 10,
        ..Options::default()
    };
    let outcome = run(&mut cluster, &options).unwrap();
    let near = |what: &str, measured: Option<f64>, integrated: f64| {
        let measured = measured.unwrap_or_else(|| panic!("{what} was not measured"));
        let tolerance = 0.02 * integrated + 1e-4;
        assert!(
            (measured - integrated).abs() <= tolerance,
            "{what}: {measured} for {integrated}"
        );
    };
    let state = cluster.state();
    let view = &outcome.current.view;
    assert_eq!(view.nodes.len(), 3);
    for (node, measured) in state.nodes.iter().zip(&view.nodes) {
        let rates = &measured.rates.as_ref().unwrap().value;
        let load = &node.load;
        near("cpu", rates.cpu_ratio, load.cpu);
        near("iowait", rates.iowait_ratio, load.iowait);
        near("cpu pressure", rates.pressure.cpu_some_ratio, load.cpu_some);
        near(
            "memory pressure",
            rates.pressure.memory_some_ratio,
            load.memory_some,
        );
        near("I/O pressure", rates.pressure.io_full_ratio, load.io_full);
        near(
            "swap",
            rates.swapped_in_pages_per_second,
            load.swap_in_pages,
        );
        assert_eq!(rates.disks.len(), node.disks.len());
        for (disk, fact) in node.disks.iter().zip(&rates.disks) {
            let fact = fact.unwrap();
            near("reads", Some(fact.reads_per_second), disk.reads_per_second);
            let spread =
                (fact.read_latency_seconds.unwrap() / disk.read_latency_seconds - 1.0).abs();
            // The noise of a disk is a tenth.
            assert!(spread < 0.12, "{spread}");
        }
        let port = &node.nics[0];
        let facts = measured.facts.network.as_ref().unwrap();
        let position = facts
            .value
            .interfaces
            .iter()
            .position(|i| i.name == port.name)
            .unwrap();
        let rate = rates.interfaces[position].unwrap();
        near(
            "received",
            Some(rate.received_bytes_per_second),
            port.receive_rate,
        );
    }
    assert_eq!(view.guests.len(), state.guests.len());
    for guest in &state.guests {
        let measured = view.guests.iter().find(|g| g.vmid == guest.vmid).unwrap();
        let rates = measured.rates.as_ref().unwrap().value;
        near("guest CPU", rates.cpu_cores, guest.load.cores_used);
        near(
            "guest reads",
            rates.read_bytes_per_second,
            guest.load.read_bytes,
        );
        near(
            "guest received",
            rates.received_bytes_per_second,
            guest.load.receive_rate,
        );
    }
}

#[test]
fn the_same_specification_gives_the_same_files() {
    let read = |directory: &Path| -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect_files(directory, directory, &mut files);
        files
    };
    let make = |step: u64| {
        let directory = temporary_directory().unwrap();
        let mut cluster = Cluster::create(&spec(), directory.path()).unwrap();
        for _ in 0..4 {
            cluster.advance(step).unwrap();
        }
        read(directory.path())
    };
    let (one, two) = (make(10), make(10));
    assert!(one.len() > 300, "{}", one.len());
    assert!(one == two);
    assert!(one != make(20));
}

fn collect_files(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect_files(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn labels_are_written_before_anything_happens() {
    let directory = temporary_directory().unwrap();
    let mut cluster = Cluster::create(&spec(), directory.path()).unwrap();
    for fault in fault::seeded(cluster.state(), 3) {
        cluster.plan_fault(60, fault);
    }
    let path = cluster.write_labels().unwrap();
    let labels: Labels = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(&labels, cluster.labels());
    assert!(labels.expect.len() >= 3);
}

#[test]
fn every_seed_plants_three_to_six_faults_and_all_kinds_occur() {
    let directory = temporary_directory().unwrap();
    let cluster = Cluster::create(&spec(), directory.path()).unwrap();
    let mut checks = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let faults = fault::seeded(cluster.state(), seed);
        assert!((3..=6).contains(&faults.len()), "seed {seed}: {faults:?}");
        let mut labels = Labels::default();
        for fault in &faults {
            fault.label(cluster.state(), &mut labels);
        }
        checks.extend(labels.expect.into_iter().map(|label| label.check));
    }
    assert!(checks.len() >= 25, "{checks:?}");
}

#[test]
fn a_history_that_was_kept_before_is_read() {
    let directory = temporary_directory().unwrap();
    let cluster = Cluster::create(&spec(), directory.path()).unwrap();
    cluster.write_history().unwrap();
    let state = cluster.state();
    for index in 0..state.nodes.len() {
        let samples = samples(&cluster, index);
        let history = samples.iter().find_map(|sample| match &sample.payload {
            Some(Payload::RrdHistory(history)) => Some(history),
            _ => None,
        });
        let history = history.unwrap();
        assert!(!history.truncated);
        let guests = state.guests.iter().filter(|guest| guest.node == index);
        let objects = 1 + state.storages.len() + guests.count();
        assert_eq!(history.objects.len(), objects);
        let node = &history.objects[0];
        assert_eq!(node.name, state.nodes[index].name);
        let hours = node.archives.iter().find(|it| it.step_seconds == 1800);
        let hours = hours.unwrap();
        let newest = timestamp_to_millis(hours.first_at.as_ref().unwrap())
            + i64::from(hours.rows - 1) * 1_800_000;
        let before = state.start_millis - newest;
        assert!((0..1_800_000).contains(&before), "{before}");
        let cpu = hours.series.iter().find(|it| it.name == "cpu").unwrap();
        assert_eq!(cpu.runs, [0, 1440]);
        assert!(cpu.values.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
