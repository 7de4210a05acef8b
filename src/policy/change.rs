//! What an action does to a derivation.

use std::collections::{BTreeMap, BTreeSet};

use bstr::ByteSlice as _;
use serde_json::{Value as Json, json};

use super::{
    Action, Globs, PolicyError,
    attributes::{Attributes, replaced},
    matching::inputs,
};
use crate::{
    graph::{Change, Graph, Node, What, rename},
    nix::{derivation::Derivation, store_path::StorePath},
};

/// Where the paths are that what is built must not refer to (Nix manual, "Advanced attributes").
const DISALLOWED: &str = "disallowedReferences";
/// Where they are in structured attributes, by output.
const CHECKS: &str = "outputChecks";

/// Makes `action` hold of `derivation`, which is what earlier actions made of a node of `graph`.
pub(super) fn perform(
    action: &Action,
    graph: &Graph,
    node: &Node,
    derivation: &mut Derivation,
) -> Result<(), PolicyError> {
    if let Some(name) = action.attribute().filter(|name| derivation.outputs.contains_key(*name)) {
        return Err(PolicyError::Output { drv: node.drv.clone(), name: name.to_owned() });
    }
    match action {
        Action::Set(name, value) => edit(node, derivation, |attributes| attributes.set(name, value)),
        Action::SetVariable(name, value) => {
            edit(node, derivation, |attributes| attributes.set_exported(name, value))
        }
        Action::DefaultVariable(name, value) => edit(node, derivation, |attributes| {
            if attributes.text(name).is_none_or(|text| text.is_empty()) {
                attributes.set_exported(name, value);
            }
        }),
        Action::Default(name, value) => edit(node, derivation, |attributes| {
            if attributes.text(name).is_none_or(|text| text.is_empty()) {
                attributes.set(name, value);
            }
        }),
        Action::Unset(name) => edit(node, derivation, |attributes| attributes.remove(name)),
        Action::AddWords(name, words) => {
            edit(node, derivation, |attributes| attributes.add_words(name, words))
        }
        Action::AddVariableWords(name, words) => {
            edit(node, derivation, |attributes| attributes.add_exported_words(name, words))
        }
        Action::RemoveWords(name, words) => {
            let gone = |word: &[u8]| words.iter().any(|gone| gone.as_bytes() == word);
            edit(node, derivation, |attributes| attributes.remove_words(name, &gone))
        }
        Action::Replace { within, from, to } => {
            if within.name(b"builder") {
                derivation.builder = replaced(&derivation.builder, from, to);
            }
            if within.name(b"args") {
                derivation.args.iter_mut().for_each(|argument| *argument = replaced(argument, from, to));
            }
            let outputs: BTreeSet<String> = derivation.outputs.keys().cloned().collect();
            edit(node, derivation, |attributes| {
                let names = attributes.names();
                let meant =
                    names.iter().filter(|name| within.name(name.as_bytes()) && !outputs.contains(*name));
                meant.for_each(|name| attributes.replace(name, from, to));
            })
        }
        Action::DisallowReferencesTo(globs) => disallow(graph, node, derivation, globs),
        Action::DropInput(globs) => drop_input(graph, node, derivation, globs),
        Action::SwapInput { from, to } => swap_input(graph, node, derivation, from, to),
    }
}

/// Changes the attributes of a derivation.
fn edit(
    node: &Node,
    derivation: &mut Derivation,
    change: impl FnOnce(&mut Attributes<'_>),
) -> Result<(), PolicyError> {
    let mut attributes = attributes(node, derivation)?;
    change(&mut attributes);
    derivation.env = attributes.into_env();
    Ok(())
}

fn attributes<'a>(node: &Node, derivation: &'a Derivation) -> Result<Attributes<'a>, PolicyError> {
    Attributes::of(derivation).map_err(|why| PolicyError::Attributes { drv: node.drv.clone(), why })
}

