//! `reprove release sign`: a signature beside a document.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;

use crate::{
    cli::{
        Context, Exit, Failure,
        document::deliver,
        read::{named, secret_key},
    },
    release::{
        manifest::{self, Manifest, check_name},
        objection::Objection,
        sign::SignError,
        statement,
    },
    report::escape::escape,
};

/// Sign a manifest, or an objection to one, and put the signature beside it.
///
/// An ed25519 key of Nix signs the bytes together with their type, so that the signature is none of anything else that the
/// key signs. An OpenPGP key is asked for a detached signature of the file by `gpg`, as your configuration has it.
#[derive(Debug, Args)]
pub struct Sign {
    /// What to sign
    document: PathBuf,
    /// Sign with an ed25519 key, as `nix key generate-secret` makes them, in FILE
    #[arg(long, value_name = "FILE", required_unless_present = "gpg", conflicts_with = "gpg")]
    key: Option<PathBuf>,
    /// Let `gpg` sign, with the key of USER [default: gpg's own]
    #[arg(long, value_name = "USER", num_args = 0..=1, default_missing_value = "")]
    gpg: Option<String>,
    /// Where the signature goes [default: DOCUMENT.KEY.sig, DOCUMENT.USER.asc]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Sign {
    /// Signs what is a manifest or an objection, and nothing else.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let bytes = named(&self.document, manifest::MAX_LEN)?;
        let kind = match (Manifest::parse(&bytes), Objection::parse(&bytes)) {
            (Ok(_), _) => statement::MANIFEST,
            (Err(_), Ok(_)) => statement::OBJECTION,
            (Err(error), Err(_)) => return Err(Failure::from(error).about(self.document.display())),
        };
        let (signature, name) = match (&self.key, &self.gpg) {
            (Some(key), _) => by_nix(key, kind, &bytes)?,
            (None, user) => (gpg(user.as_deref().unwrap_or_default(), &self.document)?, self.user()),
        };
        let to = match &self.to {
            Some(to) => to.clone(),
            None => self.beside(&name)?,
        };
        deliver(&to, &signature)?;
        writeln!(anstream::stdout(), "{}", escape(&to.display().to_string()))
            .map_err(|error| Failure::io("standard output", &error))?;
        Ok(Exit::Success)
    }

    /// How the file of an OpenPGP signature is called: by the user, as far as files can be called so.
    fn user(&self) -> String {
        let user = self.gpg.as_deref().filter(|user| !user.is_empty()).unwrap_or("gpg");
        let plain = |c: char| if c.is_ascii_alphanumeric() || "@.-_+".contains(c) { c } else { '-' };
        format!("{}.asc", user.chars().map(plain).collect::<String>())
    }

    fn beside(&self, name: &str) -> Result<PathBuf, Failure> {
        let document = self.document.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let file = format!("{document}.{name}");
        check_name(&file).map_err(|error| Failure::from(error).hint("say where it goes: --to FILE"))?;
        Ok(self.document.with_file_name(file))
    }
}

fn by_nix(key: &Path, kind: &str, bytes: &[u8]) -> Result<(Vec<u8>, String), Failure> {
    let secret = secret_key(key)?;
    let signature = secret.sign(&statement::pre_authentication_encoding(kind, bytes));
    Ok((format!("{signature}\n").into_bytes(), format!("{}.sig", secret.name())))
}

/// A detached, armoured signature. Gpg talks to the person by itself.
fn gpg(user: &str, document: &Path) -> Result<Vec<u8>, Failure> {
    let mut command = Command::new("gpg");
    command.args(["--armor", "--detach-sign", "--output", "-"]);
    if !user.is_empty() {
        command.arg("--local-user").arg(user);
    }
    // Whatever it is called, it is no option.
    let document = std::path::absolute(document).map_err(|error| Failure::io("the manifest", &error))?;
    command.arg("--").arg(document).stdout(Stdio::piped());
    let output = command.spawn().and_then(|child| child.wait_with_output());
    let output =
        output.map_err(|source| Failure::from(SignError::NoGpg(source)).hint("Debian's package is gnupg"))?;
    if !output.status.success() {
        return Err(SignError::Gpg { status: output.status }.into());
    }
    Ok(output.stdout)
}

/// The JSON Schema of an objection.
pub fn objection_schema() -> schemars::Schema {
    crate::report::schema::of::<Objection>()
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}
