//! `reprove release reproduce`: whether a rebuild gives what a manifest lists.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        Context, Exit, Failure,
        build::realise,
        document::{JsonTo, Shown, deliver, folder_of},
        read::named,
        running::Interrupted,
        workshop::{Work, Workshop},
    },
    diff::{Content, NarTree, Pair},
    nix::nar::Node,
    release::{
        digest::{Digest, Sha256},
        manifest::{self, Manifest},
        reproduce::{Line, Outcome, Rebuilt, Why, compare, objection},
    },
    report::{diff as report, escape::escape, verify::write_inputs},
    store::{FileContent, Origin, PathInfo},
    verify::Inputs,
};

/// Build a release again, and compare each line of its manifest with the file of that name among the outputs.
///
/// Where a published file lies beside the manifest, it is said in what a differing one differs, and why. What was not built
/// here, but taken from somewhere, is no rebuild and is not compared.
///
/// Exit codes: 0 every artefact came out the same, 100 a build failed, 101 it took too long, 102 a source has the wrong
/// hash, 104 an artefact came out otherwise, 122 one was not among the outputs or could not be compared.
#[derive(Debug, Args)]
pub struct Reproduce {
    /// The manifest, in either form
    manifest: PathBuf,
    /// If an artefact came out otherwise, write an objection to FILE, to be signed and published beside the manifest as
    /// MANIFEST.NAME.objection.json
    #[arg(long, value_name = "FILE")]
    objection: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    json: JsonTo,
    #[command(flatten)]
    work: Work,
}

/// The version of the document.
const SCHEMA: &str = "reprove.release-reproduce/1";

