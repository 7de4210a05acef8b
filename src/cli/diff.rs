//! `reprove diff`: where two things differ, and why.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    Context, Exit, Failure,
    accepting::AcceptedFrom,
    document::{ReportTo, Shown},
};
use crate::{
    diagnose::diagnose,
    diff::{DiffError, Limits, NarTree, Pair, Tree, compare_trees_telling},
    nix::{
        nar::{self, Node},
        store_path::StorePath,
    },
    report::{accepted, diff as report},
    store::{self, FileContent, FileTree, FolderTree},
};

/// Compare two files, folders, store paths or NARs, and say why they differ
#[derive(Debug, Args)]
pub struct Diff {
    /// The first: a store path, a file, a folder or a NAR
    a: PathBuf,
    /// The second
    b: PathBuf,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    accepted: AcceptedFrom,
    #[command(flatten)]
    to: ReportTo,
}

impl Diff {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let views = self.to.open()?;
        let tolerated = self.accepted.open()?;
        let (a, b) = (open(&self.a, context)?, open(&self.b, context)?);
        let names = Pair::new(self.a.to_string_lossy(), self.b.to_string_lossy());
        let shown = Pair::new(&*names.a, &*names.b);
        // That they differ is said at once; where and why may take longer.
        let told = Cell::new(Ok(()));
        let tell = || {
            if !views.is_stdout() {
                told.set(print(|out| report::write_different(out, shown)));
            }
        };
        let comparison = compare_trees_telling(&*a, &*b, &Limits::default(), &tell)?;
        told.into_inner()?;
        let causes = diagnose(&comparison, &[]);
        let judgement = tolerated
            .as_ref()
            .filter(|_| !comparison.identical())
            .map(|tolerated| tolerated.judge(&package(&self.a), &comparison, &causes));
        views.json.write(&report::document(&comparison, &causes, judgement.as_ref()))?;
        views.write(|| report::subjects(shown, &comparison, &causes, judgement.as_ref()))?;
        if !views.is_stdout() {
            let detail = self.shown.detail();
            print(|out| {
                if comparison.identical() {
                    return report::write(out, shown, &comparison, &causes, detail);
                }
                report::write_differences(out, &comparison, &causes, detail)?;
                judgement.iter().try_for_each(|said| accepted::write(out, said))
            })?;
        }
        let compared = [package(&self.a)].into();
        let idle = self.accepted.leftovers(tolerated.as_ref(), &compared, &judgement);
        let equal = comparison.identical() || judgement.is_some_and(|judgement| judgement.all_accepted());
        Ok(idle.and(if equal { Exit::Success } else { Exit::DIVERGED }))
    }
}

/// Prints what `write` writes, whole.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Failure> {
    let mut text = Vec::new();
    write(&mut text)
        .and_then(|()| anstream::stdout().write_all(&text))
        .map_err(|error| Failure::io("standard output", &error))
}

/// What the accepted differences know a thing as: the name of a store path, or of a file or folder.
fn package(path: &Path) -> Vec<u8> {
    let base = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    match StorePath::from_base_name(base) {
        Ok(path) => path.name().as_bytes().to_vec(),
        Err(_) => base.to_vec(),
    }
}

/// What to compare: a NAR stands for what is packed in it, and so does a link, such as `result`, for what it points
/// to. A store path that our store has is the one it has, whatever the host has under it.
fn open(path: &Path, context: &Context) -> Result<Box<dyn Tree>, Failure> {
    let failed = |error: io::Error| Failure::io(path.display().to_string(), &error);
    let nar = match held(path, context)? {
        Some(file) => Some(file),
        None if path.is_file() => open_nar(path).map_err(failed)?,
        None => None,
    };
    let (node, file) = match nar {
        Some(file) => {
            let node = Node::read(io::BufReader::new(&file))
                .map_err(|error| Failure::nix(error).about(path.display()))?;
            (node, file)
        }
        // One file is read where it lies.
        None if path.is_file() => return Ok(Box::new(FileTree::open(path).map_err(failed)?)),
        // So is a folder.
        None if path.is_dir() => {
            return Ok(Box::new(FolderTree::open(&path.canonicalize().map_err(failed)?)?));
        }
        None => store::pack(&path.canonicalize().map_err(failed)?)?,
    };
    Ok(Box::new(NarTree::new(FileContent::new(file).map_err(failed)?, &node)))
}

/// The NAR of a store path that our store has.
fn held(path: &Path, context: &Context) -> Result<Option<File>, Failure> {
    let Ok(path) = StorePath::parse(path.as_os_str().as_bytes()) else { return Ok(None) };
    // A comparison of two files makes no state directory.
    if !context.state_dir()?.is_dir() {
        return Ok(None);
    }
    let store = context.store()?;
    match store.path(&path)? {
        Some(info) => Ok(store.nar(&info.nar_hash)?),
        None => Ok(None),
    }
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
