//! How much a mirror holds that somebody should look at, in the text format of Prometheus.

use std::collections::BTreeSet;

use super::metrics::family;
use crate::mirror::{
    Mirror,
    layout::{HashPart, KeyId, Object},
    location::LocationError,
};

/// Counts of what lies in a mirror, by the names of its objects: what is in them is read by whoever checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Records of other bits for admitted paths.
    conflicts: u64,
    /// Refusals: of each derivation as many as signers refused it.
    refused: u64,
    /// Paths that too few signers have testified to.
    pending: u64,
}

impl Numbers {
    /// Those of a mirror now.
    ///
    /// # Errors
    /// The location's, and one that cannot be listed.
    pub(super) fn of(mirror: &Mirror) -> Result<Self, LocationError> {
        let count = |folder: &str, counted: fn(&Object) -> bool| -> Result<u64, LocationError> {
            let listed = mirror.location().list(folder)?;
            let objects = listed.iter().filter_map(|(name, _)| Object::parse(name));
            Ok(objects.filter(counted).count() as u64)
        };
        Ok(Numbers {
            conflicts: count("conflicts/", |object| matches!(object, Object::Conflict(..)))?,
            refused: count("refused/", |object| matches!(object, Object::Refused(..)))?,
            pending: pending(mirror)?,
        })
    }

    /// As Prometheus reads it.
    pub(super) fn text(self) -> String {
        let mut text = String::new();
        for (name, help, value) in [
            ("conflicts", "Records of other bits for admitted paths.", self.conflicts),
            ("refused", "Refusals of derivations whose bits differ.", self.refused),
            ("pending", "Paths that wait for more signers.", self.pending),
        ] {
            family(&mut text, &format!("reprove_mirror_{name}"), "gauge", help, &[(String::new(), value)]);
        }
        text
    }
}

/// Paths that somebody signs and that have no narinfo. Where one signer is enough there are none, and nothing is listed for that.
fn pending(mirror: &Mirror) -> Result<u64, LocationError> {
    if mirror.policy().threshold < 2 {
        return Ok(0);
    }
    let keys: BTreeSet<KeyId> =
        mirror.signers().contributors.iter().flat_map(|one| &one.nix).map(KeyId::of).collect();
    let (mut admitted, mut signed) = (BTreeSet::<HashPart>::new(), BTreeSet::<HashPart>::new());
    for (name, _) in mirror.location().list("")? {
        match Object::parse(&name) {
            Some(Object::NarInfo(part)) => admitted.insert(part),
            Some(Object::Signature(part, key)) if keys.contains(&key) => signed.insert(part),
            _ => continue,
        };
    }
    Ok(signed.difference(&admitted).count() as u64)
}
