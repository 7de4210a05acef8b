//! Everything that is known of each path, folded.

use std::collections::BTreeSet;

use indicatif::HumanBytes;

use super::{Names, add, assurance, href, layers, tables::nar_hash, text};
use crate::{
    mirror::{
        holdings::{Held, Holdings, Testimony},
        layout::{HashPart, Object},
        statement::Ground,
    },
    nix::store_path::StorePath,
};

/// Paths that are named in a list, at most; the others are counted.
const MOST: usize = 40;

/// Writes the section.
pub(super) fn write(out: &mut String, holdings: &Holdings, needs: &[Vec<usize>], names: &Names<'_>) {
    if holdings.paths.is_empty() {
        return;
    }
    let dependants = layers::dependants(needs);
    out.push_str("<section id=\"proofs\" aria-labelledby=\"proofs-h\"><h2 id=\"proofs-h\">Proofs</h2>\n");
    for (held, dependants) in holdings.paths.iter().zip(dependants) {
        let dependants = dependants.into_iter().map(|at| &holdings.paths[at].path).collect();
        proof(out, held, &dependants, names);
    }
    out.push_str("</section>\n");
}

fn proof(out: &mut String, held: &Held, dependants: &BTreeSet<&StorePath>, names: &Names<'_>) {
    let part = HashPart::of(&held.path);
    let (assured, class) = assurance(held);
    add(
        out,
        format_args!(
            "<details><summary>{} <span class=\"kind {class}\">{assured}</span></summary><div id=\"p-{part}\"><dl>\n",
            text(held.path.name())
        ),
    );
    let mut row = |name: &str, value: String| add(out, format_args!("<dt>{name}</dt><dd>{value}</dd>\n"));
    row("Store path", text(&held.path.to_string()));
    row("NAR hash", nar_hash(held.nar_hash));
    let fetch = held.file_size.map(|size| format!(", {} to fetch", HumanBytes(size)));
    row("Size", format!("<p>{}{}</p>", HumanBytes(held.nar_size), fetch.unwrap_or_default()));
    let narinfo = Object::NarInfo(part).name();
    row(
        "Signed by",
        format!("<p>{} <a href=\"{}\">narinfo</a></p>", text(&held.signed.join(", ")), href(&narinfo)),
    );
    for said in &held.said {
        row(&format!("{} says", text(&said.by)), testimony(said));
    }
    if !held.read.is_empty() {
        let readers = held.read.iter();
        let readers: Vec<String> =
            readers.map(|one| format!("<a href=\"{}\">{}</a>", href(&one.object), text(&one.by))).collect();
        row("Read, and not built, by", format!("<p>{}</p>", readers.join(", ")));
    }
    let inputs: BTreeSet<&StorePath> = held.said.iter().flat_map(|said| &said.inputs).collect();
    let references: BTreeSet<&StorePath> = held.references.iter().collect();
    for (name, paths) in [
        ("Made from", &inputs),
        ("Refers to", &references),
        ("Rests on seeds", &held.seeds()),
        ("Needed by", dependants),
    ] {
        if !paths.is_empty() {
            row(name, list(paths, names));
        }
    }
    out.push_str("</dl></div></details>\n");
}

fn testimony(said: &Testimony) -> String {
    let ground = match &said.ground {
        Ground::Built { derivation, output } => {
            let log = Object::Log(derivation.clone()).name();
            let log = if said.log { format!(", <a href=\"{}\">log</a>", href(&log)) } else { String::new() };
            format!("built by {} as {}{log}", text(derivation.name()), text(output))
        }
        Ground::Source => "a source: its path follows from its bits".to_owned(),
        Ground::Seed { why } => format!("a seed, taken as it is: {}", text(why)),
    };
    let mut lines = vec![ground];
    if said.sources > 0 {
        lines.push(format!(
            "from {}",
            crate::report::count::count(said.sources as u64, "source that is kept", "sources that are kept")
        ));
    }
    if let Some(shown) = &said.shown {
        let rounds: Vec<String> =
            shown.rounds.iter().map(|(machine, number)| format!("{} × {number}", text(machine))).collect();
        lines.push(format!(
            "{}, level {} ({}), rounds: {}",
            text(&shown.verdict),
            shown.level,
            text(&shown.level_name),
            rounds.join(", ")
        ));
        if !shown.references.is_empty() {
            lines.push(format!("compared with: {}", text(&shown.references.join(", "))));
        }
    }
    lines.push(format!("<a href=\"{}\">signed statements</a>", href(&said.object)));
    lines.into_iter().map(|line| format!("<p>{line}</p>")).collect()
}

fn list(paths: &BTreeSet<&StorePath>, names: &Names<'_>) -> String {
    let shown = paths.iter().take(MOST);
    let shown = shown.map(|path| format!("<a href=\"{}\">{}</a>", names.link(path), text(path.name())));
    let mut shown: Vec<String> = shown.collect();
    if let Some(more @ 1..) = paths.len().checked_sub(MOST) {
        shown.push(format!("{more} more"));
    }
    format!("<p>{}</p>", shown.join(", "))
}
