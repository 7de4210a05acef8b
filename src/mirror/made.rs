//! A derivation that was built, verified and found good enough: its way into the mirror.

use std::collections::BTreeMap;

use super::{
    MirrorError,
    layout::{FileHash, Object},
    publish::{Entry, Published, Publisher},
    statement::{Admission, Ground},
    testimony,
    workbench::{Obstacle, Workbench},
};
use crate::{
    nix::{hash::NarHash, store_path::StorePath},
    store::{Origin, PathInfo},
    verify::session::TargetResult,
};

/// What was made, and from what.
pub(super) struct Made {
    /// Its place in the graph.
    pub(super) index: usize,
    /// What was found of it.
    pub(super) target: TargetResult,
    /// What of the mirror it was made from, and which bits that had.
    pub(super) inputs: BTreeMap<StorePath, NarHash>,
    /// The sources it was made from, and under which SHA-256 each lies in the mirror.
    pub(super) sources: BTreeMap<StorePath, String>,
}

impl Made {
    /// Admits every output.
    pub(super) fn publish(
        &self,
        bench: &Workbench<'_>,
        publisher: &Publisher<'_>,
    ) -> Result<Published, Obstacle> {
        publisher.keep(bench.graph, self.index)?;
        // One log is kept for a derivation, the first one. Who has another one, by another machine's memory, speaks of none.
        let log = bench.log(&self.target)?;
        let name = Object::Log(self.target.drv.clone()).name();
        let kept = log.as_ref().map(|log| publisher.put_bytes(&name, log)).transpose();
        let log = match kept {
            Err(MirrorError::Left { .. }) => None,
            kept => kept.map(|_| log)?,
        };
        let mut published = Published::There;
        for (output, info) in bench.outputs(&self.target)? {
            sources_in(bench, publisher, &info)?;
            let others = self.inputs.keys().chain(&info.references);
            let seeds = bench.mirror.seeds_of(others.filter(|path| **path != info.path))?;
            let admission = Admission {
                ground: Ground::Built { derivation: self.target.drv.clone(), output: output.output.clone() },
                inputs: self.inputs.clone(),
                sources: self.sources.clone(),
                seeds,
                log: log.as_ref().map(|log| FileHash::of(log).hex()),
            };
            let statements =
                testimony::statements(&self.target, output, &info, &admission.seeds, bench.realiser)
                    .map_err(Obstacle::from)?;
            let entry =
                Entry { info: &info, admission: &admission, statements: &statements, log: log.as_deref() };
            match publisher.publish(&entry)? {
                Published::Pending => published = Published::Pending,
                Published::New if published == Published::There => published = Published::New,
                Published::New | Published::There => {}
                conflict @ Published::Conflict { .. } => return Ok(conflict),
            }
        }
        Ok(published)
    }
}

/// Sources that an output refers to come in before it, by whoever has them.
fn sources_in(bench: &Workbench<'_>, publisher: &Publisher<'_>, info: &PathInfo) -> Result<(), Obstacle> {
    for reference in &info.references {
        let held = bench.realiser.store.path(reference)?;
        let is_source = held.is_some_and(|held| matches!(held.origin, Origin::Source { .. }));
        if is_source {
            publisher.source(reference)?;
        }
    }
    Ok(())
}
