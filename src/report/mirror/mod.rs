//! What a mirror holds, as the page at its root: a function of that and of nothing else. Readable without scripts, of which it has
//! none; it loads nothing, and forbids its reader everything but its own style (Content Security Policy Level 3).
//!
//! Everything that comes from outside goes through [`text`] or [`href`].

mod graph;
mod layers;
mod proofs;
mod tables;

use std::collections::BTreeSet;

use indicatif::HumanBytes;
use sha2::{Digest as _, Sha256};

use super::html::{add, text};
use crate::{
    mirror::{
        holdings::{Held, Holdings},
        layout::{HashPart, Object},
        page::Page,
        statement::Ground,
    },
    nix::store_path::StorePath,
    verify::Level,
};

const STYLE: &str = include_str!("page.css");

/// Longest address that is told, in bytes.
const MAX_ADDRESS: usize = 2000;

/// What stands for the address where none is told.
const NO_ADDRESS: &str = "URL";

/// An address that people reach a mirror by, as the page tells it: of letters that mean the same in a shell, in HTML and in `nix.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// `http://…`, `https://…`, `file:///…` or `s3://…`; `None` for anything else.
    pub fn parse(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        let known = matches!(scheme, "http" | "https" | "file" | "s3");
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:[]@+=%".contains(c);
        let fits = known && !rest.is_empty() && address.len() <= MAX_ADDRESS && rest.chars().all(plain);
        fits.then(|| Address(address.trim_end_matches('/').to_owned()))
    }

    /// The one that a page of ours tells: whoever makes the page again needs it.
    pub fn of_page(page: &[u8]) -> Option<Self> {
        let head = page.get(..page.len().min(MAX_ADDRESS * 20))?;
        let text = String::from_utf8_lossy(head);
        let (_, rest) = text.split_once("<link rel=\"canonical\" href=\"")?;
        Address::parse(rest.split_once("/\">")?.0)
    }
}

/// The page.
pub fn page(holdings: &Holdings, address: Option<&Address>) -> Page {
    let style = data_encoding::BASE64.encode(&Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'");
    let mut out = String::new();
    head(&mut out, holdings, address, &policy);
    let names = Names::of(&holdings.paths);
    tables::alarms(&mut out, holdings, &names);
    overview(&mut out, holdings);
    commands(&mut out, holdings, address);
    let needs = layers::needs(&holdings.paths);
    graph::write(&mut out, &holdings.paths, &needs, &names);
    tables::packages(&mut out, holdings, &names);
    tables::seeds(&mut out, holdings, &names);
    tables::trusted(&mut out, holdings);
    tables::pending(&mut out, holdings);
    tables::refusals(&mut out, holdings);
    tables::signers(&mut out, holdings);
    tables::policy(&mut out, holdings);
    proofs::write(&mut out, holdings, &needs, &names);
    out.push_str(
        "</main>\n<footer><p>This page was made by <code>reprove</code> of what the mirror holds. It is there to be read; nobody has \
         signed it. What it says is proved by the signed objects that it links to: <code>reprove mirror verify</code> checks every \
         byte of them, with the keys that you believe.</p></footer>\n</body></html>\n",
    );
    Page { html: out, content_security_policy: format!("{policy}; frame-ancestors 'none'") }
}

/// Where the paths of the mirror are on the page.
struct Names<'a> {
    shown: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(paths: &'a [Held]) -> Self {
        Names { shown: paths.iter().map(|held| held.path.hash_part()).collect() }
    }

    /// A link to what is said of a path: here, or in the mirror.
    fn link(&self, path: &StorePath) -> String {
        let part = path.hash_part();
        if self.shown.contains(part) {
            format!("#p-{part}")
        } else {
            href(&Object::NarInfo(HashPart::of(path)).name())
        }
    }
}

/// The kinds of path that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Built,
    Source,
    Seed,
    /// Nobody says.
    Unknown,
}

fn kind_of(held: &Held) -> Kind {
    match held.ground() {
        Some(Ground::Built { .. }) => Kind::Built,
        Some(Ground::Source) => Kind::Source,
        Some(Ground::Seed { .. }) => Kind::Seed,
        None => Kind::Unknown,
    }
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Built => "built",
            Kind::Source => "source",
            Kind::Seed => "seed",
            Kind::Unknown => "unknown",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Built => "rebuilt",
            Kind::Source => "source",
            Kind::Seed => "seed, taken as it is",
            Kind::Unknown => "nobody says why",
        }
    }
}