/// The outputs of the inputs that match, as far as they are inputs, by the derivations' paths.
fn outputs_of(graph: &Graph, derivation: &Derivation, globs: &Globs) -> Vec<StorePath> {
    let meant = inputs(graph, derivation).filter(|input| globs.name(input.name().as_bytes()));
    let outputs = meant.flat_map(|input| {
        let wanted = derivation.input_drvs.get(&input.drv).into_iter().flatten();
        wanted.filter_map(|output| input.derivation.output_path(output)).cloned()
    });
    outputs.collect()
}

fn disallow(
    graph: &Graph,
    node: &Node,
    derivation: &mut Derivation,
    globs: &Globs,
) -> Result<(), PolicyError> {
    let paths: Vec<String> = outputs_of(graph, derivation, globs).iter().map(StorePath::to_string).collect();
    if paths.is_empty() {
        return Ok(());
    }
    let outputs: Vec<String> = derivation.outputs.keys().cloned().collect();
    edit(node, derivation, |attributes| {
        if !attributes.are_structured() {
            return attributes.add_words(DISALLOWED, &paths);
        }
        // With structured attributes Nix looks at `outputChecks` only.
        let mut checks = attributes.json(CHECKS).filter(Json::is_object).unwrap_or_else(|| json!({}));
        for output in &outputs {
            if !checks[output].is_object() {
                checks[output] = json!({});
            }
            let list = &mut checks[output][DISALLOWED];
            if !list.is_array() {
                *list = json!([]);
            }
            if let Some(list) = list.as_array_mut() {
                let missing: Vec<Json> =
                    paths.iter().map(|path| json!(path)).filter(|path| !list.contains(path)).collect();
                list.extend(missing);
            }
        }
        attributes.set_json(CHECKS, &checks);
    })
}

/// Takes the words that name outputs of inputs out of every attribute. What names them otherwise stays, and is refused.
fn drop_input(
    graph: &Graph,
    node: &Node,
    derivation: &mut Derivation,
    globs: &Globs,
) -> Result<(), PolicyError> {
    let paths = outputs_of(graph, derivation, globs);
    if paths.is_empty() {
        return Ok(());
    }
    let names = |text: &[u8]| paths.iter().any(|path| text.contains_str(path.hash_part()));
    let outputs: BTreeSet<String> = derivation.outputs.keys().cloned().collect();
    edit(node, derivation, |attributes| {
        for name in attributes.names().iter().filter(|name| !outputs.contains(*name)) {
            attributes.remove_words(name, &names);
        }
    })?;
    let texts = std::iter::once(("builder".to_owned(), &derivation.builder))
        .chain(
            derivation
                .args
                .iter()
                .enumerate()
                .map(|(number, text)| (format!("argument {}", number + 1), text)),
        )
        .chain(derivation.env.iter().map(|(name, text)| (String::from_utf8_lossy(name).into_owned(), text)));
    let left = texts.filter(|(_, text)| names(text)).map(|(place, _)| place).next();
    match (left, paths.first()) {
        (Some(place), Some(path)) => {
            Err(PolicyError::StillNamed { drv: node.drv.clone(), input: path.clone(), place })
        }
        _ => Ok(()),
    }
}

fn swap_input(
    graph: &Graph,
    node: &Node,
    derivation: &mut Derivation,
    from: &Globs,
    to: &StorePath,
) -> Result<(), PolicyError> {
    let swapped: Vec<&Node> = inputs(graph, derivation)
        .filter(|input| input.drv != *to && from.name(input.name().as_bytes()))
        .collect();
    if swapped.is_empty() {
        return Ok(());
    }
    let missing = || PolicyError::NoReplacement { drv: node.drv.clone(), to: to.clone() };
    let replacement = &graph.nodes()[graph.index_of(to).ok_or_else(missing)?];
    let mut renames = BTreeMap::new();
    for input in swapped {
        renames.insert(&input.drv, to);
        for output in derivation.input_drvs.get(&input.drv).into_iter().flatten() {
            let other = replacement.derivation.output_path(output).ok_or_else(|| {
                PolicyError::NoSuchOutput { drv: node.drv.clone(), to: to.clone(), output: output.clone() }
            })?;
            renames.extend(input.derivation.output_path(output).map(|path| (path, other)));
        }
    }
    rename(derivation, &renames);
    Ok(())
}

