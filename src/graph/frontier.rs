//! Where the frontier lies between what is built and what is taken by hash.

use regex_lite::Regex;

use super::Graph;

/// Which derivations are built; everything else is taken, by hash, from who has it.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Build the derivations whose name (without hash and `.drv`) matches, and no other.
    pub only: Option<Regex>,
    /// Build what is at most this many steps away from what was asked for: 0 builds just that.
    pub depth: Option<usize>,
    /// Take whatever somebody has, except what was asked for.
    pub trust_substitutes: bool,
}

/// How one derivation's outputs come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// In a machine.
    Build,
    /// By hash from somebody who has them, else in a machine.
    TakeOrBuild,
    /// By hash from somebody who has them, else not at all.
    Take,
}

/// What a [`Rule`] means for a graph.
#[derive(Clone, Debug)]
pub struct Frontier {
    /// One choice for each derivation.
    pub choices: Vec<Choice>,
    /// What is to be there in the end, ascending: what was asked for, and with [`Rule::only`] whatever matches.
    pub targets: Vec<usize>,
}

/// Applies a rule. Without one everything is built.
pub fn frontier(graph: &Graph, rule: &Rule) -> Frontier {
    let distances = distances(graph);
    let matches =
        |index: usize| rule.only.as_ref().is_none_or(|only| only.is_match(graph.nodes()[index].name()));
    let near = |index: usize| rule.depth.is_none_or(|depth| distances[index] <= depth);
    let choice = |index: usize| {
        if !matches(index) || !near(index) {
            Choice::Take
        } else if rule.trust_substitutes && distances[index] > 0 {
            Choice::TakeOrBuild
        } else {
            Choice::Build
        }
    };
    let choices: Vec<Choice> = (0..graph.nodes().len()).map(choice).collect();
    let is_target =
        |index: &usize| distances[*index] == 0 || (rule.only.is_some() && choices[*index] != Choice::Take);
    let targets = (0..choices.len()).filter(is_target).collect();
    Frontier { choices, targets }
}

/// Shortest way from what was asked for, in steps.
fn distances(graph: &Graph) -> Vec<usize> {
    let mut distances = vec![usize::MAX; graph.nodes().len()];
    let mut level: Vec<usize> = graph.roots().to_vec();
    for root in &level {
        distances[*root] = 0;
    }
    let mut distance = 0;
    while !level.is_empty() {
        distance += 1;
        let mut next = Vec::new();
        for index in level {
            for input in &graph.nodes()[index].inputs {
                if distances[*input] == usize::MAX {
                    distances[*input] = distance;
                    next.push(*input);
                }
            }
        }
        level = next;
    }
    distances
}