/// How sure a path is, in a few words, and their class.
fn assurance(held: &Held) -> (String, &'static str) {
    let kind = kind_of(held);
    match (kind, held.level()) {
        (Kind::Built, Some(shown)) => {
            (format!("level {}, {}", shown.level, text(&shown.level_name)), kind.class())
        }
        (Kind::Built, None) => ("no verdict".to_owned(), Kind::Unknown.class()),
        _ => (kind.word().to_owned(), kind.class()),
    }
}

/// The name of an object as a link to it, relative to the page.
fn href(object: &str) -> String {
    let mut out = String::new();
    for byte in object.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A name without its version, and the version: what begins with a digit behind a dash, as Nix takes names apart.
fn name_and_version(name: &str) -> (&str, &str) {
    let starts = name.match_indices('-').map(|(at, _)| at);
    let mut starts =
        starts.filter(|at| name[at + 1..].starts_with(|c: char| !c.is_ascii_alphabetic() && c != '-'));
    match starts.next() {
        Some(at) if at > 0 => (&name[..at], &name[at + 1..]),
        _ => (name, ""),
    }
}

fn head(out: &mut String, holdings: &Holdings, address: Option<&Address>, policy: &str) {
    let totals = &holdings.totals;
    let packages = crate::report::count::count(totals.paths as u64, "package", "packages");
    let built = match (totals.built, totals.seeds) {
        (0, _) => String::new(),
        (built, seeds) => format!(
            " {} of them {} built again in a deterministic machine, from sources that are kept here by their hash, and {} compared bit \
             for bit before {} admitted. {} taken as {}: everything has to begin somewhere, and here it is said where.",
            built,
            if built == 1 { "was" } else { "were" },
            if built == 1 { "was" } else { "were" },
            if built == 1 { "it was" } else { "they were" },
            match seeds {
                0 => "No path was".to_owned(),
                1 => "1 was".to_owned(),
                seeds => format!("{seeds} were"),
            },
            if seeds <= 1 { "it is" } else { "they are" },
        ),
    };
    let canonical = address.map(|Address(url)| format!("<link rel=\"canonical\" href=\"{url}/\">\n"));
    add(
        out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n{}\
             <title>A mirror of {packages} that carry their proof</title>\n<style>{STYLE}</style></head>\n<body>\n\
             <header><h1>A mirror of {packages}, each with its proof</h1>\n\
             <p class=\"lead\">A Nix binary cache.{built}</p>\n<nav aria-label=\"on this page\"><ul>",
            canonical.unwrap_or_default(),
        ),
    );
    let sections = [
        ("use", "Use it", true),
        ("graph", "Graph", !holdings.paths.is_empty()),
        ("packages", "Packages", true),
        ("seeds", "Seeds", totals.seeds > 0),
        ("trusted", "Trusted from outside", !holdings.policy.trusted.is_empty()),
        ("pending", "Waiting for signers", totals.pending > 0),
        ("refused", "Refused", totals.refusals > 0),
        ("signers", "Signers", true),
        ("policy", "Policy", true),
        ("proofs", "Proofs", !holdings.paths.is_empty()),
    ];
    for (id, title, _) in sections.into_iter().filter(|(_, _, there)| *there) {
        add(out, format_args!("<li><a href=\"#{id}\">{title}</a></li>"));
    }
    out.push_str("</ul></nav></header>\n<main>\n");
}

fn overview(out: &mut String, holdings: &Holdings) {
    let totals = &holdings.totals;
    out.push_str("<section aria-label=\"overview\"><ul class=\"tiles\">\n");
    let mut tile = |value: String, label: &str, class: &str| {
        add(
            out,
            format_args!("<li{class}><strong>{value}</strong> <span>{label}</span></li>\n", class = class),
        );
    };
    tile(totals.built.to_string(), "rebuilt", "");
    tile(totals.seeds.to_string(), if totals.seeds == 1 { "seed" } else { "seeds" }, "");
    if totals.sources > 0 {
        tile(totals.sources.to_string(), "sources among the packages", "");
    }
    tile(HumanBytes(totals.nar_bytes).to_string(), "unpacked", "");
    tile(HumanBytes(totals.file_bytes).to_string(), "to fetch", "");
    let (sources, bytes) = totals.kept_sources;
    tile(sources.to_string(), &format!("sources kept, {}", HumanBytes(bytes)), "");
    if totals.pending > 0 {
        tile(totals.pending.to_string(), "waiting for signers", "");
    }
    tile(totals.refusals.to_string(), "refused", "");
    let bad = if totals.conflicts > 0 { " class=\"bad\"" } else { "" };
    tile(totals.conflicts.to_string(), if totals.conflicts == 1 { "conflict" } else { "conflicts" }, bad);
    out.push_str("</ul>\n");
    bar(out, holdings);
    out.push_str("</section>\n");
}

