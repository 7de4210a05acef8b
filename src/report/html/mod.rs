//! A report as one page: no network, nothing but itself; readable without scripts, which only add a search.
//!
//! Everything that comes from outside goes through [`text`]. The page forbids its reader everything but its own style
//! and its own script (Content Security Policy Level 3), so that even a hole there would run nothing.

mod graph;
mod hexdump;
mod map;
mod place;
mod styled;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::{
    count::count,
    escape::{escape, escape_bytes},
    subject::{Report, Seen, Standing, Subject},
};
use crate::diagnose::{Cause, Evidence, Judgement, Quote};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("search.js");

/// Places of one comparison, at most.
const PLACES: usize = 200;
/// Places at which a cause shows.
const EVIDENCE: usize = 12;

/// The page.
pub fn page(report: &Report<'_>) -> String {
    let mut out = String::new();
    head(&mut out, report);
    summary(&mut out, report);
    if let Some(picture) = &report.graph {
        graph::write(&mut out, picture);
    }
    for (number, subject) in report.subjects.iter().enumerate() {
        self::subject(&mut out, number, subject);
    }
    if !report.problems.is_empty() {
        out.push_str("<section><h2>What went wrong</h2><ul>\n");
        for problem in &report.problems {
            add(
                &mut out,
                format_args!("<li><code>{}</code> {}</li>\n", text(&problem.code), text(&problem.text)),
            );
        }
        out.push_str("</ul></section>\n");
    }
    add(&mut out, format_args!("</main><script>{SCRIPT}</script></body></html>\n"));
    out
}

/// Adds to a page; writing to a String cannot fail.
pub(in crate::report) fn add(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

/// Text from outside, as it can stand in an element or a quoted attribute.
pub(in crate::report) fn text(from: &str) -> String {
    escaped(&escape(from))
}

/// The same of bytes.
fn bytes(from: &[u8]) -> String {
    escaped(&escape_bytes(from))
}

/// The five characters that mean something in HTML and XML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn head(out: &mut String, report: &Report<'_>) {
    let hash = |what: &str| data_encoding::BASE64.encode(&Sha256::digest(what));
    let (style, script) = (hash(STYLE), hash(SCRIPT));
    let title = match &report.subjects[..] {
        [one] => format!("{}: {}", one.word, one.name),
        all => format!("reprove {}: {} results", report.verb, all.len()),
    };
    add(
        out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>{STYLE}</style></head>\n<body>\
             <header><h1>reprove {}</h1><input id=\"search\" type=\"search\" placeholder=\"search\" aria-label=\"search\" hidden></header><main>\n",
            text(&title),
            report.verb
        ),
    );
}

/// The class of a standing.
fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Accepted => "accepted",
        Standing::Bad => "bad",
        Standing::Unknown => "unknown",
    }
}

fn summary(out: &mut String, report: &Report<'_>) {
    let count = |standing| report.subjects.iter().filter(|subject| subject.standing == standing).count();
    out.push_str("<section class=\"summary\"><p class=\"counts\">");
    for (standing, word) in [
        (Standing::Good, "equal"),
        (Standing::Accepted, "equivalent"),
        (Standing::Bad, "different"),
        (Standing::Unknown, "not checked"),
    ] {
        let number = count(standing);
        if number > 0 {
            add(
                out,
                format_args!(
                    "<span class=\"{}\">{} {number} {word}</span> ",
                    class(standing),
                    standing.sign()
                ),
            );
        }
    }
    out.push_str("</p>\n<table><thead><tr><th>verdict</th><th>what</th><th>level</th><th>why</th></tr></thead><tbody>\n");
    for (number, subject) in report.subjects.iter().enumerate() {
        let mut why: Vec<String> = Vec::new();
        let causes = subject.seen.iter().flat_map(|seen| seen.causes).filter(|cause| !cause.derived);
        for cause in causes {
            let id = format!("<code>{}</code>", cause.entry.id);
            if !why.contains(&id) {
                why.push(id);
            }
        }
        why.extend(subject.reason.as_deref().map(text));
        add(
            out,
            format_args!(
                "<tr class=\"row\"><td class=\"{}\">{} {}</td><td><a href=\"#subject-{number}\">{}</a></td><td>{}</td><td>{}</td></tr>\n",
                class(subject.standing),
                subject.standing.sign(),
                text(&subject.word),
                text(&subject.name),
                text(subject.level.as_deref().unwrap_or_default()),
                why.join(" ")
            ),
        );
    }
    out.push_str("</tbody></table></section>\n");
}

