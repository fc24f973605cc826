//! Which series checks look back at for hours, of what has values now.

use super::{Live, keys::Recorder};
use crate::{
    history::ObjectKey,
    store::{block::SeriesKey, row::ObjectKind},
    windows::{Declared, Wanted},
};

const ALL_KINDS: [ObjectKind; 4] = [
    ObjectKind::Node,
    ObjectKind::Qemu,
    ObjectKind::Lxc,
    ObjectKind::Storage,
];

impl Live {
    /// The series of the objects that are known, as far as the store has them.
    pub(crate) fn wanted<'a>(
        &self,
        declared: impl Iterator<Item = &'a Declared> + Clone,
    ) -> Vec<Wanted> {
        let mut all = Vec::new();
        for cluster in self.clusters.values() {
            for kind in ALL_KINDS {
                let of_kind = declared.clone().filter(|one| one.kinds.contains(&kind));
                for object in cluster.keys.of_kind(kind) {
                    for one in of_kind.clone() {
                        all.extend(self.recorder.wanted_of(object, one));
                    }
                }
            }
        }
        all
    }
}

impl Recorder {
    fn wanted_of<'a>(
        &'a self,
        object: ObjectKey,
        declared: &'a Declared,
    ) -> impl Iterator<Item = Wanted> + 'a {
        let parts: &[&str] = match declared.parts {
            [] => &[""],
            parts => parts,
        };
        parts.iter().filter_map(move |part| {
            let part = self.known_part(part)?;
            let (metric, form) = (declared.metric, declared.form);
            let series = self.catalog.known_series(object.0, metric, &part)?;
            let series = SeriesKey {
                metric: metric.number(),
                series,
            };
            Some(Wanted {
                series,
                object,
                metric,
                part,
                form,
            })
        })
    }
}
