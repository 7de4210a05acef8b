//! The command line: one file per verb; the only place that prints or exits.

mod accepting;
mod across;
mod attest;
mod build;
mod completions;
mod context;
mod diagnose;
mod diff;
mod document;
mod drv;
mod drv_diff;
mod evaluation;
mod exit;
pub mod explain;
mod failure;
mod frontier;
mod guest;
mod host_nix;
mod log;
mod machine;
mod mirror;
mod nar;
mod nix_import;
mod plan;
mod policies;
mod policy;
mod progress;
mod read;
mod realising;
mod release;
mod running;
mod schema;
mod signers;
mod source;
mod sourcing;
mod store;
mod verify;
mod workshop;

pub use context::Context;
pub use exit::Exit;
pub use failure::Failure;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Proves, again and independently, that published bits come from their source.
///
/// Evaluates Nix flake outputs, builds each derivation inside a deterministic machine, compares the bits, and says
/// why they differ when they do.
#[derive(Debug, Parser)]
#[command(name = "reprove", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Where the store, the sources and the run records are kept [default: $REPROVE_STATE, or reprove in the XDG
    /// state directory]
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Whether to colour what is printed
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, hide_possible_values = true, value_name = "WHEN")]
    color: Color,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Show the build logs as they come
    #[arg(long, short = 'L', global = true, conflicts_with = "quiet")]
    print_build_logs: bool,
    #[command(subcommand)]
    verb: Verb,
}

/// When to colour.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Plan(plan::Plan),
    Build(build::Build),
    Verify(verify::Verify),
    Diagnose(diagnose::Diagnose),
    Diff(diff::Diff),
    Log(log::Log),
    Explain(explain::Explain),
    Schema(schema::Schema),
    Policy(policy::Policy),
    Drv(drv::Drv),
    DrvDiff(drv_diff::DrvDiff),
    Nar(nar::Nar),
    Source(source::Source),
    Release(release::Release),
    Attest(attest::Attest),
    Guest(guest::Guest),
    Mirror(mirror::Mirror),
    Machine(machine::Machine),
    Store(store::Store),
    Completions(completions::Completions),
}

/// Runs the program; the number is its exit code.
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints them on standard output.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return if error.print().is_ok() { exit } else { Exit::BrokenPipe };
        }
    };
    match cli.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    // Inputs of builds and connections are open files.
    crate::mirror::serve::allow_open_files();
    let context = Context::new(&cli);
    let result = match &cli.verb {
        Verb::Plan(verb) => verb.run(&context),
        Verb::Build(verb) => verb.run(&context),
        Verb::Verify(verb) => verb.run(&context),
        Verb::Diagnose(verb) => verb.run(&context),
        Verb::Diff(verb) => verb.run(&context),
        Verb::Log(verb) => verb.run(&context),
        Verb::Explain(verb) => verb.run(&context),
        Verb::Schema(verb) => verb.run(&context),
        Verb::Policy(verb) => verb.run(&context),
        Verb::Drv(verb) => verb.run(&context),
        Verb::DrvDiff(verb) => verb.run(&context),
        Verb::Nar(verb) => verb.run(&context),
        Verb::Source(verb) => verb.run(&context),
        Verb::Release(verb) => verb.run(&context),
        Verb::Attest(verb) => verb.run(&context),
        Verb::Guest(verb) => verb.run(&context),
        Verb::Mirror(verb) => verb.run(&context),
        Verb::Machine(verb) => verb.run(&context),
        Verb::Store(verb) => verb.run(&context),
        Verb::Completions(verb) => verb.run(&context),
    };
    result.unwrap_or_else(|failure| {
        failure.print();
        failure.exit
    })
}
