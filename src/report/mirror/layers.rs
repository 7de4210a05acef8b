//! Where the paths of a mirror stand in a picture, pure: in layers, what needs nothing of the mirror first; what would be drawn in
//! the same way in one box; without lines that follow from others.

use std::collections::BTreeMap;

use crate::{mirror::holdings::Held, nix::store_path::StorePath};

/// From so many paths on those that have the same neighbours share a box.
const FOLD_FROM: usize = 25;
/// So many of them at least; in a mirror of [`LARGE`] paths every two.
const FOLD_LEAST: usize = 4;
/// Paths of a large mirror.
const LARGE: usize = 60;
/// Boxes in a picture, at most; nobody reads a larger one.
const MOST_BOXES: usize = 160;
/// Names in a box, at most; the others are counted.
pub(super) const MOST_ROWS: usize = 30;
/// How often the boxes of each layer are brought nearer to their neighbours.
const SWEEPS: usize = 6;

/// Some paths that stand at one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Box {
    /// Which, by their index among all paths.
    pub(super) paths: Vec<usize>,
    /// The boxes of what they need, but for what follows.
    pub(super) needs: Vec<usize>,
}

/// Paths in layers.
#[derive(Debug)]
pub(super) struct Layers {
    /// What needs nothing of the mirror, what needs that, and so on: indices of paths.
    pub(super) layers: Vec<Vec<usize>>,
    /// The picture; none when it would have too many boxes.
    pub(super) picture: Option<Picture>,
}

/// Boxes in layers, each layer in the order in which it is drawn.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) boxes: Vec<Box>,
    pub(super) layers: Vec<Vec<usize>>,
}

/// For each path the others that it needs, by index.
pub(super) fn needs(paths: &[Held]) -> Vec<Vec<usize>> {
    let index: BTreeMap<&StorePath, usize> =
        paths.iter().enumerate().map(|(at, held)| (&held.path, at)).collect();
    let of = |held: &Held| held.needs().into_iter().filter_map(|path| index.get(path).copied()).collect();
    paths.iter().map(of).collect()
}

/// The other way round.
pub(super) fn dependants(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut dependants = vec![Vec::new(); needs.len()];
    for (at, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| dependants[*need].push(at));
    }
    dependants
}

/// Puts paths in layers. `kinds` are those that never share a box with another one. Paths that need each other in a circle, which no
/// mirror of ours has, are in no layer.
pub(super) fn layers(needs: &[Vec<usize>], kinds: &[u8]) -> Layers {
    let order = leaves_first(needs);
    let mut depth = vec![0; needs.len()];
    for at in &order {
        depth[*at] = needs[*at].iter().map(|need| depth[*need] + 1).max().unwrap_or(0);
    }
    let mut layers = vec![Vec::new(); order.iter().map(|at| depth[*at] + 1).max().unwrap_or(0)];
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.iter().for_each(|at| layers[depth[*at]].push(*at));
    let reduced = reduced(needs, &order);
    let picture = picture(&layers, &reduced, kinds);
    Layers { layers, picture }
}

/// An order in which everything comes after what it needs; what is in a circle is left out.
fn leaves_first(needs: &[Vec<usize>]) -> Vec<usize> {
    let dependants = dependants(needs);
    let mut waits: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..needs.len()).filter(|at| waits[*at] == 0).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        next += 1;
        for dependant in &dependants[at] {
            waits[*dependant] -= 1;
            if waits[*dependant] == 0 {
                order.push(*dependant);
            }
        }
    }
    order
}

/// What is needed but for what is needed by something else that is needed (the transitive reduction).
fn reduced(needs: &[Vec<usize>], order: &[usize]) -> Vec<Vec<usize>> {
    let words = needs.len().div_ceil(64);
    let mut reach: Vec<Vec<u64>> = vec![Vec::new(); needs.len()];
    let mut kept = vec![Vec::new(); needs.len()];
    for at in order {
        let mut behind = vec![0u64; words];
        for need in &needs[*at] {
            behind.iter_mut().zip(&reach[*need]).for_each(|(all, more)| *all |= more);
        }
        kept[*at] =
            needs[*at].iter().copied().filter(|need| behind[need / 64] >> (need % 64) & 1 == 0).collect();
        needs[*at].iter().for_each(|need| behind[need / 64] |= 1 << (need % 64));
        reach[*at] = behind;
    }
    kept
}

/// What makes two paths of a layer look the same: kind, needs, and who needs them.
type Look<'a> = (u8, &'a [usize], &'a [usize]);

