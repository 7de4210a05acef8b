//! Reading a closure into a [`Graph`].

use std::{collections::BTreeMap, sync::Arc};

use super::{Graph, GraphError, LoadError, MAX_DERIVATIONS, Node};
use crate::nix::{
    derivation::Derivation,
    drv_check::PathFault,
    hash_modulo::{HashModulos, OutputCheck},
    store_path::StorePath,
};

impl Graph {
    /// Reads `roots` and everything they need; `resolve` reads one derivation and is asked once for each.
    ///
    /// The derivations are ordered but not yet believed: [`check_paths`](Self::check_paths) does that.
    pub fn load<E, D: Into<Arc<Derivation>>>(
        roots: &[StorePath],
        mut resolve: impl FnMut(&StorePath) -> Result<D, E>,
    ) -> Result<Graph, LoadError<E>> {
        let mut found: BTreeMap<StorePath, Arc<Derivation>> = BTreeMap::new();
        let mut pending: Vec<(StorePath, usize)> =
            roots.iter().enumerate().map(|(root, path)| (path.clone(), root)).collect();
        while let Some((path, root)) = pending.pop() {
            if found.contains_key(&path) {
                continue;
            }
            if found.len() == MAX_DERIVATIONS {
                let error = GraphError::TooMany { root: roots[root].clone(), limit: MAX_DERIVATIONS };
                return Err(error.into());
            }
            let derivation: Arc<Derivation> = resolve(&path).map_err(LoadError::Resolve)?.into();
            let unseen = derivation.input_drvs.keys().filter(|input| !found.contains_key(*input));
            pending.extend(unseen.map(|input| (input.clone(), root)));
            found.insert(path, derivation);
        }
        Ok(order(found, roots)?)
    }

    /// What `roots` need, out of several graphs that have it.
    ///
    /// # Errors
    /// A derivation that none of them has.
    pub fn joined(roots: &[StorePath], graphs: &[&Graph]) -> Result<Graph, GraphError> {
        let resolve = |path: &StorePath| {
            let found = graphs.iter().find_map(|graph| Some(&graph.nodes()[graph.index_of(path)?]));
            found.map(|node| node.derivation.clone()).ok_or_else(|| GraphError::Missing { drv: path.clone() })
        };
        Graph::load(roots, resolve).map_err(|error| match error {
            LoadError::Graph(error) | LoadError::Resolve(error) => error,
        })
    }

    /// Recomputes the path of every derivation and of every output: nothing in the graph is other than its path says.
    /// Paths that are known only after a build are not checked; [`super::plan`] refuses those.
    pub fn check_paths(&self) -> Result<(), GraphError> {
        let mut modulos = HashModulos::new();
        for node in &self.nodes {
            let wrong = |fault| GraphError::WrongPath { drv: node.drv.clone(), fault };
            let check = modulos.check_paths(&node.drv, &node.derivation)?;
            if check.drv_path != node.drv {
                return Err(wrong(PathFault::Derivation { computed: check.drv_path }));
            }
            for (output, check) in check.outputs {
                if let OutputCheck::Different { stated, computed } = check {
                    return Err(wrong(PathFault::Output { output, stated, computed }));
                }
            }
            modulos.insert(&node.drv, &node.derivation)?;
        }
        Ok(())
    }
}

/// Orders a closed set of derivations by depth, name and path.
fn order(found: BTreeMap<StorePath, Arc<Derivation>>, roots: &[StorePath]) -> Result<Graph, GraphError> {
    // Places in the order of paths, until the depths are known.
    let places: BTreeMap<&StorePath, usize> = found.keys().zip(0..).collect();
    let inputs: Vec<Vec<usize>> = found
        .iter()
        .map(|(drv, derivation)| {
            let present = derivation.input_drvs.iter().filter_map(|(input, wanted)| {
                let place = places.get(input)?;
                let outputs = &found.get(input)?.outputs;
                Some(match wanted.iter().find(|output| !outputs.contains_key(*output)) {
                    None => Ok(*place),
                    Some(output) => Err(GraphError::NoSuchOutput {
                        drv: drv.clone(),
                        input: input.clone(),
                        output: output.clone(),
                    }),
                })
            });
            present.collect()
        })
        .collect::<Result<_, _>>()?;
    let depths = depths(&inputs).map_err(|cycle| {
        let paths: Vec<&StorePath> = found.keys().collect();
        GraphError::Cycle { cycle: cycle.into_iter().map(|place| paths[place].clone()).collect() }
    })?;
    drop(places);

    let mut nodes: Vec<(usize, Node)> = found
        .into_iter()
        .zip(inputs)
        .zip(depths)
        .enumerate()
        .map(|(place, (((drv, derivation), inputs), depth))| (place, Node { drv, derivation, inputs, depth }))
        .collect();
    nodes.sort_by(|(_, a), (_, b)| (a.depth, a.name(), &a.drv).cmp(&(b.depth, b.name(), &b.drv)));
    let mut index_of_place = vec![0; nodes.len()];
    for (index, (place, _)) in nodes.iter().enumerate() {
        index_of_place[*place] = index;
    }
    let mut nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect();
    for node in &mut nodes {
        for input in &mut node.inputs {
            *input = index_of_place[*input];
        }
        node.inputs.sort_unstable();
    }
    let by_path: BTreeMap<StorePath, usize> =
        nodes.iter().enumerate().map(|(index, node)| (node.drv.clone(), index)).collect();
    let mut roots: Vec<usize> = roots.iter().filter_map(|root| by_path.get(root).copied()).collect();
    roots.sort_unstable();
    roots.dedup();
    Ok(Graph { nodes, by_path, roots })
}

/// Longest way down from each place (Kahn's algorithm); or a cycle, its first member again at the end.
fn depths(inputs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut dependants = vec![Vec::new(); inputs.len()];
    for (place, inputs) in inputs.iter().enumerate() {
        for input in inputs {
            dependants[*input].push(place);
        }
    }
    let mut missing: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let mut depths = vec![0; inputs.len()];
    let mut ready: Vec<usize> = (0..inputs.len()).filter(|place| missing[*place] == 0).collect();
    let mut done = 0;
    while let Some(place) = ready.pop() {
        done += 1;
        for dependant in &dependants[place] {
            depths[*dependant] = depths[*dependant].max(depths[place] + 1);
            missing[*dependant] -= 1;
            if missing[*dependant] == 0 {
                ready.push(*dependant);
            }
        }
    }
    if done == inputs.len() { Ok(depths) } else { Err(a_cycle(inputs, &missing)) }
}

/// Walks from a place that still misses an input to such an input, until a place comes again.
fn a_cycle(inputs: &[Vec<usize>], missing: &[usize]) -> Vec<usize> {
    let stuck = |place: &usize| missing[*place] > 0;
    let mut walk: Vec<usize> = Vec::new();
    let mut step_of = vec![None; inputs.len()];
    let mut next = (0..inputs.len()).find(stuck);
    while let Some(place) = next {
        if let Some(step) = step_of[place] {
            walk.push(place);
            return walk.split_off(step);
        }
        step_of[place] = Some(walk.len());
        walk.push(place);
        next = inputs[place].iter().copied().find(stuck);
    }
    // Not reached: what is stuck misses an input that is stuck as well.
    walk
}
