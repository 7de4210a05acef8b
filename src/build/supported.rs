//! What cannot be built in a machine, said before anything is tried.

use super::{attributes::Attributes, error::ContractError};
use crate::{
    machine::Arch,
    nix::{
        derivation::{Derivation, Output},
        text::shown,
    },
};

/// System features that need nothing a machine lacks.
const FEATURES: [&[u8]; 2] = [b"benchmark", b"big-parallel"];

/// Why a derivation is not built here. Names are escaped and shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Its outputs are not input-addressed.
    #[error("output `{output}` is {kind}, and its path is not known before the build")]
    Output {
        /// The output's name.
        output: String,
        /// Its kind.
        kind: &'static str,
    },
    /// A fixed-output derivation.
    #[error("its output is fixed by a hash: it is found by that hash, not built")]
    FixedOutput,
    /// A builder that is a part of Nix.
    #[error("its builder {0} is a part of Nix and no program")]
    Builtin(String),
    /// Another system.
    #[error("it is for the system {wanted}, and this machine runs {machine}")]
    System {
        /// What it asks for.
        wanted: String,
        /// What there is.
        machine: &'static str,
    },
    /// A feature there is none of.
    #[error("it requires the system feature {0}, which no machine here has")]
    Feature(String),
    /// It wants out of the sandbox.
    #[error("it sets `__noChroot`: it would be built outside of a sandbox")]
    NoChroot,
    /// It wants files of the host.
    #[error("it sets `__impureHostDeps`: it needs files of the host")]
    ImpureHostDeps,
}

/// Whether `derivation` can be built on `arch`, and if not, why.
pub fn check(
    derivation: &Derivation,
    attributes: &Attributes<'_>,
    arch: Arch,
) -> Result<Result<(), Unsupported>, ContractError> {
    for (name, output) in &derivation.outputs {
        match output {
            Output::InputAddressed { .. } => {}
            Output::Fixed { .. } => return Ok(Err(Unsupported::FixedOutput)),
            Output::Floating { .. } | Output::Deferred | Output::Impure { .. } => {
                return Ok(Err(Unsupported::Output { output: name.clone(), kind: output.kind() }));
            }
        }
    }
    if derivation.builtin().is_some() {
        return Ok(Err(Unsupported::Builtin(shown(&derivation.builder))));
    }
    if Arch::of_system(&derivation.system) != Some(arch) {
        let wanted = shown(&derivation.system);
        return Ok(Err(Unsupported::System { wanted, machine: arch.system() }));
    }
    let features = attributes.list("requiredSystemFeatures")?.unwrap_or_default();
    if let Some(feature) = features.iter().find(|feature| !FEATURES.contains(&feature.as_slice())) {
        return Ok(Err(Unsupported::Feature(shown(feature))));
    }
    if attributes.flag("__noChroot")? {
        return Ok(Err(Unsupported::NoChroot));
    }
    if attributes.list("__impureHostDeps")?.is_some_and(|list| !list.is_empty()) {
        return Ok(Err(Unsupported::ImpureHostDeps));
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derivation(outputs: &str, system: &str, builder: &str, env: &str) -> Derivation {
        let text = format!(r#"Derive([{outputs}],[],[],"{system}","{builder}",[],[{env}])"#);
        Derivation::parse(text.as_bytes()).unwrap()
    }

    const OUT: &str = r#"("out","/nix/store/00000000000000000000000000000000-x","","")"#;

    fn checked(outputs: &str, system: &str, builder: &str, env: &str) -> Result<(), Unsupported> {
        let derivation = derivation(outputs, system, builder, env);
        let attributes = Attributes::of(&derivation).unwrap();
        check(&derivation, &attributes, Arch::X86_64).unwrap()
    }

    #[test]
    fn each_kind_is_named() {
        let plain = |env: &str| checked(OUT, "x86_64-linux", "/bin/sh", env);
        assert_eq!(plain(""), Ok(()));
        assert_eq!(plain(r#"("requiredSystemFeatures","big-parallel benchmark")"#), Ok(()));
        assert_eq!(
            plain(r#"("requiredSystemFeatures","big-parallel kvm")"#),
            Err(Unsupported::Feature("\"kvm\"".to_owned()))
        );
        assert_eq!(plain(r#"("__noChroot","1")"#), Err(Unsupported::NoChroot));
        assert_eq!(plain(r#"("__noChroot","")"#), Ok(()));
        assert_eq!(plain(r#"("__json","{\"__noChroot\":true}")"#), Err(Unsupported::NoChroot));
        assert_eq!(plain(r#"("__impureHostDeps","/usr/lib")"#), Err(Unsupported::ImpureHostDeps));
        assert_eq!(
            checked(OUT, "builtin", "builtin:buildenv", ""),
            Err(Unsupported::Builtin("\"builtin:buildenv\"".to_owned()))
        );
        assert!(matches!(checked(OUT, "aarch64-darwin", "/bin/sh", ""), Err(Unsupported::System { .. })));
        assert!(matches!(checked(OUT, "riscv64-linux", "/bin/sh", ""), Err(Unsupported::System { .. })));
        let floating = r#"("out","","r:sha256","")"#;
        assert!(matches!(
            checked(floating, "x86_64-linux", "/bin/sh", ""),
            Err(Unsupported::Output { kind: "floating content-addressed", .. })
        ));
        let deferred = r#"("out","","","")"#;
        assert!(matches!(
            checked(deferred, "x86_64-linux", "/bin/sh", ""),
            Err(Unsupported::Output { kind: "deferred", .. })
        ));
        let impure = r#"("out","","r:sha256","impure")"#;
        assert!(matches!(
            checked(impure, "x86_64-linux", "/bin/sh", ""),
            Err(Unsupported::Output { kind: "impure", .. })
        ));
        let zeros = "0".repeat(64);
        let fixed = format!(r#"("out","/nix/store/00000000000000000000000000000000-x","sha256","{zeros}")"#);
        assert_eq!(checked(&fixed, "builtin", "builtin:fetchurl", ""), Err(Unsupported::FixedOutput));
    }
}