#[derive(Serialize, schemars::JsonSchema)]
struct Document {
    #[schemars(extend("const" = SCHEMA))]
    schema: &'static str,
    /// The SHA-256 of the manifest.
    manifest: Sha256,
    artefacts: Vec<DocumentLine>,
    /// What it was built from, directly or through others, and nobody built here.
    taken_on_trust: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct DocumentLine {
    /// The artefact.
    file: String,
    /// `reproduced`, `diverged`, or `not-checked`.
    verdict: &'static str,
    /// What the manifest lists.
    published: Sha256,
    /// What came out, if it is something else.
    rebuilt: Option<Sha256>,
    /// Where it came out.
    place: Option<String>,
    /// Ids of the causes, if the published file was there to compare with.
    causes: Vec<&'static str>,
    /// What is not known, and why.
    note: Option<String>,
}

impl Reproduce {
    /// Builds, compares and prints.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let json = self.json.open()?;
        let bytes = named(&self.manifest, manifest::MAX_LEN)?;
        let manifest =
            Manifest::parse(&bytes).map_err(|error| Failure::from(error).about(self.manifest.display()))?;
        let digest =
            Digest::of(bytes.as_slice()).map_err(|error| Failure::io("the manifest", &error))?.sha256;
        let workshop = self.work.open(context, Interrupted::GoOn)?;
        if workshop.engines().len() > 1 {
            return Err(Failure::usage("`release reproduce` takes one machine"));
        }
        let (outputs, built) = realise(&workshop)?;
        let mut rebuilt = Vec::new();
        for output in &outputs {
            rebuilt.extend(tree(&workshop, &output.info)?);
        }
        let inputs = inputs(&workshop);
        let folder = folder_of(&self.manifest);
        let published = |file: &str| match std::fs::File::open(folder.join(file)) {
            Ok(file) => Ok(Some(Box::new(FileContent::new(file)?) as Box<dyn Content>)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let lines: Vec<Line> = manifest
            .artefacts
            .iter()
            .map(|artefact| {
                let outcome = match (compare(artefact, &rebuilt, &published), inputs.unknown.first()) {
                    (Outcome::Same { .. }, Some(unknown)) => Outcome::NotChecked(unknown.why()),
                    (outcome, _) => outcome,
                };
                Line { artefact: artefact.clone(), outcome }
            })
            .collect();
        if !json.is_stdout() {
            self.write(&mut anstream::stdout().lock(), &lines, &inputs)
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        json.write(&Document {
            schema: SCHEMA,
            manifest: digest,
            artefacts: lines.iter().map(document).collect(),
            taken_on_trust: taken(&inputs).collect(),
        })?;
        if let (Some(path), Some(objection)) = (&self.objection, objection(digest, &lines)) {
            let text = serde_json::to_string_pretty(&objection)
                .map_err(|error| Failure::io("the objection", &error.into()))?;
            deliver(path, format!("{text}\n").as_bytes())?;
        }
        Ok(lines.iter().map(exit).fold(built, Exit::and))
    }

    fn write(&self, out: &mut dyn Write, lines: &[Line], inputs: &Inputs) -> io::Result<()> {
        for line in lines {
            let file = escape(&line.artefact.file);
            match &line.outcome {
                Outcome::Same { .. } => writeln!(out, "reproduced   {file}")?,
                Outcome::Absent => writeln!(out, "not checked  {file}: no output has a file of this name")?,
                Outcome::NotChecked(why) => writeln!(out, "not checked  {file}: {}", escape(why))?,
                Outcome::Differs { rebuilt, .. } => {
                    writeln!(out, "diverged     {file}")?;
                    writeln!(out, "  published  {}", line.artefact.sha256)?;
                    writeln!(out, "  rebuilt    {rebuilt}")?;
                }
            }
        }
        for line in lines {
            match &line.outcome {
                Outcome::Differs { place, why: Why::Compared { comparison, causes }, .. } => {
                    let published = format!("{} (published)", line.artefact.file);
                    writeln!(out)?;
                    report::write(
                        out,
                        Pair::new(&*published, place),
                        comparison,
                        causes,
                        self.shown.detail(),
                    )?;
                }
                Outcome::Differs { why: Why::Unknown(why), .. } => {
                    writeln!(out, "\n{}: why is not known: {}", escape(&line.artefact.file), escape(why))?;
                }
                _ => {}
            }
        }
        write_inputs(out, &inputs.known, &inputs.unknown)
    }
}

/// What the outputs asked for were built from.
fn inputs(workshop: &Workshop<'_>) -> Inputs {
    let closure = &workshop.closure;
    let targets = closure.asked.iter().filter_map(|asked| closure.graph.index_of(&asked.drv));
    Inputs::of(&closure.graph, &workshop.plan(&[]), targets, &workshop.store)
}

/// What of it was taken as it is.
fn taken(inputs: &Inputs) -> impl Iterator<Item = String> {
    inputs.known.iter().filter(|input| input.origin.is_on_trust()).map(|input| input.path.to_string())
}

/// What is in an output that was built here.
fn tree(workshop: &Workshop<'_>, info: &PathInfo) -> Result<Option<Rebuilt>, Failure> {
    let place = info.path.to_string();
    if !matches!(info.origin, Origin::Built { .. }) {
        let mut failure = Failure::usage(format!("{place} was not built here, and is no rebuild"))
            .hint(format!("`reprove store forget {place}`, and build it: widen --only or --depth"));
        failure.exit = Exit::NotChecked;
        return Err(failure);
    }
    let Some(nar) = workshop.store.nar(&info.nar_hash)? else { return Ok(None) };
    let node = Node::read(io::BufReader::new(&nar)).map_err(|error| Failure::nix(error).about(&place))?;
    let content = FileContent::new(nar).map_err(|error| Failure::io(place.clone(), &error))?;
    Ok(Some(Rebuilt { place, tree: Box::new(NarTree::new(content, &node)) }))
}

fn exit(line: &Line) -> Exit {
    match line.outcome {
        Outcome::Same { .. } => Exit::Success,
        Outcome::Differs { .. } => Exit::DIVERGED,
        Outcome::Absent | Outcome::NotChecked(_) => Exit::NotChecked,
    }
}

fn document(line: &Line) -> DocumentLine {
    let (file, published) = (line.artefact.file.clone(), line.artefact.sha256);
    let empty = DocumentLine {
        file,
        verdict: "not-checked",
        published,
        rebuilt: None,
        place: None,
        causes: Vec::new(),
        note: None,
    };
    match &line.outcome {
        Outcome::Same { place } => {
            DocumentLine { verdict: "reproduced", place: Some(place.clone()), ..empty }
        }
        Outcome::Absent => {
            DocumentLine { note: Some("no output has a file of this name".to_owned()), ..empty }
        }
        Outcome::NotChecked(why) => DocumentLine { note: Some(why.clone()), ..empty },
        Outcome::Differs { place, rebuilt, why } => {
            let (causes, note) = match why {
                Why::Compared { causes, .. } => (causes.iter().map(|cause| cause.entry.id).collect(), None),
                Why::Unknown(why) => (Vec::new(), Some(why.clone())),
            };
            let (rebuilt, place) = (Some(*rebuilt), Some(place.clone()));
            DocumentLine { verdict: "diverged", rebuilt, place, causes, note, ..empty }
        }
    }
}

/// The JSON Schema of what `--json` writes.
pub fn schema() -> schemars::Schema {
    crate::report::schema::of::<Document>()
}