/// How much of the mirror is how sure, as a bar.
fn bar(out: &mut String, holdings: &Holdings) {
    let totals = &holdings.totals;
    let mut parts: Vec<(String, String, usize)> = Vec::new();
    for (level, number) in totals.levels.iter().rev() {
        let name = usize::try_from(*level).ok().and_then(|level| Level::ALL.get(level));
        let name = name.map_or("unknown", |level| level.name());
        parts.push((
            format!("built l{}", level.min(&4)),
            format!("rebuilt, level {level} ({name})"),
            *number,
        ));
    }
    let one = |number: usize, one: &str| if number == 1 { one.to_owned() } else { format!("{one}s") };
    parts.push(("source".to_owned(), one(totals.sources, "source"), totals.sources));
    parts.push(("seed".to_owned(), one(totals.seeds, "seed"), totals.seeds));
    let known: usize = parts.iter().map(|(_, _, number)| number).sum();
    parts.push(("unknown".to_owned(), "without a verdict".to_owned(), totals.paths.saturating_sub(known)));
    parts.retain(|(_, _, number)| *number > 0);
    if parts.is_empty() {
        return;
    }
    let said: Vec<String> =
        parts.iter().map(|(_, label, number)| format!("{number} {}", text(label))).collect();
    add(
        out,
        format_args!(
            "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">",
            said.join(", ")
        ),
    );
    let mut x = 0.0;
    for (class, _, number) in &parts {
        let width = *number as f64 / totals.paths as f64 * 1000.0;
        add(
            out,
            format_args!("<rect class=\"{class}\" x=\"{x:.2}\" y=\"0\" width=\"{width:.2}\" height=\"10\"/>"),
        );
        x += width;
    }
    out.push_str("</svg>\n<ul class=\"legend\">");
    for ((class, ..), said) in parts.iter().zip(&said) {
        add(
            out,
            format_args!(
                "<li><svg class=\"bar\" viewBox=\"0 0 1 1\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"1\" height=\"1\"/></svg>{said}</li>"
            ),
        );
    }
    out.push_str("</ul>\n");
}

fn commands(out: &mut String, holdings: &Holdings, address: Option<&Address>) {
    let url = address.map_or(NO_ADDRESS, |Address(url)| url);
    let keys: Vec<&str> =
        holdings.policy.signers.iter().flat_map(|one| &one.keys).map(String::as_str).collect();
    let keys = text(&keys.join(" "));
    // Something that nobody needs is what people come for.
    let needed: BTreeSet<&StorePath> = holdings.paths.iter().flat_map(Held::needs).collect();
    let top = holdings.paths.iter().filter(|held| kind_of(held) == Kind::Built);
    let mut top = top.filter(|held| !needed.contains(&held.path)).chain(&holdings.paths);
    let example = top.next().map_or_else(|| "/nix/store/…".to_owned(), |held| held.path.to_string());
    out.push_str(
        "<section id=\"use\" aria-labelledby=\"use-h\"><h2 id=\"use-h\">Use it</h2>\n<p>To copy one package and what it refers to:</p>\n",
    );
    add(
        out,
        format_args!(
            "<pre>nix copy --from {url} \\\n  --trusted-public-keys '{keys}' \\\n  {}</pre>\n",
            text(&example)
        ),
    );
    out.push_str("<p>To let Nix take whatever it needs from here, in <code>nix.conf</code>:</p>\n");
    add(out, format_args!("<pre>extra-substituters = {url}\nextra-trusted-public-keys = {keys}</pre>\n"));
    if address.is_none() {
        add(
            out,
            format_args!(
                "<p class=\"dim\"><code>{NO_ADDRESS}</code> is the address of this page, without what stands behind the last slash.</p>\n"
            ),
        );
    }
    let threshold = holdings.policy.threshold;
    if threshold > 1 {
        add(
            out,
            format_args!(
                "<p class=\"dim\">Nix is content with the signature of one of these keys. That {threshold} signers agree is checked by <code>reprove mirror verify</code>.</p>\n"
            ),
        );
    }
    out.push_str("</section>\n");
}

#[cfg(test)]
mod tests;
