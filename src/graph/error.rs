//! What can be wrong with a graph.

use crate::{
    code::{Code, Explanation},
    nix::{drv_check::PathFault, hash_modulo::ModuloError, store_path::StorePath},
};

/// Why a set of derivations is no graph that can be built.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Derivations that need each other.
    #[error(
        "derivations need each other in a circle: {}",
        cycle.iter().map(StorePath::to_string).collect::<Vec<_>>().join(" → ")
    )]
    Cycle {
        /// The members, each needing the next; the first is there again at the end.
        cycle: Vec<StorePath>,
    },
    /// More than [`super::MAX_DERIVATIONS`].
    #[error("more than {limit} derivations are needed by {root}")]
    TooMany {
        /// What was asked for.
        root: StorePath,
        /// The limit.
        limit: usize,
    },
    /// An output that the derivation does not have.
    #[error("{drv} needs output `{output}` of {input}, which has no such output")]
    NoSuchOutput {
        /// Who needs it.
        drv: StorePath,
        /// Of whom.
        input: StorePath,
        /// Which.
        output: String,
    },
    /// An output whose path is known only after it is built.
    #[error("{drv} needs output `{output}` of {input}, whose path is known only after it is built")]
    UnknownPath {
        /// Who needs it.
        drv: StorePath,
        /// Of whom.
        input: StorePath,
        /// Which.
        output: String,
    },
    /// A derivation or output whose path does not follow from its text.
    #[error("{drv}: {fault}")]
    WrongPath {
        /// The derivation.
        drv: StorePath,
        /// What is wrong.
        fault: PathFault,
    },
    /// A derivation that is in no graph that was to have it.
    #[error("{drv} is in no closure that was read")]
    Missing {
        /// The derivation.
        drv: StorePath,
    },
    /// A hash modulo that cannot be computed.
    #[error(transparent)]
    Modulo(#[from] ModuloError),
}

impl GraphError {
    /// The error's code, 03xx; a wrong path has the code of the room that knows paths.
    pub fn code(&self) -> Code {
        match self {
            GraphError::Cycle { .. } => Code(301),
            GraphError::TooMany { .. } => Code(302),
            GraphError::NoSuchOutput { .. } => Code(303),
            GraphError::UnknownPath { .. } => Code(304),
            GraphError::Missing { .. } => Code(305),
            GraphError::WrongPath { fault, .. } => fault.code(),
            GraphError::Modulo(error) => error.code(),
        }
    }
}

/// Why a graph could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError<E> {
    /// The derivations do not go together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The resolver failed.
    #[error("{0}")]
    Resolve(E),
}

/// What every code of this room means.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(301),
        title: "derivations need each other in a circle",
        text: "A derivation's path is a hash over the paths of its inputs, so no honest store holds a circle: the files \
               named in the message were forged or put under wrong names. Instantiate them again with Nix.",
    },
    Explanation {
        code: Code(302),
        title: "too many derivations",
        text: "The closure is larger than any real one. If yours really is, ask for a part of it.",
    },
    Explanation {
        code: Code(303),
        title: "an input has no such output",
        text: "A derivation asks for an output that its input does not have; Nix would not have written it. \
               Instantiate it again.",
    },
    Explanation {
        code: Code(304),
        title: "an input's path is known only after it is built",
        text: "The input is floating content-addressed, deferred or impure: features of Nix that are experimental and \
               not supported here. `reprove plan` shows which derivations are.",
    },
    Explanation {
        code: Code(305),
        title: "a derivation is in no closure that was read",
        text: "A closure was put together from others, and one that it needs is in none of them: a defect of the program, or \
               a policy that puts a derivation in the place of another without its inputs.",
    },
];
