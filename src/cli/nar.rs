//! `reprove nar`: Nix archives.

use std::{
    fs::File,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};
use crate::{
    nix::nar::{self, Node},
    report::escape::escape_bytes,
    store,
};

/// Hash, list, pack and unpack Nix archives.
#[derive(Debug, Args)]
pub struct Nar {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the NAR hash of a file, link or folder
    Hash {
        /// What to hash
        path: PathBuf,
        /// Print it in base-32, as in narinfo files, instead of SRI
        #[arg(long)]
        base32: bool,
    },
    /// List what a NAR holds
    Ls {
        /// The NAR; `-` is standard input
        nar: PathBuf,
    },
    /// Write the NAR of a file, link or folder to standard output
    Pack {
        /// What to pack
        path: PathBuf,
    },
    /// Unpack a NAR into a new file or folder
    Unpack {
        /// The NAR; `-` is standard input
        nar: PathBuf,
        /// What to make; must not exist yet
        to: PathBuf,
    },
}

impl Nar {
    /// Runs the verb.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let stdout = |error: io::Error| Failure::io("standard output", &error);
        match &self.verb {
            Verb::Hash { path, base32 } => {
                let (hash, _size) = store::write_nar(path, nar::NarHasher::default())?.finish();
                let text = if *base32 { hash.to_nix() } else { hash.to_string() };
                writeln!(anstream::stdout(), "{text}").map_err(stdout)?;
            }
            Verb::Ls { nar } => {
                let node =
                    Node::read(open(nar)?).map_err(|error| Failure::nix(error).about(nar.display()))?;
                list(&node, &mut io::BufWriter::new(io::stdout().lock())).map_err(stdout)?;
            }
            Verb::Pack { path } => {
                let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
                store::write_nar(path, &mut out)?;
                out.flush().map_err(stdout)?;
            }
            Verb::Unpack { nar, to } => store::unpack(open(nar)?, to)?,
        }
        Ok(Exit::Success)
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| Failure::io(path.display().to_string(), &error))?;
    Ok(Box::new(io::BufReader::new(file)))
}

/// One line per entry, parents before children: kind, size, path, target.
fn list(node: &Node, out: &mut impl io::Write) -> io::Result<()> {
    let mut open: Vec<(Vec<u8>, &Node)> = vec![(b".".to_vec(), node)];
    while let Some((path, node)) = open.pop() {
        let shown = escape_bytes(&path);
        match node {
            Node::Regular { executable: false, contents } => {
                writeln!(out, "-r--r--r-- {:>12} {shown}", contents.size)?
            }
            Node::Regular { executable: true, contents } => {
                writeln!(out, "-r-xr-xr-x {:>12} {shown}", contents.size)?
            }
            Node::Symlink { target } => {
                writeln!(out, "lrwxrwxrwx {:>12} {shown} -> {}", 0, escape_bytes(target))?
            }
            Node::Directory { entries } => {
                writeln!(out, "dr-xr-xr-x {:>12} {shown}", 0)?;
                for (name, child) in entries.iter().rev() {
                    open.push(([path.as_slice(), b"/", name].concat(), child));
                }
            }
        }
    }
    out.flush()
}