/// Drops the inputs that `before` named and `after` does not any more, as Nix does, which takes the inputs of a derivation
/// from the texts in it. What was an input without being named stays.
pub(super) fn drop_unnamed(graph: &Graph, before: &Derivation, after: &mut Derivation) {
    let gone = |path: &StorePath, after: &Derivation| {
        let hash = path.hash_part().as_bytes();
        names(before, hash) && !names(after, hash)
    };
    let sources: BTreeSet<StorePath> =
        after.input_srcs.iter().filter(|path| !gone(path, after)).cloned().collect();
    let mut drvs = after.input_drvs.clone();
    for (drv, wanted) in &mut drvs {
        if let Some(index) = graph.index_of(drv) {
            let input = &graph.nodes()[index].derivation;
            wanted.retain(|output| input.output_path(output).is_none_or(|path| !gone(path, after)));
        }
    }
    drvs.retain(|_, wanted| !wanted.is_empty());
    after.input_srcs = sources;
    after.input_drvs = drvs;
}

/// Whether a hash stands in a text of a derivation.
fn names(derivation: &Derivation, hash: &[u8]) -> bool {
    let texts = std::iter::once(&derivation.builder).chain(&derivation.args).chain(derivation.env.values());
    texts.into_iter().any(|text| text.contains_str(hash))
}

/// What `after` says otherwise than `before`, of one node of `graph`.
pub(super) fn changes(
    graph: &Graph,
    node: &Node,
    before: &Derivation,
    after: &Derivation,
) -> Result<Vec<Change>, PolicyError> {
    let mut changes = Vec::new();
    let mut differ = |what: What, a: Option<&[u8]>, b: Option<&[u8]>| {
        if a != b {
            changes.push(Change { what, a: a.map(<[u8]>::to_vec), b: b.map(<[u8]>::to_vec), by: Vec::new() });
        }
    };
    differ(What::Builder, Some(&before.builder), Some(&after.builder));
    for number in 0..before.args.len().max(after.args.len()) {
        let argument = |derivation: &'_ Derivation| derivation.args.get(number).cloned();
        differ(What::Argument(number + 1), argument(before).as_deref(), argument(after).as_deref());
    }
    let [of_before, of_after] = [attributes(node, before)?, attributes(node, after)?];
    let names: BTreeSet<String> = of_before.names().into_iter().chain(of_after.names()).collect();
    for name in names {
        let what = What::Variable(name.clone().into_bytes());
        differ(what, of_before.written(&name), of_after.written(&name));
    }
    let drvs: BTreeSet<&StorePath> = before.input_drvs.keys().chain(after.input_drvs.keys()).collect();
    for drv in drvs {
        let name = graph.index_of(drv).map_or(drv.short_name(), |index| graph.nodes()[index].name());
        let outputs = |derivation: &Derivation| {
            let wanted = derivation.input_drvs.get(drv)?;
            Some(wanted.iter().map(String::as_str).collect::<Vec<_>>().join(",").into_bytes())
        };
        differ(What::Input(name.to_owned()), outputs(before).as_deref(), outputs(after).as_deref());
    }
    for source in before.input_srcs.symmetric_difference(&after.input_srcs) {
        let path = source.to_string().into_bytes();
        let there =
            |derivation: &Derivation| derivation.input_srcs.contains(source).then_some(path.as_slice());
        differ(What::Source(source.name().to_owned()), there(before), there(after));
    }
    Ok(changes)
}
