//! From an installable to a derivation.

use std::{cell::OnceCell, collections::BTreeSet, ffi::OsString, path::Path, time::Duration};

use super::{
    ChrootStore, DrvFolder, FlakeError, Installable, Native, Nix, Target, process,
    quote::{quote, warnings},
};
use crate::nix::store_path::StorePath;

/// What `nix` applies to what it finds: the path of the derivation, or the type of what is none. Reading the path
/// makes `nix` write the `.drv` files.
const TO_DRV_PATH: &str = r#"d: if builtins.isAttrs d && d.type or null == "derivation" then { inherit (d) drvPath; } else { found = builtins.typeOf d; }"#;

/// How to evaluate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The system that attributes are looked up for; `None` is this machine's.
    pub system: Option<String>,
    /// Inputs of the flake to replace: its name in the flake, a flake reference.
    pub override_inputs: Vec<(String, String)>,
    /// Settings for `nix`, as with its own `--option`.
    pub options: Vec<(String, String)>,
    /// How long one evaluation may take.
    pub limit: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            system: None,
            override_inputs: Vec::new(),
            options: Vec::new(),
            limit: Duration::from_secs(600),
        }
    }
}

/// What an installable was evaluated to.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// What was asked for.
    pub installable: Installable,
    /// The derivation.
    pub drv: StorePath,
    /// The outputs meant.
    pub outputs: BTreeSet<String>,
    /// Where the derivation, those it needs, and their sources are.
    pub folder: DrvFolder,
    /// What `nix` warned of, escaped: a dirty tree, an unaccepted setting.
    pub warnings: Vec<String>,
}

/// Evaluates installables.
#[derive(Debug)]
pub struct Evaluator {
    store: ChrootStore,
    options: Options,
    nix: OnceCell<Nix>,
}

impl Evaluator {
    /// An evaluator with its store below the state directory. `nix` is looked for when it is needed first.
    pub fn new(state: &Path, options: Options) -> Result<Evaluator, FlakeError> {
        Ok(Evaluator { store: ChrootStore::open(state)?, options, nix: OnceCell::new() })
    }

    /// The store that is evaluated into.
    pub fn store(&self) -> &ChrootStore {
        &self.store
    }

    /// The `nix` program in use.
    pub fn nix(&self) -> Result<&Nix, FlakeError> {
        match self.nix.get() {
            Some(nix) => Ok(nix),
            None => {
                let nix = Nix::find()?;
                Ok(self.nix.get_or_init(|| nix))
            }
        }
    }

    /// Native builds in the same store.
    pub fn native(&self) -> Result<Native, FlakeError> {
        Ok(Native::new(self.nix()?.clone(), self.store.clone()))
    }

    /// Evaluates one installable.
    pub fn evaluate(&self, installable: &Installable) -> Result<Evaluated, FlakeError> {
        let (drv, folder, warnings) = match &installable.target {
            Target::Flake(text) => {
                let (drv, warnings) = self.ask_nix(installable, text)?;
                (drv, self.store.folder(), warnings)
            }
            Target::Derivation(drv) => {
                let ours = self.store.folder();
                let folder = if ours.file_of(drv).is_file() { ours } else { DrvFolder::new("/nix/store") };
                (drv.clone(), folder, Vec::new())
            }
            Target::File(path) => {
                let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                let drv = StorePath::from_base_name(name).map_err(|error| FlakeError::Installable {
                    text: installable.to_string(),
                    why: error.to_string(),
                })?;
                let folder = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                (drv, DrvFolder::new(folder), Vec::new())
            }
        };
        let derivation = folder.derivation(&drv)?;
        let outputs = installable.outputs.select(derivation.outputs.keys()).map_err(|output| {
            FlakeError::NoSuchOutput {
                installable: installable.to_string(),
                output,
                there: derivation.outputs.keys().cloned().collect(),
            }
        })?;
        Ok(Evaluated { installable: installable.clone(), drv, outputs, folder, warnings })
    }

    fn ask_nix(&self, installable: &Installable, text: &str) -> Result<(StorePath, Vec<String>), FlakeError> {
        let nix = self.nix()?;
        let mut command = nix.command("nix", &self.store);
        command.args(["eval", "--json", "--no-write-lock-file"]);
        for (name, value) in &self.options.options {
            command.args(["--option", name, value]);
        }
        for (name, reference) in &self.options.override_inputs {
            command.args(["--override-input", name, reference]);
        }
        if let Some(system) = &self.options.system {
            command.args(["--option", "system", system]);
        }
        // Behind what the caller gave, so that these hold.
        command.args(["--option", "accept-flake-config", "false"]);
        command.arg("--store").arg(self.store.address());
        command.args(["--apply", TO_DRV_PATH]);
        command.arg(for_version(text, nix));
        let finished = process::run(&mut command, self.options.limit, None)
            .map_err(|failure| FlakeError::of_failure(&format!("evaluating {installable}"), failure))?;
        if !finished.status.success() {
            return Err(FlakeError::Evaluation {
                installable: installable.to_string(),
                status: finished.status,
                message: quote(&finished.stderr),
            });
        }
        let drv = drv_path(&finished.stdout)
            .map_err(|found| FlakeError::NotADerivation { installable: installable.to_string(), found })?;
        Ok((drv, warnings(&finished.stderr)))
    }
}

/// A leading dot in the attribute path says that it is complete; versions before 2.19 do not know that and find a
/// complete path all the same, as the last of their attempts.
fn for_version(text: &str, nix: &Nix) -> OsString {
    let knows_dot = (nix.version.major, nix.version.minor) >= (2, 19);
    match text.split_once("#.") {
        Some((flake, path)) if !knows_dot => format!("{flake}#{path}").into(),
        _ => text.into(),
    }
}

/// Reads what [`TO_DRV_PATH`] gives, or says what was found instead.
fn drv_path(json: &[u8]) -> Result<StorePath, String> {
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| format!("no JSON from nix: {error}"))?;
    if let Some(found) = value.get("found").and_then(serde_json::Value::as_str) {
        return Err(format!("a {}", quote(found.as_bytes())));
    }
    match value.get("drvPath").and_then(serde_json::Value::as_str) {
        None => Err("something with a `drvPath` that is no text".to_owned()),
        Some(path) => match StorePath::parse(path.as_bytes()) {
            Ok(drv) if drv.is_derivation() => Ok(drv),
            Ok(path) => Err(format!("something whose `drvPath` is {path}")),
            Err(error) => Err(format!("something whose `drvPath` is no store path: {error}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_gives_is_not_believed() {
        assert!(drv_path(br#"{"drvPath":"/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-two.drv"}"#).is_ok());
        for json in [
            r#"{"drvPath":"/nix/store/1zn7mi885s25gqb7kjjijx9lb0j46n0k-two"}"#,
            r#"{"drvPath":"/etc/passwd"}"#,
            r#"{"drvPath":["x"]}"#,
            r#"{"found":"set"}"#,
            r#"{"drvPath":"#,
            "[]",
            "",
        ] {
            assert!(drv_path(json.as_bytes()).is_err(), "{json}");
        }
    }
}
