//! The paths of a mirror as a picture, or as lists where that would be none.

use super::{Names, add, kind_of, text};
use crate::mirror::holdings::Held;

use super::layers::{self, Layers, MOST_ROWS, Picture};

/// All in the picture's own units.
const WIDTH: usize = 196;
const ROW: usize = 20;
const PADDING: usize = 5;
const ACROSS: usize = 78;
const DOWN: usize = 12;
const MARGIN: usize = 8;
/// Pictures up to this height have their layers in the middle.
const TALL: usize = 640;
/// Letters of a name.
const LETTERS: usize = 27;

/// Writes the section.
pub(super) fn write(out: &mut String, paths: &[Held], needs: &[Vec<usize>], names: &Names<'_>) {
    if paths.is_empty() {
        return;
    }
    let kinds: Vec<u8> = paths.iter().map(|held| kind_of(held) as u8).collect();
    let layers = layers::layers(needs, &kinds);
    out.push_str("<section id=\"graph\" aria-labelledby=\"graph-h\"><h2 id=\"graph-h\">How they rest on each other</h2>\n");
    out.push_str(
        "<p>On the left is what needs nothing else of the mirror. Everything else was built from, or refers to, what its lines lead \
         to on its left; lines that follow from others are left out.</p>\n",
    );
    match &layers.picture {
        Some(picture) => draw(out, picture, paths, names),
        None => list(out, &layers, paths, names),
    }
    out.push_str("</section>\n");
}

struct Place {
    x: usize,
    y: usize,
    height: usize,
}

fn places(picture: &Picture) -> (Vec<Place>, usize, usize) {
    let rows = |one: usize| {
        let paths = picture.boxes[one].paths.len();
        paths.min(MOST_ROWS) + usize::from(paths > MOST_ROWS)
    };
    let height = |one: usize| rows(one) * ROW + 2 * PADDING;
    let tall = |layer: &Vec<usize>| layer.iter().map(|one| height(*one) + DOWN).sum::<usize>();
    let tallest = picture.layers.iter().map(tall).max().unwrap_or(0);
    let mut places: Vec<Place> = picture.boxes.iter().map(|_| Place { x: 0, y: 0, height: 0 }).collect();
    for (number, layer) in picture.layers.iter().enumerate() {
        // Of a tall one everybody first sees the top.
        let mut y = MARGIN + if tallest > TALL { 0 } else { (tallest - tall(layer)) / 2 };
        for one in layer {
            places[*one] = Place { x: MARGIN + number * (WIDTH + ACROSS), y, height: height(*one) };
            y += height(*one) + DOWN;
        }
    }
    let width = 2 * MARGIN + picture.layers.len() * (WIDTH + ACROSS) - ACROSS;
    (places, width, tallest + 2 * MARGIN - DOWN)
}

fn draw(out: &mut String, picture: &Picture, paths: &[Held], names: &Names<'_>) {
    let (places, width, height) = places(picture);
    let layers = picture.layers.len();
    add(
        out,
        format_args!(
            "<div class=\"graph\" tabindex=\"0\" role=\"region\" aria-label=\"graph of the packages\">\n\
             <svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" aria-labelledby=\"graph-title graph-desc\">\n\
             <title id=\"graph-title\">The packages of this mirror and what they rest on</title>\n\
             <desc id=\"graph-desc\">{} in {}, from what needs nothing on the left to what nobody needs on the right. \
             The same is said in words with each package below.</desc>\n",
            crate::report::count::count(paths.len() as u64, "package", "packages"),
            crate::report::count::count(layers as u64, "layer", "layers"),
        ),
    );
    // The last layer first: its lines run below the boxes that stand before it.
    for one in picture.layers.iter().rev().flatten() {
        let (place, drawn) = (&places[*one], &picture.boxes[*one]);
        let kind = drawn.paths.first().map_or("", |at| kind_of(&paths[*at]).class());
        add(out, format_args!("<g class=\"box {kind}\">"));
        for need in &drawn.needs {
            let from = &places[*need];
            let (x1, y1) = (from.x + WIDTH, from.y + from.height / 2);
            let (x2, y2) = (place.x, place.y + place.height / 2);
            let bend = (ACROSS / 2).max((x2 - x1) / 3);
            add(
                out,
                format_args!(
                    "<path d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\"/>",
                    x1 + bend,
                    x2.saturating_sub(bend)
                ),
            );
        }
        let Place { x, y, height } = place;
        add(
            out,
            format_args!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDTH}\" height=\"{height}\" rx=\"7\"/><rect class=\"mark\" x=\"{x}\" y=\"{y}\" width=\"4\" height=\"{height}\" rx=\"2\"/>"
            ),
        );
        for (row, at) in drawn.paths.iter().take(MOST_ROWS).enumerate() {
            let held = &paths[*at];
            let y = y + PADDING + row * ROW + 14;
            add(
                out,
                format_args!(
                    "<a href=\"{}\"><title>{}, {}</title><text x=\"{}\" y=\"{y}\">{}</text></a>",
                    names.link(&held.path),
                    text(held.path.name()),
                    kind_of(held).word(),
                    x + 13,
                    text(&short(held.path.name())),
                ),
            );
        }
        if let Some(more @ 1..) = drawn.paths.len().checked_sub(MOST_ROWS) {
            let y = y + PADDING + MOST_ROWS * ROW + 14;
            add(out, format_args!("<text class=\"dim\" x=\"{}\" y=\"{y}\">and {more} more</text>", x + 13));
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg></div>\n");
}

/// A name as long as there is room for it. Names of store paths are ASCII.
fn short(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

fn list(out: &mut String, layers: &Layers, paths: &[Held], names: &Names<'_>) {
    out.push_str("<p class=\"dim\">There are more than a picture can show, so here they are layer by layer; what each needs is said with each below.</p>\n");
    for (number, layer) in layers.layers.iter().enumerate() {
        let open = if layer.len() <= MOST_ROWS { " open" } else { "" };
        let what = if number == 0 { "Leaves".to_owned() } else { format!("Layer {number}") };
        add(
            out,
            format_args!(
                "<details class=\"layer\"{open}><summary>{what}: {}</summary><ul class=\"chips\">",
                layer.len()
            ),
        );
        for at in layer {
            let held = &paths[*at];
            let (class, link) = (kind_of(held).class(), names.link(&held.path));
            add(
                out,
                format_args!("<li class=\"{class}\"><a href=\"{link}\">{}</a></li>", text(held.path.name())),
            );
        }
        out.push_str("</ul></details>\n");
    }
}