fn subject(out: &mut String, number: usize, subject: &Subject<'_>) {
    add(
        out,
        format_args!(
            "<section class=\"subject\" id=\"subject-{number}\"><h2><span class=\"{}\">{} {}</span> {}</h2>\n",
            class(subject.standing),
            subject.standing.sign(),
            text(&subject.word),
            text(&subject.name)
        ),
    );
    if let Some(reason) = &subject.reason {
        add(out, format_args!("<p class=\"reason\">{}</p>\n", text(reason)));
    }
    if !subject.facts.is_empty() {
        out.push_str("<dl>\n");
        for (name, value) in &subject.facts {
            add(out, format_args!("<dt>{}</dt><dd>{}</dd>\n", text(name), text(value)));
        }
        out.push_str("</dl>\n");
    }
    for seen in &subject.seen {
        self::seen(out, seen);
    }
    if let Some(judgement) = subject.judgement {
        accepted(out, judgement);
    }
    out.push_str("</section>\n");
}

/// The accepted differences that were met, and what is none.
fn accepted(out: &mut String, judgement: &Judgement) {
    out.push_str("<h3>accepted</h3>\n<table class=\"evidence\">\n");
    for met in &judgement.met {
        add(
            out,
            format_args!(
                "<tr><td>entry {}</td><td><code>{}</code> in {}</td><td>{} ({}, until {})</td></tr>\n",
                met.number,
                met.cause.id,
                text(&met.path),
                text(&met.reason),
                text(&met.owner),
                met.expires
            ),
        );
    }
    for open in judgement.open.iter().take(EVIDENCE) {
        let steps = std::iter::once(&open.path).chain(&open.inside).map(|name| bytes(name));
        let steps: Vec<String> = steps.chain(open.part.as_deref().map(text)).collect();
        let cause = open.cause.unwrap_or("only what follows from others");
        add(
            out,
            format_args!(
                "<tr><td class=\"bad\">not accepted</td><td><code>{cause}</code></td><td>{}</td></tr>\n",
                steps.join(" » ")
            ),
        );
    }
    out.push_str("</table>\n");
}

fn seen(out: &mut String, seen: &Seen<'_>) {
    add(
        out,
        format_args!(
            "<h3><span class=\"a\">a</span> {} <span class=\"b\">b</span> {}</h3>\n<ol class=\"causes\">\n",
            text(&seen.a),
            text(&seen.b)
        ),
    );
    seen.causes.iter().for_each(|one| cause(out, one));
    out.push_str("</ol>\n");
    let places = seen.comparison.places();
    for place in places.iter().take(PLACES) {
        place::write(out, place);
    }
    if let Some(more @ 1..) = places.len().checked_sub(PLACES) {
        add(
            out,
            format_args!(
                "<p class=\"more\">{more} more places; `reprove diff --json` has all that were kept.</p>\n"
            ),
        );
    }
}

fn cause(out: &mut String, cause: &Cause) {
    let how = if cause.derived { "follows from the others".to_owned() } else { cause.confidence.to_string() };
    add(
        out,
        format_args!(
            "<li class=\"cause{}\"><strong>{}</strong> <code>{}</code> <span class=\"dim\">{how}, {}, {}</span>\n",
            if cause.derived { " derived" } else { "" },
            text(cause.entry.title),
            cause.entry.id,
            count(cause.bytes, "byte", "bytes"),
            count(cause.places, "place", "places")
        ),
    );
    if let Some(proof) = &cause.proof {
        add(
            out,
            format_args!(
                "<p>The setting <strong>{}</strong> alone changes it: <span class=\"a\">{}</span> and <span class=\"b\">{}</span></p>\n",
                text(&proof.setting),
                text(&proof.a),
                text(&proof.b)
            ),
        );
    }
    if !cause.evidence.is_empty() {
        out.push_str("<table class=\"evidence\">\n");
        cause.evidence.iter().take(EVIDENCE).for_each(|one| evidence(out, one));
        out.push_str("</table>\n");
    }
    if !cause.derived {
        let fix = cause.entry.fix.split_whitespace().collect::<Vec<_>>().join(" ");
        add(out, format_args!("<p class=\"fix\"><strong>fix:</strong> {}</p>\n", text(&fix)));
    }
    out.push_str("</li>\n");
}

fn evidence(out: &mut String, evidence: &Evidence) {
    let mut place: Vec<String> = vec![bytes(&evidence.path)];
    place.extend(evidence.inside.iter().map(|name| bytes(name)));
    place.extend(evidence.part.as_deref().map(text));
    place.extend(evidence.symbol.as_deref().map(bytes));
    place.retain(|step| !step.is_empty());
    let quote = |quote: &Option<Quote>| match quote {
        None => "<span class=\"dim\">nothing like it</span>".to_owned(),
        Some(quote) => {
            let value =
                if quote.binary { data_encoding::HEXLOWER.encode(&quote.text) } else { bytes(&quote.text) };
            let at = quote.offset.map(|at| format!(" <span class=\"dim\">at {at:#x}</span>"));
            format!("{value}{}", at.unwrap_or_default())
        }
    };
    add(
        out,
        format_args!(
            "<tr><td>{}</td><td class=\"a\">{}</td><td class=\"b\">{}</td></tr>\n",
            place.join(" » "),
            quote(&evidence.a),
            quote(&evidence.b)
        ),
    );
}
