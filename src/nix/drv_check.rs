//! Checks a whole folder of `.drv` files against the rules of Nix: what `reprove drv check` does, without the I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Error,
    derivation::Derivation,
    hash_modulo::{HashModulos, ModuloError, OutputCheck, own_path},
    store_path::StorePath,
    text::shown,
};

/// What was found in a set of `.drv` files. All counts are of what was really compared: anything that could not be
/// is in `errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DrvCheck {
    /// Files looked at.
    pub derivations: usize,
    /// Files that give the same bytes when written again.
    pub reserialised_equal: usize,
    /// Files whose name is the path that follows from their text.
    pub paths_equal: usize,
    /// Stated output paths that are the ones recomputed.
    pub output_paths_equal: usize,
    /// Output paths stated.
    pub output_paths: usize,
    /// Outputs that rightly state no path, since it is known only after a build.
    pub output_paths_not_computable: usize,
    /// Everything wrong, by file.
    pub errors: Vec<DrvFault>,
}

impl DrvCheck {
    /// Whether there was something to look at, and every file and every stated path is right.
    pub fn is_right(&self) -> bool {
        self.derivations > 0
            && self.errors.is_empty()
            && self.reserialised_equal == self.derivations
            && self.paths_equal == self.derivations
            && self.output_paths_equal == self.output_paths
    }
}

/// One thing wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DrvFault {
    /// The file's name, escaped.
    pub file: String,
    /// The error's code, `RP0110`.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

/// A stated path that is not the one computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// The file's name.
    #[error("the path of this text is {computed}: the file was changed or renamed")]
    Derivation {
        /// The path that follows from the text.
        computed: StorePath,
    },
    /// An output's path.
    #[error("output `{output}` states {}, but its path is {computed}", stated.as_ref().map_or("no path".to_owned(), StorePath::to_string))]
    Output {
        /// The output.
        output: String,
        /// What the derivation states.
        stated: Option<StorePath>,
        /// What follows from the derivation and its inputs.
        computed: StorePath,
    },
    /// An output's path that nobody can know.
    #[error("output `{output}` states {stated}, but its path is known only after an input was built")]
    Unfounded {
        /// The output.
        output: String,
        /// What the derivation states.
        stated: StorePath,
    },
    /// Not named like a derivation.
    #[error("the file is not named `<hash>-<name>.drv`")]
    FileName,
    /// The same file given twice.
    #[error("a file of this name was given before")]
    Twice,
}

/// Checks files given as name and contents; they are judged together, so give the whole closure.
pub fn check(files: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> DrvCheck {
    let mut found = DrvCheck::default();
    let mut derivations = BTreeMap::new();
    for (name, text) in files {
        found.derivations += 1;
        match read(&name, &text) {
            Ok((path, derivation)) => {
                found.reserialised_equal += usize::from(derivation.serialise() == text);
                found.output_paths += derivation.outputs.values().filter_map(|output| output.path()).count();
                if derivations.insert(path, derivation).is_some() {
                    found.fault(&name, PathFault::Twice);
                }
            }
            Err(error) => found.fault(&name, error),
        }
    }
    let (order, circle) = leaves_first(&derivations);
    let mut modulos = HashModulos::new();
    for path in order {
        let Some(derivation) = derivations.get(path) else { continue };
        if let Err(error) = check_one(&mut found, &mut modulos, path, derivation) {
            found.fault(path.base_name().as_bytes(), error);
        }
    }
    if !circle.is_empty() {
        let cycle = a_cycle(&derivations, &circle);
        for path in circle {
            found.fault(path.base_name().as_bytes(), ModuloError::Cycle { cycle: cycle.clone() });
        }
    }
    found
}

impl DrvCheck {
    fn fault(&mut self, file: &[u8], error: impl Into<Error>) {
        let error = error.into();
        let fault =
            DrvFault { file: shown(file), code: error.code().to_string(), message: error.to_string() };
        self.errors.push(fault);
    }
}

fn read(name: &[u8], text: &[u8]) -> Result<(StorePath, Derivation), Error> {
    let path = StorePath::from_base_name(name)?;
    if !path.is_derivation() {
        return Err(PathFault::FileName.into());
    }
    Ok((path, Derivation::parse(text)?))
}

fn check_one(
    found: &mut DrvCheck,
    modulos: &mut HashModulos,
    path: &StorePath,
    derivation: &Derivation,
) -> Result<(), ModuloError> {
    let computed = own_path(path, derivation)?;
    if computed == *path {
        found.paths_equal += 1;
    } else {
        found.fault(path.base_name().as_bytes(), PathFault::Derivation { computed });
    }
    for (output, check) in modulos.check_outputs(path, derivation)? {
        match check {
            OutputCheck::Equal => found.output_paths_equal += 1,
            OutputCheck::NotComputable { .. } => found.output_paths_not_computable += 1,
            OutputCheck::Unfounded { stated } => {
                found.fault(path.base_name().as_bytes(), PathFault::Unfounded { output, stated });
            }
            OutputCheck::Different { stated, computed } => {
                let fault = PathFault::Output { output, stated, computed };
                found.fault(path.base_name().as_bytes(), fault);
            }
        }
    }
    modulos.insert(path, derivation)
}

type Derivations = BTreeMap<StorePath, Derivation>;

/// The derivations in an order in which inputs come first, and those left over, which need each other in a
/// circle or need such. Inputs that are not among them are no reason to wait.
fn leaves_first(derivations: &Derivations) -> (Vec<&StorePath>, BTreeSet<&StorePath>) {
    let mut waiting: BTreeMap<&StorePath, usize> = BTreeMap::new();
    let mut users: BTreeMap<&StorePath, Vec<&StorePath>> = BTreeMap::new();
    let mut order = Vec::with_capacity(derivations.len());
    for (path, derivation) in derivations {
        let inputs = derivation.input_drvs.keys().filter(|input| derivations.contains_key(*input));
        let count = inputs.map(|input| users.entry(input).or_default().push(path)).count();
        if count == 0 {
            order.push(path);
        } else {
            waiting.insert(path, count);
        }
    }
    let mut next = 0;
    while let Some(done) = order.get(next).copied() {
        next += 1;
        for user in users.get(done).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(*user) {
                *count -= 1;
                if *count == 0 {
                    waiting.remove(*user);
                    order.push(user);
                }
            }
        }
    }
    (order, waiting.into_keys().collect())
}

/// A circle among derivations that each need another one of them: whoever follows inputs comes back.
fn a_cycle(derivations: &Derivations, among: &BTreeSet<&StorePath>) -> Vec<StorePath> {
    let mut walked: Vec<&StorePath> = Vec::new();
    let mut places: BTreeMap<&StorePath, usize> = BTreeMap::new();
    let mut next = among.first().copied();
    while let Some(path) = next {
        if let Some(start) = places.insert(path, walked.len()) {
            return walked[start..].iter().chain([&path]).map(|path| (*path).clone()).collect();
        }
        walked.push(path);
        let inputs = derivations.get(path).into_iter().flat_map(|derivation| derivation.input_drvs.keys());
        next = inputs.into_iter().find(|input| among.contains(input));
    }
    Vec::new()
}
