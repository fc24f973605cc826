//! CPU models that people defined for their VMs, from `/etc/pve/virtual-guest`.
//!
//! Options are those of `qemu-server@src/PVE/QemuServer/CPUConfig.pm`.

use pvelens_proto::agent::v1::{CollectionClass, CpuModel, CpuModelConfig};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    section_file::{self, bound, short, short_or_empty},
};
use crate::format::{
    property_string::boolean,
    section_config::{self, Section},
};

const MODELS: &str = "/etc/pve/virtual-guest/cpu-models.conf";
const PROFILES: &str = "/etc/pve/virtual-guest/profiles.cfg";
/// Sections of one file.
const SECTION_LIMIT: usize = 1000;
/// QEMU knows some hundreds of flags.
const FLAG_LIMIT: usize = 1000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "cpu_models",
    summary: "own CPU models and profiles for VMs",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[MODELS, PROFILES],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    let mut found = false;
    let mut config = CpuModelConfig::default();
    if let Some(text) = section_file::text(reading, MODELS, &mut found) {
        let sections = section_file::sections(reading, MODELS, &text).sections;
        config.models = sections.iter().filter_map(model).collect();
        bound(reading, MODELS, &mut config.models, SECTION_LIMIT);
    }
    if let Some(text) = section_file::text(reading, PROFILES, &mut found) {
        // Only the names are known to be as in other files, so nothing is wrong
        // with a line that fits nowhere.
        let sections = section_config::parse(&text).sections;
        config.profile_names = sections.iter().map(|profile| short(profile.id)).collect();
        bound(reading, PROFILES, &mut config.profile_names, SECTION_LIMIT);
    }
    if !found {
        return Err(CollectError::NoData("no own CPU models"));
    }
    config.models.sort_by(|a, b| a.name.cmp(&b.name));
    config.profile_names.sort_unstable();
    Ok(Payload::CpuModelConfig(config))
}

fn model(section: &Section<'_>) -> Option<CpuModel> {
    (section.kind == "cpu-model").then(|| CpuModel {
        name: short(section.id),
        reported_model: short_or_empty(section.get("reported-model")),
        flags: section
            .get("flags")
            .unwrap_or_default()
            .split([';', ' '])
            .filter(|flag| !flag.is_empty())
            .take(FLAG_LIMIT)
            .map(short)
            .collect(),
        hidden: section.get("hidden").and_then(boolean).unwrap_or(false),
        physical_bits: short_or_empty(section.get("phys-bits")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const NODE: (&str, &str) = ("etc/pve/nodes/a/host.fw", "");

    #[test]
    fn models_and_names_of_profiles_are_read() {
        let sweep = sample(
            &COLLECTOR,
            &[
                NODE,
                (
                    "etc/pve/virtual-guest/cpu-models.conf",
                    "cpu-model: avx\n    flags +avx;-svm\n    phys-bits host\n    hidden 1\n    reported-model kvm64\n    hv-vendor-id canary\n",
                ),
                (
                    "etc/pve/virtual-guest/profiles.cfg",
                    "vm: small\n\tcores 1\n",
                ),
            ],
        );
        assert_eq!(kinds(&sweep), []);
        assert!(!format!("{sweep:?}").contains("canary"));
        let Some(Payload::CpuModelConfig(config)) = sweep.payload else {
            panic!("{sweep:?}");
        };
        let model = &config.models[0];
        assert_eq!(model.flags, ["+avx", "-svm"]);
        assert_eq!((model.hidden, model.physical_bits.as_str()), (true, "host"));
        assert_eq!(config.profile_names, ["small"]);
    }

    #[test]
    fn no_file_is_no_model() {
        let none = sample(&COLLECTOR, &[NODE]);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
    }

    proptest! {
        #[test]
        fn any_text_gives_models(text in "(cpu-model: ?[a-z0-9]{0,4}\n|\t(flags|hidden|phys-bits) ?\\PC{0,9}\n|\n){0,9}") {
            for section in &section_config::parse(&text).sections {
                drop(model(section));
            }
        }
    }
}
