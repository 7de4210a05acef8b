//! Two NARs that differ: where, and why.

use std::io;

use crate::{
    diagnose::{self, Cause, Proof},
    diff::{self, Comparison, DiffError, Limits, NarTree},
    nix::{
        hash::NarHash,
        nar::{NarError, Node},
    },
    store::{FileContent, Store, StoreError},
};

/// How some bits differ from round 0's.
#[derive(Debug)]
pub struct Divergence {
    /// Whose bits: `round 2`, `nix`.
    pub against: String,
    /// Their hash.
    pub other: NarHash,
    /// Where they differ; side a is round 0.
    pub comparison: Comparison,
    /// Why, the surest first.
    pub causes: Vec<Cause>,
}

/// Why two NARs of our store could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DivergenceError {
    /// One of them is gone.
    #[error("the NAR {0} is not in our store any more; run the verification again")]
    Gone(NarHash),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of them is damaged; `reprove store verify` finds it.
    #[error("the NAR {hash} in our store: {source}; run `reprove store verify`")]
    Damaged {
        /// The NAR.
        hash: NarHash,
        /// What is wrong with it.
        source: NarError,
    },
    /// Reading failed.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Reading failed.
    #[error("the NAR {hash} in our store: {source}")]
    Io {
        /// The NAR.
        hash: NarHash,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// Compares two NARs of the store, `ours` as side a, and says why they differ.
pub fn explain(
    store: &Store,
    against: String,
    ours: NarHash,
    other: NarHash,
    proofs: &[Proof],
) -> Result<Divergence, DivergenceError> {
    let comparison = diff::compare_trees(&tree(store, ours)?, &tree(store, other)?, &Limits::default())?;
    let causes = diagnose::diagnose(&comparison, proofs);
    Ok(Divergence { against, other, comparison, causes })
}

fn tree(store: &Store, hash: NarHash) -> Result<NarTree<FileContent>, DivergenceError> {
    let nar = store.nar(&hash)?.ok_or(DivergenceError::Gone(hash))?;
    let node =
        Node::read(io::BufReader::new(&nar)).map_err(|source| DivergenceError::Damaged { hash, source })?;
    let contents = FileContent::new(nar).map_err(|source| DivergenceError::Io { hash, source })?;
    Ok(NarTree::new(contents, &node))
}
