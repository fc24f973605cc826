//! One thin pool, and what is to be told of it.

use pvelens_proto::agent::v1::{LogicalVolume, Lvm, ThinPool};

use crate::{
    check::{Failure, Input, forecast::Filling},
    figure,
    finding::{Evidence, EvidenceValue, Severity},
    history::ObjectKey,
    untrusted,
    view::{Dated, Node, NodeIndex},
};

const LVS: &str = "lvs";
/// Volumes of a pool that evidence lists, the largest first.
const VOLUMES_SHOWN: usize = 10;

/// Everything about one pool.
pub(super) struct Pool<'a> {
    pub(super) index: NodeIndex,
    pub(super) node: &'a Node,
    /// `pve/data`.
    pub(super) name: String,
    pub(super) volume: &'a LogicalVolume,
    pub(super) lvm: &'a Dated<std::sync::Arc<Lvm>>,
}

impl<'a> Pool<'a> {
    pub(super) fn thin(&self) -> Option<&'a ThinPool> {
        self.volume.thin_pool.as_ref()
    }

    pub(super) fn proof(&self, name: &str, value: impl Into<EvidenceValue>) -> Evidence {
        Evidence::new(name, value, LVS).seen(&self.node.name, self.lvm.at)
    }

    /// The storage that is this pool, which has a series of how full it is.
    pub(super) fn storage(&self, input: &Input<'_>) -> Option<ObjectKey> {
        let target = format!("{}/{}", self.volume.volume_group, self.volume.name);
        let cluster = input.view.cluster(self.node.cluster);
        input
            .view
            .storages_of(cluster)
            .map(|(_, storage)| storage)
            .filter(|storage| {
                storage.entry.storage_type == "lvmthin" && storage.entry.target == target
            })
            .flat_map(|storage| &storage.nodes)
            .find(|on| on.node == self.index)
            .map(|on| on.key)
    }

    pub(super) fn filling(&self, used: f64, filling: &Filling) -> Failure {
        let summary = format!(
            "Thin pool {} of {} will be full in {} if it goes on as in the last 6 hours: it is {} full{}.",
            self.name,
            untrusted::name(&self.node.name),
            filling.left(),
            figure::percent(used),
            self.room()
        );
        Failure::new(Severity::Warning, summary)
            .proof(self.fill(used))
            .proof(filling.proof())
    }

    pub(super) fn fill(&self, used: f64) -> Vec<Evidence> {
        let mut evidence = vec![
            self.proof("used", used).unit("ratio"),
            self.proof("size", self.volume.size_bytes).unit("bytes"),
        ];
        evidence.extend(self.free_in_group());
        let thin = self.thin();
        evidence.extend(thin.map(|thin| self.proof("discards", thin.discards.as_str())));
        evidence.extend(self.volumes());
        evidence
    }

    fn free_bytes(&self) -> Option<u64> {
        let mut groups = self.lvm.value.volume_groups.iter();
        let group = groups.find(|group| group.name == self.volume.volume_group)?;
        Some(group.free_bytes)
    }

    pub(super) fn free_in_group(&self) -> Option<Evidence> {
        let free = self.free_bytes()?;
        Some(self.proof("free in the volume group", free).unit("bytes"))
    }

    /// What it can be extended by, if anything.
    pub(super) fn room(&self) -> String {
        match self.free_bytes() {
            Some(0) => ", and its volume group has no space to extend it".to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn own_volumes(&self) -> impl Iterator<Item = &'a LogicalVolume> {
        let (group, pool) = (&self.volume.volume_group, &self.volume.name);
        let all = self.lvm.value.logical_volumes.iter();
        all.filter(move |volume| volume.volume_group == *group && volume.pool == *pool)
    }

    /// What lies in it, the largest first.
    fn volumes(&self) -> impl Iterator<Item = Evidence> {
        let written = |volume: &LogicalVolume| {
            let share = volume.data_ratio.unwrap_or_default().clamp(0.0, 1.0);
            volume.size_bytes as f64 * share
        };
        let mut volumes: Vec<(f64, &str)> = self
            .own_volumes()
            .map(|volume| (written(volume), volume.name.as_str()))
            .collect();
        volumes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        volumes.truncate(VOLUMES_SHOWN);
        volumes.into_iter().map(|(bytes, name)| {
            self.proof(&untrusted::name(name), bytes.round())
                .unit("bytes")
        })
    }
}
