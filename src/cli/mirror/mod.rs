//! `reprove mirror`: a binary cache in which every path was rebuilt before it was admitted.

mod bench;
pub mod challenge;
pub mod cosign;
mod ending;
pub mod gc;
mod init;
mod page;
pub mod populate;
mod seeds;
mod serve;
pub mod snapshot;
mod sources;
pub mod verify;

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure};
use crate::mirror::{
    MirrorError,
    location::{Location, LocationError},
    policy::PolicyError,
};

/// Make, fill and check a Nix binary cache in which every path carries its proof.
///
/// docs/mirror.md says what lies where in it, and how a stranger checks it.
#[derive(Debug, Args)]
pub struct Mirror {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Challenge(challenge::Challenge),
    Gc(gc::Gc),
    Init(init::Init),
    Page(page::Page),
    Populate(Box<populate::Populate>),
    Cosign(Box<cosign::Cosign>),
    Sources(sources::Sources),
    Serve(serve::Serve),
    Snapshot(snapshot::Snapshot),
    Verify(Box<verify::Verify>),
}

impl Mirror {
    /// Runs the verb.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match &self.verb {
            Verb::Challenge(verb) => verb.run(context),
            Verb::Gc(verb) => verb.run(context),
            Verb::Init(verb) => verb.run(context),
            Verb::Page(verb) => verb.run(context),
            Verb::Populate(verb) => verb.run(context),
            Verb::Cosign(verb) => verb.run(context),
            Verb::Sources(verb) => verb.run(context),
            Verb::Serve(verb) => verb.run(context),
            Verb::Snapshot(verb) => verb.run(context),
            Verb::Verify(verb) => verb.run(context),
        }
    }
}

/// A location that is to be written to.
fn to_write(address: &str) -> Result<Location, Failure> {
    let location = Location::parse(address)?;
    location.writable()?;
    Ok(location)
}

impl From<MirrorError> for Failure {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Location(error) => error.into(),
            error => Failure::new(error.code(), &error, exit(&error)),
        }
    }
}

fn exit(error: &MirrorError) -> Exit {
    match error {
        MirrorError::Location(error) => exit_of_location(error),
        MirrorError::Policy(_) | MirrorError::NotAMirror { .. } | MirrorError::OtherPolicy { .. } => {
            Exit::Usage
        }
        MirrorError::Unsigned { .. } | MirrorError::NotASigner { .. } => Exit::Unsigned,
        MirrorError::Document { .. }
        | MirrorError::Left { .. }
        | MirrorError::Lost { .. }
        | MirrorError::Graph(_) => Exit::HASH_MISMATCH,
        MirrorError::NotClosed { .. } | MirrorError::Contended { .. } | MirrorError::Removing { .. } => {
            Exit::NotChecked
        }
        MirrorError::Attest(_) => Exit::Usage,
        _ => Exit::Internal,
    }
}

impl From<LocationError> for Failure {
    fn from(error: LocationError) -> Self {
        let failure = Failure::new(error.code(), &error, exit_of_location(&error));
        match error {
            LocationError::NotListed { address } => {
                failure.hint(format!("reprove mirror verify {address} /nix/store/… checks paths by name"))
            }
            _ => failure,
        }
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Failure::new(error.code(), &error, Exit::Usage)
    }
}

fn exit_of_location(error: &LocationError) -> Exit {
    match error {
        LocationError::Address { .. }
        | LocationError::Bucket { .. }
        | LocationError::Overwrites { .. }
        | LocationError::NotListed { .. }
        | LocationError::ReadOnly { .. } => Exit::Usage,
        LocationError::TooLarge { .. } | LocationError::TooMany { .. } => Exit::HASH_MISMATCH,
        _ => Exit::NotChecked,
    }
}
