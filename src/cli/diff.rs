//! `reprove diff`: where two things differ, and why.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{Context, Exit, Failure, document::JsonTo};
use crate::{
    diagnose::diagnose,
    diff::{Comparison, DiffError, Limits, NarTree, Pair, compare_trees},
    nix::nar::{self, Node},
    report::diff::{self as report, Detail},
    store::{self, FileContent},
};

/// Compare two files, folders, store paths or NARs, and say why they differ
#[derive(Debug, Args)]
pub struct Diff {
    /// The first
    a: PathBuf,
    /// The second
    b: PathBuf,
    /// Show every range that was kept, not the first few
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    json: JsonTo,
}

impl Diff {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let comparison = self.compare()?;
        let causes = diagnose(&comparison, &[]);
        self.json.write(&report::document(&comparison, &causes))?;
        if !self.json.is_stdout() {
            let names = Pair::new(self.a.to_string_lossy(), self.b.to_string_lossy());
            let detail = if self.full { Detail::Full } else { Detail::Short };
            let mut text = Vec::new();
            report::write(&mut text, Pair::new(&names.a, &names.b), &comparison, &causes, detail)
                .and_then(|()| anstream::stdout().write_all(&text))
                .map_err(|error| Failure::io("standard output", &error))?;
        }
        Ok(if comparison.identical() { Exit::Success } else { Exit::DIVERGED })
    }

    fn compare(&self) -> Result<Comparison, Failure> {
        let (a, b) = (open(&self.a)?, open(&self.b)?);
        Ok(compare_trees(&a, &b, &Limits::default())?)
    }
}

/// What to compare: a NAR stands for what is packed in it, and so does a link, such as `result`, for what it points
/// to.
fn open(path: &Path) -> Result<NarTree<FileContent>, Failure> {
    let failed = |error: io::Error| Failure::io(path.display().to_string(), &error);
    let path = path.canonicalize().map_err(failed)?;
    let nar = if path.is_file() { open_nar(&path).map_err(failed)? } else { None };
    let (node, file) = match nar {
        Some(file) => {
            let node = Node::read(io::BufReader::new(&file))
                .map_err(|error| Failure::nix(error).about(path.display()))?;
            (node, file)
        }
        None => store::pack(&path)?,
    };
    Ok(NarTree::new(FileContent::new(file).map_err(failed)?, &node))
}

/// The file at `path` if it is a NAR.
fn open_nar(path: &Path) -> io::Result<Option<File>> {
    let mut file = File::open(path)?;
    let is_nar = nar::starts_like_a_nar(&file)?;
    io::Seek::rewind(&mut file)?;
    Ok(is_nar.then_some(file))
}

impl From<DiffError> for Failure {
    /// What could not be read was not compared.
    fn from(error: DiffError) -> Self {
        Failure::new(error.code(), &error, Exit::NotChecked)
    }
}
