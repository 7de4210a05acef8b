//! What can be wrong with a policy, and with making it hold.

use crate::{
    code::{Code, Explanation},
    graph::GraphError,
    nix::store_path::StorePath,
};

/// Why a policy cannot be read, checked or made to hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It is no TOML, or has keys that mean nothing.
    #[error("it cannot be read: {0}")]
    Syntax(String),
    /// More policies or rules than anybody reads.
    #[error("it has more than {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// A key that cannot be meant.
    #[error("policy `{policy}`: {place}: {why}")]
    Key {
        /// The policy.
        policy: String,
        /// Where in it.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Structured attributes that cannot be read.
    #[error("{drv}: its structured attributes cannot be read: {why}")]
    Attributes {
        /// The derivation.
        drv: StorePath,
        /// What is wrong.
        why: String,
    },
    /// An attribute that is an output's path.
    #[error("{drv}: `{name}` is an output, whose path nobody sets")]
    Output {
        /// The derivation.
        drv: StorePath,
        /// The output.
        name: String,
    },
    /// An input that is named in a text and not as a word of a list.
    #[error("{drv}: {input} cannot be dropped: {place} names it within a text")]
    StillNamed {
        /// The derivation.
        drv: StorePath,
        /// An output of the input.
        input: StorePath,
        /// Where.
        place: String,
    },
    /// A derivation to put in the place of an input that is not in the closure.
    #[error("{drv}: {to}, which is to stand in the place of an input, was not loaded")]
    NoReplacement {
        /// The derivation.
        drv: StorePath,
        /// What is missing.
        to: StorePath,
    },
    /// A replacement without an output that is needed.
    #[error("{drv}: {to}, which is to stand in the place of an input, has no output `{output}`")]
    NoSuchOutput {
        /// The derivation.
        drv: StorePath,
        /// The replacement.
        to: StorePath,
        /// The output.
        output: String,
    },
    /// A derivation that the closure lacks.
    #[error("{drv} is not in the closure")]
    Missing {
        /// The derivation.
        drv: StorePath,
    },
    /// A closure that is none any more.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl PolicyError {
    /// The error's code, 11xx, or that of the room that knows graphs.
    pub fn code(&self) -> Code {
        match self {
            PolicyError::Syntax(_) | PolicyError::TooMany { .. } | PolicyError::Key { .. } => Code(1101),
            PolicyError::Attributes { .. } => Code(1102),
            PolicyError::Output { .. } => Code(1103),
            PolicyError::StillNamed { .. } => Code(1104),
            PolicyError::NoReplacement { .. }
            | PolicyError::NoSuchOutput { .. }
            | PolicyError::Missing { .. } => Code(1105),
            PolicyError::Graph(error) => error.code(),
        }
    }
}

/// A derivation that violates a policy.
pub const VIOLATED: Code = Code(1110);

/// What every code of this room means.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1101),
        title: "a policy cannot be read",
        text: "It is TOML with one `[[policy]]` for each policy: `name`, `title`, `why`, `fix`, and one `[[policy.rule]]` for each \
               rule. The message names the policy and the place. `reprove policy show dont-strip` prints one as an example; \
               docs/policies.md has every key.",
    },
    Explanation {
        code: Code(1102),
        title: "structured attributes cannot be read",
        text: "A derivation with `__structuredAttrs` has its attributes as one line of JSON, sorted by name. This one's are \
               otherwise, so nothing that Nix wrote: instantiate it again.",
    },
    Explanation {
        code: Code(1103),
        title: "a policy sets the path of an output",
        text: "The variable has the name of one of the derivation's outputs, and its value follows from everything else the \
               derivation says. Choose another attribute, or match only derivations without such an output.",
    },
    Explanation {
        code: Code(1104),
        title: "an input cannot be dropped",
        text: "`drop-input` takes the words that name an input out of lists. Here a text names it among other things, such as a \
               script, and what should stand there instead only you can say: use `replace` for that text first.",
    },
    Explanation {
        code: Code(1105),
        title: "a derivation that a policy needs is missing",
        text: "`swap-input` names the derivation to put in the place of an input by its path, which has to be in the same store, \
               and to have the outputs that are needed: evaluate it first, with `reprove plan` or `nix-instantiate`.",
    },
    Explanation {
        code: VIOLATED,
        title: "a derivation violates a policy",
        text: "With `--policy` on `build` and `verify` the policy is made to hold first. What it forbids cannot be mended that way, so \
               nothing is built. `reprove policy check` says which derivation it is, how it comes into the closure, and what to do.",
    },
];
