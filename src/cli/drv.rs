//! `reprove drv`: derivations as files.

use std::{
    fs,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Context, Exit, Failure, document::JsonTo};
use crate::{
    nix::{
        aterm::MAX_LEN,
        derivation::{Derivation, Output},
        drv_check::{self, DrvCheck},
    },
    report::escape::{escape, escape_bytes},
};

/// Read derivations: show one, or check a folder of them.
#[derive(Debug, Args)]
pub struct Drv {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(Show),
    Check(Check),
}

/// Print one derivation, readably.
#[derive(Debug, Args)]
struct Show {
    /// The .drv file
    file: PathBuf,
}

/// Check every .drv file of a folder: canonical form, own path, output paths.
///
/// The folder must hold the whole closure, as `nix-store -qR` lists it: output paths follow from all inputs.
#[derive(Debug, Args)]
struct Check {
    /// The folder
    dir: PathBuf,
    #[command(flatten)]
    json: JsonTo,
}

impl Drv {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Show(verb) => verb.run(),
            Verb::Check(verb) => verb.run(),
        }
    }
}

impl Show {
    fn run(&self) -> Result<Exit, Failure> {
        let text = read(&self.file)?;
        let derivation =
            Derivation::parse(&text).map_err(|error| Failure::nix(error).about(self.file.display()))?;
        print(&derivation, &mut anstream::stdout())
            .map_err(|error| Failure::io("standard output", &error))?;
        Ok(Exit::Success)
    }
}

fn print(drv: &Derivation, out: &mut impl std::io::Write) -> std::io::Result<()> {
    for (name, output) in &drv.outputs {
        let path = output.path().map_or("(known after the build)".to_owned(), ToString::to_string);
        match output {
            Output::Fixed { method, hash, .. } => {
                writeln!(out, "output {name}  {path}  {}{}", method.prefix(), hash.to_sri())?;
            }
            other => writeln!(out, "output {name}  {path}  {}", other.kind())?,
        }
    }
    writeln!(out, "system  {}", escape_bytes(&drv.system))?;
    writeln!(out, "builder {}", escape_bytes(&drv.builder))?;
    for arg in &drv.args {
        writeln!(out, "  arg   {}", escape_bytes(arg))?;
    }
    for (input, outputs) in &drv.input_drvs {
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        writeln!(out, "needs   {input}^{}", outputs.join(","))?;
    }
    for input in &drv.input_srcs {
        writeln!(out, "source  {input}")?;
    }
    for (name, value) in &drv.env {
        writeln!(out, "env     {}={}", escape_bytes(name), escape_bytes(value))?;
    }
    Ok(())
}

/// The version of the document.
const SCHEMA: &str = "reprove.drv-check/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document<'a> {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    #[serde(flatten)]
    check: &'a DrvCheck,
}

impl Check {
    fn run(&self) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let check = drv_check::check(self.files()?);
        json.write(&Document { schema: SCHEMA, check: &check })?;
        if !json.is_stdout() {
            print_check(&check).map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(match (check.derivations, check.is_right()) {
            (0, _) => return Err(Failure::usage(format!("{}: no .drv file in it", self.dir.display()))),
            (_, true) => Exit::Success,
            (_, false) => Exit::NotChecked,
        })
    }

    fn files(&self) -> Result<Vec<NamedText>, Failure> {
        let failed = |error: std::io::Error| Failure::io(self.dir.display().to_string(), &error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "drv") {
                let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
                files.push((name, read(&path)?));
            }
        }
        files.sort();
        Ok(files)
    }
}

/// A file's name and its text.
type NamedText = (Vec<u8>, Vec<u8>);

/// Reads a .drv file, one byte more than any may have at the most: the parser then says that it is too long.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| Failure::io(path.display().to_string(), &error);
    let mut text = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_LEN as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn print_check(check: &DrvCheck) -> std::io::Result<()> {
    let mut out = anstream::stdout();
    writeln!(out, "derivations            {:>7}", check.derivations)?;
    writeln!(out, "  canonical form       {:>7}", check.reserialised_equal)?;
    writeln!(out, "  own path as computed {:>7}", check.paths_equal)?;
    writeln!(out, "output paths           {:>7}", check.output_paths)?;
    writeln!(out, "  as computed          {:>7}", check.output_paths_equal)?;
    if check.output_paths_not_computable > 0 {
        writeln!(
            out,
            "outputs without a path {:>7}  (known after the build)",
            check.output_paths_not_computable
        )?;
    }
    for fault in &check.errors {
        writeln!(out, "{} {}: {}", fault.code, escape(&fault.file), escape(&fault.message))?;
    }
    Ok(())
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document<'_>>()
}