fn picture(layers: &[Vec<usize>], needs: &[Vec<usize>], kinds: &[u8]) -> Option<Picture> {
    let dependants = dependants(needs);
    let least = match layers.iter().map(Vec::len).sum::<usize>() {
        0..FOLD_FROM => usize::MAX,
        FOLD_FROM..LARGE => FOLD_LEAST,
        LARGE.. => 2,
    };
    let mut boxes: Vec<Box> = Vec::new();
    let mut drawn: Vec<Vec<usize>> = Vec::new();
    let mut box_of = vec![0; needs.len()];
    for layer in layers {
        let mut alike: BTreeMap<Look<'_>, Vec<usize>> = BTreeMap::new();
        for at in layer {
            alike.entry((kinds[*at], &needs[*at], &dependants[*at])).or_default().push(*at);
        }
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for group in alike.into_values() {
            if group.len() >= least {
                groups.push(group);
            } else {
                groups.extend(group.into_iter().map(|at| vec![at]));
            }
        }
        groups.sort_unstable();
        let mut row = Vec::new();
        for group in groups {
            group.iter().for_each(|at| box_of[*at] = boxes.len());
            row.push(boxes.len());
            // Those of a group need the same, and that is in layers before.
            let mut needs: Vec<usize> = needs[group[0]].iter().map(|need| box_of[*need]).collect();
            needs.sort_unstable();
            needs.dedup();
            boxes.push(Box { paths: group, needs });
        }
        drawn.push(row);
        if boxes.len() > MOST_BOXES {
            return None;
        }
    }
    let edges: Vec<Vec<usize>> = boxes.iter().map(|one| one.needs.clone()).collect();
    let back = self::dependants(&edges);
    for sweep in 0..SWEEPS {
        let towards = if sweep % 2 == 0 { &edges } else { &back };
        bring_nearer(&mut drawn, towards);
    }
    Some(Picture { boxes, layers: drawn })
}

/// Sorts each layer by the mean place of the neighbours on one side, places being from 0 to 1; who has none there stays about where
/// he is.
fn bring_nearer(layers: &mut [Vec<usize>], neighbours: &[Vec<usize>]) {
    let mut place = vec![0.5; neighbours.len()];
    for layer in layers.iter() {
        for (at, one) in layer.iter().enumerate() {
            place[*one] = (at as f64 + 0.5) / layer.len() as f64;
        }
    }
    for layer in layers {
        let mean = |one: usize| {
            let near = &neighbours[one];
            let sum: f64 = near.iter().map(|other| place[*other]).sum();
            if near.is_empty() { place[one] } else { sum / near.len() as f64 }
        };
        let mut keyed: Vec<(f64, usize)> = layer.iter().map(|one| (mean(*one), *one)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        *layer = keyed.into_iter().map(|(_, one)| one).collect();
        for (at, one) in layer.iter().enumerate() {
            place[*one] = (at as f64 + 0.5) / layer.len() as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_follows_from_others_is_not_drawn() {
        // A toolchain, two that need it, one that needs all three.
        let needs = vec![vec![], vec![0], vec![0], vec![0, 1, 2]];
        let made = layers(&needs, &[0; 4]);
        assert_eq!(made.layers, [vec![0], vec![1, 2], vec![3]]);
        let picture = made.picture.unwrap();
        assert_eq!(picture.boxes.len(), 4);
        assert_eq!(picture.boxes[3].needs, [1, 2]);
    }

    #[test]
    fn what_would_look_the_same_shares_a_box_in_a_large_mirror() {
        let mut needs = vec![vec![]];
        needs.extend((0..200).map(|_| vec![0]));
        needs.push(vec![0, 1, 2]);
        let picture = layers(&needs, &[0; 202]).picture.unwrap();
        // The toolchain; the two that somebody needs; the other 198; the one at the top.
        let sizes: Vec<usize> = picture.boxes.iter().map(|one| one.paths.len()).collect();
        assert_eq!(sizes, [1, 2, 198, 1]);
        // One of another kind stands for itself.
        let mixed: Vec<u8> = (0..202).map(|at| u8::from(at == 1)).collect();
        let sizes: Vec<usize> =
            layers(&needs, &mixed).picture.unwrap().boxes.iter().map(|one| one.paths.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 198, 1]);
        // Of a small mirror everybody stands for himself.
        let needs: Vec<Vec<usize>> = (0..20).map(|at| if at == 0 { vec![] } else { vec![0] }).collect();
        assert_eq!(layers(&needs, &[0; 20]).picture.unwrap().boxes.len(), 20);
    }

    #[test]
    fn too_many_boxes_are_no_picture_and_circles_are_in_no_layer() {
        // Pairs that have nothing in common.
        let needs: Vec<Vec<usize>> =
            (0..400).map(|at| if at % 2 == 0 { vec![] } else { vec![at - 1] }).collect();
        let made = layers(&needs, &[0; 400]);
        assert!(made.picture.is_none() && made.layers.len() == 2);
        let made = layers(&[vec![1], vec![0], vec![]], &[0; 3]);
        assert_eq!(made.layers, [vec![2]]);
        assert!(layers(&[], &[]).layers.is_empty());
    }
}
