//! The derivations as a picture: leaves on the left, what needs them to the right, coloured by verdict.

use super::{add, class, text};
use crate::report::subject::Picture;

/// Derivations in a picture, at most; nobody reads a larger one.
const MOST: usize = 300;
const WIDTH: usize = 170;
const HEIGHT: usize = 24;
const ACROSS: usize = 230;
const DOWN: usize = 32;
/// Letters of a name.
const LETTERS: usize = 25;

/// Writes the picture.
pub(super) fn write(out: &mut String, picture: &Picture) {
    if picture.nodes.is_empty() {
        return;
    }
    add(out, format_args!("<section><h2>Derivations</h2>\n"));
    if picture.nodes.len() > MOST {
        add(
            out,
            format_args!(
                "<p class=\"dim\">{} derivations, more than a picture can show: `reprove plan` lists them.</p></section>\n",
                picture.nodes.len()
            ),
        );
        return;
    }
    let mut rows = vec![0usize; picture.nodes.iter().map(|node| node.depth).max().unwrap_or(0) + 1];
    let mut places = Vec::new();
    for node in &picture.nodes {
        let row = rows.get_mut(node.depth).map_or(0, |row| std::mem::replace(row, *row + 1));
        places.push((10 + node.depth * ACROSS, 10 + row * DOWN));
    }
    let (width, height) = (rows.len() * ACROSS, 20 + rows.iter().max().copied().unwrap_or(0) * DOWN);
    add(
        out,
        format_args!(
            "<div class=\"graph\"><svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"derivations and what they need\">\n"
        ),
    );
    for (node, to) in picture.nodes.iter().zip(&places) {
        for from in node.needs.iter().filter_map(|need| places.get(*need)) {
            let (x1, y1, x2, y2) = (from.0 + WIDTH, from.1 + HEIGHT / 2, to.0, to.1 + HEIGHT / 2);
            let middle = (x1 + x2) / 2;
            add(out, format_args!("<path d=\"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}\"/>"));
        }
    }
    for (node, (x, y)) in picture.nodes.iter().zip(&places) {
        let kind = node.standing.map_or("", class);
        let sign = node.standing.map_or("", |standing| standing.sign());
        let short: String = node.name.chars().take(LETTERS).collect();
        add(
            out,
            format_args!(
                "<g class=\"{kind}\"><title>{}: {}</title><rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"5\"/><text x=\"{}\" y=\"{}\">{sign} {}</text></g>\n",
                text(&node.name),
                text(&node.word),
                x + 7,
                y + 16,
                text(&short)
            ),
        );
    }
    out.push_str("</svg></div></section>\n");
}
