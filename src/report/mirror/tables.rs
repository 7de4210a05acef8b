//! The tables of the page: alarms first, then what is in and on whose word.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::HumanBytes;

use super::{Kind, Names, add, assurance, href, kind_of, name_and_version, text};
use crate::{
    mirror::{
        holdings::{Held, Holdings},
        layout::{HashPart, Object},
        statement::Ground,
    },
    nix::hash::NarHash,
    report::count::count,
    verify::Level,
};

/// What other bits and unreadable objects there are, at the top.
pub(super) fn alarms(out: &mut String, holdings: &Holdings, names: &Names<'_>) {
    let totals = &holdings.totals;
    if totals.conflicts > 0 {
        add(
            out,
            format_args!(
                "<section class=\"alarm\" role=\"alert\" aria-labelledby=\"conflicts-h\"><h2 id=\"conflicts-h\">⚠ Other bits were found for {}</h2>\n\
                 <p>Somebody built the same and got something else. What was admitted first stays, and nothing is written over; but one of \
                 the two is wrong, or the build is not reproducible after all.</p>\n",
                count(conflicting(holdings) as u64, "admitted package", "admitted packages")
            ),
        );
        out.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Package</th><th scope=\"col\">Admitted</th><th scope=\"col\">Found</th><th scope=\"col\">Says</th></tr></thead><tbody>\n");
        for told in &holdings.conflicts {
            let conflict = &told.document;
            let object = Object::Conflict(HashPart::of(&conflict.path), conflict.found.nar_hash).name();
            add(
                out,
                format_args!(
                    "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th><td class=\"hash mono\">{}</td><td class=\"hash mono\">{}</td><td><a href=\"{}\">{}</a></td></tr>\n",
                    names.link(&conflict.path),
                    text(conflict.path.name()),
                    nar_hash(conflict.admitted.nar_hash),
                    nar_hash(conflict.found.nar_hash),
                    href(&object),
                    text(&told.by.join(", ")),
                ),
            );
        }
        out.push_str("</tbody></table></div>\n");
        more(out, totals.conflicts, holdings.conflicts.len(), "conflicts");
        out.push_str("</section>\n");
    }
    if totals.unread > 0 {
        add(
            out,
            format_args!(
                "<section class=\"alarm\" role=\"alert\" aria-labelledby=\"unread-h\"><h2 id=\"unread-h\">⚠ {} cannot be read or believed</h2>\n\
                 <p>They count as nothing below. <code>reprove mirror verify</code> says everything that is wrong.</p>\n",
                count(totals.unread as u64, "object", "objects")
            ),
        );
        out.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Object</th><th scope=\"col\">Why</th></tr></thead><tbody>\n");
        for one in &holdings.unread {
            add(
                out,
                format_args!(
                    "<tr><th scope=\"row\" class=\"mono\">{}</th><td>{}</td></tr>\n",
                    text(&one.object),
                    text(&one.why)
                ),
            );
        }
        out.push_str("</tbody></table></div>\n");
        more(out, totals.unread, holdings.unread.len(), "objects");
        out.push_str("</section>\n");
    }
    if totals.too_few > 0 {
        add(
            out,
            format_args!(
                "<section class=\"alarm\" role=\"alert\" aria-labelledby=\"few-h\"><h2 id=\"few-h\">⚠ {} signed by fewer than {} signers</h2>\n\
                 <p>They are in, and wait for others to build them again and agree: <code>reprove mirror cosign</code>.</p></section>\n",
                if totals.too_few == 1 {
                    "1 package is".to_owned()
                } else {
                    format!("{} packages are", totals.too_few)
                },
                holdings.policy.threshold
            ),
        );
    }
}

fn conflicting(holdings: &Holdings) -> usize {
    let paths: BTreeSet<_> = holdings.conflicts.iter().map(|told| &told.document.path).collect();
    paths.len()
}

