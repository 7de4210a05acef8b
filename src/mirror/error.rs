//! What can go wrong with a mirror.

use std::io;

use super::{location::LocationError, policy::PolicyError, snapshot::Loss};
use crate::{
    attest::AttestError,
    code::{Code, Explanation},
    graph::GraphError,
    nix::store_path::StorePath,
    store::StoreError,
};

/// Why a mirror could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The place it lies in failed.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Its policy is none.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A statement could not be made or read.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// Its derivations do not go together, or one is not what its path says.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is none.
    #[error("{address} is no mirror: it has no mirror.json")]
    NotAMirror {
        /// The location.
        address: String,
    },
    /// There is one already, of another policy.
    #[error("{address} is a mirror already, with another policy (who signs is part of it)")]
    OtherPolicy {
        /// The location.
        address: String,
    },
    /// A key that nobody would believe.
    #[error("the key {key} is of none of the signers that the mirror's policy names")]
    NotASigner {
        /// Its name.
        key: String,
    },
    /// An object is not what it has to be.
    #[error("{object}: {why}")]
    Document {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something that the snapshot before lists.
    #[error("{object}: {loss}; {snapshot} lists it")]
    Lost {
        /// The object.
        object: String,
        /// What is the matter with it.
        loss: Loss,
        /// The snapshot.
        snapshot: String,
    },
    /// Others write it again and again.
    #[error("{object}: others write it at the same moment, again and again")]
    Contended {
        /// The object.
        object: String,
    },
    /// Nothing is begun while somebody removes.
    #[error("{address}: somebody is removing what nothing needs")]
    Removing {
        /// The location.
        address: String,
    },
    /// An object that is signed by nobody who is believed.
    #[error("{object}: {why}")]
    Unsigned {
        /// The object.
        object: String,
        /// Whose signature is missing.
        why: String,
    },
    /// What an unfinished writer left is not what it has to be now.
    #[error("{object} was left by a writer that did not finish, and is not what it has to be")]
    Left {
        /// The object.
        object: String,
    },
    /// A path cannot enter before what it refers to.
    #[error("{path} refers to {missing}, which the mirror does not hold")]
    NotClosed {
        /// The path.
        path: StorePath,
        /// What is not there.
        missing: StorePath,
    },
    /// A NAR of our store is not what its record says.
    #[error("the NAR of {path} in our store is not the one on record")]
    NarDiffers {
        /// The path.
        path: StorePath,
    },
    /// A file of this machine.
    #[error("a temporary file: {0}")]
    Io(#[from] io::Error),
}

impl MirrorError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            MirrorError::Location(error) => return error.code(),
            MirrorError::Policy(error) => return error.code(),
            MirrorError::Attest(error) => return error.code(),
            MirrorError::Graph(error) => return error.code(),
            MirrorError::Store(error) => return error.code(),
            MirrorError::NotAMirror { .. } => 1420,
            MirrorError::OtherPolicy { .. } => 1421,
            MirrorError::NotASigner { .. } => 1422,
            MirrorError::Document { .. } => 1423,
            MirrorError::Unsigned { .. } => 1424,
            MirrorError::Left { .. } => 1425,
            MirrorError::NotClosed { .. } => 1426,
            MirrorError::NarDiffers { .. } | MirrorError::Io(_) => 1427,
            MirrorError::Lost { .. } => 1428,
            MirrorError::Contended { .. } => 1429,
            MirrorError::Removing { .. } => 1430,
        })
    }
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1420),
        title: "there is no mirror at this place",
        text: "A mirror has a mirror.json, which says what it admits. `reprove mirror init` makes one.",
    },
    Explanation {
        code: Code(1421),
        title: "there is a mirror at this place already",
        text: "Its policy is another one; who signs is part of it, and without a policy of your own that is the owner of the key. What \
               is admitted follows from the policy, so a policy never changes: make a mirror at another place. Who signs this one \
               as well brings the very policy that it has (--policy).",
    },
    Explanation {
        code: Code(1422),
        title: "a key that the mirror does not name",
        text: "mirror.json names the keys that are believed. What another key signs, nobody would take from this mirror.",
    },
    Explanation {
        code: Code(1423),
        title: "an object of a mirror is not what it has to be",
        text: "It was damaged, or was not written by this program. Nothing of it is used. `reprove mirror verify` lists \
               everything that is wrong.",
    },
    Explanation {
        code: Code(1424),
        title: "an object of a mirror is not signed by those who have to",
        text: "mirror.json names who signs. An object without a signature of theirs is as good as anybody's claim.",
    },
    Explanation {
        code: Code(1425),
        title: "what an unfinished writer left differs from what is to be written",
        text: "Nothing refers to it, but objects are never written over. Either the two writers had different bits for one path, \
               or the object is damaged. Look at it, remove it by hand, and go on.",
    },
    Explanation {
        code: Code(1426),
        title: "a path whose references are not in the mirror",
        text: "A path enters only when everything it refers to is in, and the derivation it was built by: otherwise Nix could not \
               copy it, and nobody could build it again.",
    },
    Explanation {
        code: Code(1427),
        title: "a NAR of our store cannot be published",
        text: "Its bytes are not the ones on record, or a temporary file could not be written. `reprove store verify` finds \
               damage.",
    },
    Explanation {
        code: Code(1428),
        title: "something is gone that the snapshot before lists",
        text: "No snapshot was made: it would hide the loss. Put the object back, from a copy of the mirror or from another one. When it \
               is gone for good, remove the snapshot by hand, and tell those who rely on it: the next one begins anew with number 1.",
    },
    Explanation {
        code: Code(1429),
        title: "others write the same object of a mirror at the same moment",
        text: "Several workers with one key make its snapshot, each after what it has admitted; several signers sign mirror.json. \
               What was admitted is in. Do it again.",
    },
    Explanation {
        code: Code(1430),
        title: "somebody is removing what nothing needs from the mirror",
        text: "What is begun meanwhile could need what goes. Do it again when `reprove mirror gc` has ended. One that was killed leaves \
               a claim for twenty minutes; the next `gc` with the same state directory takes it up, and with --force any.",
    },
];
