//! The world a builder finds, as an image: its root, its inputs, and what `init` needs to bring it there.
//!
//! Texts, modes and owners are those measured in Nix's sandbox with build users (2.8, 2.26 and 2.34 agree but for the mode
//! of `/etc`, where the newest is followed). `docs/guest-protocol.md` says where things lie.

use super::{
    environment::Environment,
    erofs::{Data, Dir, ErofsError, Image, Meta},
    error::ContractError,
    inputs::Inputs,
    job::{Job, Observe},
    program::{Enter, Input, InputKind, enter, entropy, terminal, watch_files, watch_processes},
};
use crate::{
    machine::{Arch, Settings},
    nix::{derivation::Derivation, nar::Node, store_path::StorePath},
};

/// The builder's terminal: the slave of the first master that is opened, in the outer world.
pub const TERMINAL: &str = "/dev/pts/0";

/// Why the image could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The derivation asks for what cannot be.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The image could not be written.
    #[error(transparent)]
    Image(#[from] ErofsError),
}

/// The image of the input drive.
pub fn image(
    arch: Arch,
    derivation: &Derivation,
    environment: &Environment,
    settings: &Settings,
    inputs: &Inputs,
    job: &Job<'_>,
) -> Result<Image, WorldError> {
    let mut image = Image::new(Meta::stored(0o755));
    let listed = store(&mut image, inputs)?;
    root(&mut image, environment, settings)?;
    let enter = enter(
        arch,
        &Enter {
            inputs: &listed,
            builder: &derivation.builder,
            args: &environment.args,
            env: &environment.variables,
            build_dir: &settings.build_dir,
            uid: settings.uid,
            gid: settings.gid,
        },
    )
    .map_err(ContractError::from)?;
    let entropy = entropy(arch, settings.seed).map_err(ContractError::from)?;
    let terminal = terminal(arch, TERMINAL, settings.uid).map_err(ContractError::from)?;
    for (name, mode, bytes) in [
        (b"enter".as_slice(), 0o555, enter),
        (b"entropy", 0o555, entropy),
        (b"terminal", 0o555, terminal),
        (b"job", 0o444, job.text().into_bytes()),
    ] {
        image.file(Image::ROOT, name, Meta::stored(mode), Data::Memory(bytes))?;
    }
    if job.observe == Observe::Processes {
        for (name, program) in
            [(b"watch-files".as_slice(), watch_files(arch)), (b"watch-processes", watch_processes(arch))]
        {
            image.file(Image::ROOT, name, Meta::stored(0o555), Data::Memory(program))?;
        }
    }
    Ok(image)
}

fn store(image: &mut Image, inputs: &Inputs) -> Result<Vec<Input>, WorldError> {
    let store = image.directory(Image::ROOT, b"store", Meta::stored(0o755))?;
    let mut listed = Vec::with_capacity(inputs.len());
    for (path, object) in inputs {
        let unreadable = |_| ContractError::Input(path.clone());
        let tree = Node::read(object.nar.reader(0, object.nar.len())).map_err(unreadable)?;
        let kind = match &tree {
            Node::Directory { .. } => InputKind::Directory,
            Node::Regular { .. } => InputKind::File,
            Node::Symlink { target } => InputKind::Symlink(target.clone()),
        };
        image.store_object(store, path.base_name().as_bytes(), &tree, &object.nar)?;
        listed.push(Input { base_name: path.base_name().to_owned(), kind });
    }
    Ok(listed)
}

fn root(image: &mut Image, environment: &Environment, settings: &Settings) -> Result<(), WorldError> {
    // Written when the build begins.
    let owned = |uid, gid| move |mode| Meta { mode, uid, gid, mtime: settings.clock };
    let (nixs, builders) = (owned(0, 0), owned(settings.uid, settings.gid));
    let root = image.directory(Image::ROOT, b"root", owned(0, settings.gid)(0o750))?;
    let etc = image.directory(root, b"etc", nixs(0o555))?;
    for (name, text) in etc_files(settings) {
        image.file(etc, name, nixs(0o644), Data::Memory(text.into_bytes()))?;
    }
    let build = build_directory(image, root, settings, builders)?;
    for (name, contents) in &environment.files {
        image.file(build, name, builders(0o644), Data::Memory(contents.clone()))?;
    }
    for (name, contents) in &environment.graphs {
        image.file(build, name, nixs(0o644), Data::Memory(contents.clone()))?;
    }
    Ok(())
}

fn build_directory(
    image: &mut Image,
    root: Dir,
    settings: &Settings,
    builders: impl Fn(u16) -> Meta,
) -> Result<Dir, WorldError> {
    let mut parts = settings.build_dir.split('/').filter(|part| !part.is_empty()).peekable();
    let mut directory = root;
    while let Some(part) = parts.next() {
        let mode = if parts.peek().is_some() { 0o755 } else { 0o700 };
        directory = image.directory(directory, part.as_bytes(), builders(mode))?;
    }
    Ok(directory)
}

/// The files in `/etc`, with the texts Nix writes.
pub fn etc_files(settings: &Settings) -> [(&'static [u8], String); 3] {
    let Settings { uid, gid, build_dir, .. } = settings;
    let passwd = format!(
        "root:x:0:0:Nix build user:{build_dir}:/noshell\n\
         nixbld:x:{uid}:{gid}:Nix build user:{build_dir}:/noshell\n\
         nobody:x:65534:65534:Nobody:/:/noshell\n"
    );
    let group = format!("root:x:0:\nnixbld:!:{gid}:\nnogroup:x:65534:\n");
    let hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    [(b"passwd", passwd), (b"group", group), (b"hosts", hosts)]
}

/// The outputs' paths by name: all stated, since only input-addressed derivations get this far.
pub fn output_paths(derivation: &Derivation) -> impl Iterator<Item = (&String, &StorePath)> {
    derivation.outputs.iter().filter_map(|(name, output)| Some((name, output.path()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_etc_have_the_sizes_measured_in_nix_sandboxes() {
        let sizes = etc_files(&Settings::default()).map(|(_, text)| text.len());
        assert_eq!(sizes, [130, 41, 34]);
    }
}
