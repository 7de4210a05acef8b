//! What the symbols of two files say.

use super::super::{Diagnosis, evidence, quote};
use crate::{
    diagnose::{Confidence, Evidence, Quote},
    diff::{Finding, Place, SymbolChange, SymbolChanges},
};

/// Functions of a Go binary that may differ when its toolchain was built with another constant.
const FEW: u64 = 8;

/// The same symbols in another order, under other hashes, or a few of a toolchain with another constant.
pub(in crate::diagnose::rules) fn symbols(
    diagnosis: &mut Diagnosis,
    place: &Place<'_>,
    finding: &Finding,
) -> bool {
    let Finding::Symbols(changes) = finding else { return false };
    let Some(file) = diagnosis.file.as_ref().filter(|file| file.holds(place)) else { return true };
    let (link_order, go) = (file.link_order, file.go);
    if let Some(order) = changes.order.as_ref().filter(|_| link_order) {
        let (first, second) = (&order.a, &order.b);
        let then = |one: &[u8], two: &[u8]| quoted([one, b", then ", two].concat());
        let found = evidence(place, None, then(first, second), then(second, first));
        diagnosis.add("link-order", Confidence(92), found, 0);
    }
    for names in &changes.renamed {
        let found = evidence(place, None, quoted(names.a.clone()), quoted(names.b.clone()));
        diagnosis.add("symbol-hash", Confidence(70), found, 0);
    }
    if go && is_constant(changes) {
        for change in &changes.changed {
            diagnosis.add("toolchain-config", Confidence(75), sizes(place, change), 0);
        }
    }
    true
}

/// Whether only a few functions of Go's own packages differ: those that hold what the toolchain was built with.
fn is_constant(changes: &SymbolChanges) -> bool {
    // The first element of a path that is no domain is Go's own: `cmd/go/internal/cfg`, `runtime`.
    let is_gos = |change: &SymbolChange| {
        let first = change.name.split(|byte| *byte == b'/').next().unwrap_or_default();
        let package = if first.len() == change.name.len() {
            change.name.split(|byte| *byte == b'.').next().unwrap_or_default()
        } else {
            first
        };
        package != b"main" && !package.is_empty() && !package.contains(&b'.')
    };
    (1..=FEW).contains(&changes.total) && changes.changed.iter().all(is_gos)
}

/// A function and its sizes.
fn sizes(place: &Place<'_>, change: &SymbolChange) -> Evidence {
    let size = |size: Option<u64>| match size {
        Some(_) if change.size.a == change.size.b => {
            quoted(format!("{} bytes differ", change.differing).into_bytes())
        }
        Some(size) => quoted(format!("{size} bytes").into_bytes()),
        None => None,
    };
    let mut found = evidence(place, None, size(change.size.a), size(change.size.b));
    found.symbol = Some(change.name.clone());
    found
}

/// A store path in a Go binary that nixpkgs' patches to the toolchain put there is a cause of its own.
pub(in crate::diagnose::rules) fn of_go(
    diagnosis: &Diagnosis,
    place: &Place<'_>,
    cause: &'static str,
    quotes: [&Option<Quote>; 2],
) -> &'static str {
    const PATCHED: [&str; 3] = ["-tzdata-", "-iana-etc-", "-mailcap-"];
    let is_go = diagnosis.file.as_ref().is_some_and(|file| file.go && file.holds(place));
    let is_patched = |quote: &Quote| {
        let text = String::from_utf8_lossy(&quote.text);
        PATCHED.iter().any(|name| text.contains(name))
    };
    match cause {
        "nix-store-path" if is_go && quotes.into_iter().flatten().any(is_patched) => "go-toolchain-patched",
        _ => cause,
    }
}

fn quoted(text: Vec<u8>) -> Option<Quote> {
    Some(quote(None, text))
}