/// What is in.
pub(super) fn packages(out: &mut String, holdings: &Holdings, names: &Names<'_>) {
    out.push_str(
        "<section id=\"packages\" aria-labelledby=\"packages-h\"><h2 id=\"packages-h\">Packages</h2>\n",
    );
    if holdings.paths.is_empty() {
        out.push_str("<p>None yet. <code>reprove mirror populate</code> admits what it could reproduce.</p></section>\n");
        return;
    }
    out.push_str(
        "<div class=\"scroll\"><table><caption>Each name leads to its proof.</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Version</th><th scope=\"col\">Assurance</th>\
         <th scope=\"col\" class=\"wide\">Machines and rounds</th><th scope=\"col\" class=\"number wide\">Size</th><th scope=\"col\">Signers</th></tr></thead><tbody>\n",
    );
    for held in &holdings.paths {
        let (name, version) = name_and_version(held.path.name());
        let (assured, class) = assurance(held);
        add(
            out,
            format_args!(
                "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th><td>{}</td><td class=\"kind {class}\">{assured}</td><td class=\"wide\">{}</td><td class=\"number wide\">{}</td><td>{}</td></tr>\n",
                names.link(&held.path),
                text(name),
                text(version),
                rounds(held),
                HumanBytes(held.nar_size),
                signed(held, holdings),
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
    more(out, holdings.totals.paths, holdings.paths.len(), "packages");
    out.push_str("</section>\n");
}

/// `embedded 1 × 2`, of everybody who built it.
fn rounds(held: &Held) -> String {
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    for (machine, number) in held.said.iter().flat_map(|said| &said.shown).flat_map(|shown| &shown.rounds) {
        *all.entry(machine).or_default() += number;
    }
    let all = all.iter().map(|(machine, number)| format!("{} × {number}", text(machine)));
    all.collect::<Vec<_>>().join(", ")
}

/// `2 of 2`: how many signers agree of how many have to.
fn signed(held: &Held, holdings: &Holdings) -> String {
    let (signed, needed) = (held.signed.len(), holdings.policy.threshold);
    if signed < needed {
        format!("<span class=\"bad\">{signed} of {needed}: too few</span>")
    } else {
        format!("{signed} of {needed}")
    }
}

/// What was taken as it is, and why.
pub(super) fn seeds(out: &mut String, holdings: &Holdings, names: &Names<'_>) {
    if holdings.totals.seeds == 0 {
        return;
    }
    out.push_str(
        "<section id=\"seeds\" aria-labelledby=\"seeds-h\"><h2 id=\"seeds-h\">Seeds</h2>\n\
         <p>Taken as they are, and built by nobody here. Whoever does not believe them believes nothing that rests on them.</p>\n\
         <div class=\"scroll\"><table><thead><tr><th scope=\"col\">Seed</th><th scope=\"col\">Why</th><th scope=\"col\" class=\"number\">Rest on it</th><th scope=\"col\" class=\"number wide\">Size</th><th scope=\"col\" class=\"wide\">NAR hash</th></tr></thead><tbody>\n",
    );
    for held in holdings.paths.iter().filter(|held| kind_of(held) == Kind::Seed) {
        let why = match held.ground() {
            Some(Ground::Seed { why }) => why.as_str(),
            _ => "",
        };
        add(
            out,
            format_args!(
                "<tr><th scope=\"row\"><a href=\"{}\">{}</a></th><td>{}</td><td class=\"number\">{}</td><td class=\"number wide\">{}</td><td class=\"hash mono wide\">{}</td></tr>\n",
                names.link(&held.path),
                text(held.path.name()),
                text(why),
                holdings.totals.resting_on.get(&held.path).copied().unwrap_or_default(),
                HumanBytes(held.nar_size),
                nar_hash(held.nar_hash),
            ),
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// What is trusted from outside, as the policy says.
pub(super) fn trusted(out: &mut String, holdings: &Holdings) {
    if holdings.policy.trusted.is_empty() {
        return;
    }
    out.push_str("<section id=\"trusted\" aria-labelledby=\"trusted-h\"><h2 id=\"trusted-h\">Trusted from outside</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">What</th><th scope=\"col\">Why</th></tr></thead><tbody>\n");
    for one in &holdings.policy.trusted {
        add(
            out,
            format_args!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", text(&one.what), text(&one.why)),
        );
    }
    out.push_str("</tbody></table></div></section>\n");
}

/// What waits for signers.
pub(super) fn pending(out: &mut String, holdings: &Holdings) {
    if holdings.totals.pending == 0 {
        return;
    }
    add(
        out,
        format_args!(
            "<section id=\"pending\" aria-labelledby=\"pending-h\"><h2 id=\"pending-h\">Waiting for signers</h2>\n\
             <p>Testified to by somebody, and not admitted: {} signers have to agree, on it and on what it needs. Nix is not told of these.</p>\n\
             <div class=\"scroll\"><table><thead><tr><th scope=\"col\">Package</th><th scope=\"col\">Says</th><th scope=\"col\" class=\"number wide\">Size</th><th scope=\"col\" class=\"wide\">NAR hash</th></tr></thead><tbody>\n",
            holdings.policy.threshold,
        ),
    );
    for one in &holdings.pending {
        add(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number wide\">{}</td><td class=\"hash mono wide\">{}</td></tr>\n",
                text(one.path.name()),
                text(&one.signed.join(", ")),
                HumanBytes(one.nar_size),
                nar_hash(one.nar_hash),
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
    more(out, holdings.totals.pending, holdings.pending.len(), "packages");
    out.push_str("</section>\n");
}

/// What was refused, and why.
pub(super) fn refusals(out: &mut String, holdings: &Holdings) {
    if holdings.totals.refusals == 0 {
        return;
    }
    out.push_str(
        "<section id=\"refused\" aria-labelledby=\"refused-h\"><h2 id=\"refused-h\">Refused</h2>\n\
         <p>Built, and not the same twice. <code>reprove explain CAUSE</code> says what to do about each.</p>\n\
         <div class=\"scroll\"><table><thead><tr><th scope=\"col\">Derivation</th><th scope=\"col\">Output</th><th scope=\"col\">Causes</th><th scope=\"col\" class=\"number wide\">Different bits</th><th scope=\"col\">Says</th></tr></thead><tbody>\n",
    );
    for told in &holdings.refusals {
        let refusal = &told.document;
        for output in &refusal.outputs {
            let causes = output.causes.iter().map(|cause| format!("<code>{}</code>", text(cause)));
            let causes: Vec<String> = causes.collect();
            add(
                out,
                format_args!(
                    "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"number wide\">{}</td><td>{}</td></tr>\n",
                    text(refusal.derivation.short_name()),
                    text(&output.output),
                    if causes.is_empty() { "not found".to_owned() } else { causes.join(" ") },
                    output.nar_hashes.len(),
                    text(&told.by.join(", ")),
                ),
            );
        }
    }
    out.push_str("</tbody></table></div>\n");
    more(out, holdings.totals.refusals, holdings.refusals.len(), "refusals");
    out.push_str("</section>\n");
}

/// Who signs, and how much each of them has.
pub(super) fn signers(out: &mut String, holdings: &Holdings) {
    let policy = &holdings.policy;
    add(
        out,
        format_args!(
            "<section id=\"signers\" aria-labelledby=\"signers-h\"><h2 id=\"signers-h\">Signers</h2>\n<p>{} of {} to agree about a package.</p>\n",
            policy.threshold,
            if policy.signers.len() == 1 {
                "1 signer has".to_owned()
            } else {
                format!("{} signers have", policy.signers.len())
            },
        ),
    );
    let dated = !holdings.snapshots.is_empty() || policy.snapshot_days.is_some();
    let column = if dated { "<th scope=\"col\">Said last what is in</th>" } else { "" };
    add(
        out,
        format_args!(
            "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Signer</th><th scope=\"col\" class=\"number\">Packages signed</th>{column}<th scope=\"col\">Public keys</th></tr></thead><tbody>\n"
        ),
    );
    for signer in &policy.signers {
        let signed = holdings.totals.signed.get(&signer.name).copied().unwrap_or_default();
        let keys: Vec<String> = signer.keys.iter().map(|key| text(key)).collect();
        add(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"number\">{signed} of {}</td>{}<td class=\"hash mono\">{}</td></tr>\n",
                text(&signer.name),
                holdings.totals.paths,
                if dated { format!("<td>{}</td>", snapshots(holdings, &signer.name)) } else { String::new() },
                keys.join("<br>"),
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
    if dated {
        out.push_str(
            "<p class=\"dim\">A copy of this mirror that is older than that, or from which something was left out, does not stand up to \
             it: <code>reprove mirror verify</code> says so.</p>\n",
        );
    }
    out.push_str("</section>\n");
}

/// A signer's snapshots, the one on top of the other.
fn snapshots(holdings: &Holdings, signer: &str) -> String {
    let own = holdings.snapshots.iter().filter(|one| one.by == signer);
    let own: Vec<String> = own
        .map(|one| {
            format!(
                "<a href=\"{}\">{}</a>, number {}: {}; holds until {}",
                href(&one.object),
                one.made,
                one.number,
                count(one.paths as u64, "package", "packages"),
                one.until
            )
        })
        .collect();
    if own.is_empty() { "never".to_owned() } else { own.join("<br>") }
}

/// What is admitted.
pub(super) fn policy(out: &mut String, holdings: &Holdings) {
    let policy = &holdings.policy;
    let level = Level::ALL.get(usize::from(policy.level)).map_or("", |level| level.name());
    add(
        out,
        format_args!(
            "<section id=\"policy\" aria-labelledby=\"policy-h\"><h2 id=\"policy-h\">What is admitted</h2>\n\
             <p>What was built {} with the same bits, at assurance level {} ({level}) or above, and whose whole closure is in. \
             This was fixed when the mirror was made: <a href=\"mirror.json\">mirror.json</a>, signed by {}.</p>\n",
            count(u64::from(policy.rounds), "time", "times"),
            policy.level,
            text(&holdings.stand_for_policy.join(", ")),
        ),
    );
    out.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">System</th><th scope=\"col\">Machines that have to agree</th></tr></thead><tbody>\n");
    for (system, machines) in &policy.systems {
        add(
            out,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n",
                text(system),
                text(&machines.join(", "))
            ),
        );
    }
    out.push_str("</tbody></table></div>\n");
    if !policy.policies.is_empty() {
        let names: Vec<String> =
            policy.policies.iter().map(|name| format!("<code>{}</code>", text(name))).collect();
        add(out, format_args!("<p>Policies that have to hold: {}.</p>\n", names.join(", ")));
    }
    out.push_str("<h3>Levels of assurance</h3>\n<dl>");
    let meanings = [
        "one build",
        "two builds, the same bits",
        "the same bits although clock, host name, memory and more of the machine were varied",
        "two runs that are the same instruction by instruction",
        "two kinds of machine, or a host of its own, give the same bits",
    ];
    // How many signers there are is no part of what a mirror's policy asks of a build.
    for (level, meaning) in Level::ALL.iter().zip(meanings) {
        add(out, format_args!("<dt>{} {}</dt><dd><p>{meaning}</p></dd>", *level as u8, level.name()));
    }
    out.push_str("</dl></section>\n");
}

/// A NAR's hash as Nix spells it in narinfo files.
pub(super) fn nar_hash(hash: NarHash) -> String {
    text(&hash.to_nix())
}

/// How many are not shown.
fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    if let Some(more @ 1..) = all.checked_sub(shown) {
        add(out, format_args!("<p class=\"dim\">{more} more {what} are not shown.</p>\n"));
    }
}
