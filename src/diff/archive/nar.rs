//! NARs as files: inside other archives, or compressed as binary caches have them. The format is canonical, so what
//! a NAR says is all there is in it.

use std::{collections::BTreeMap, io::BufReader};

use super::{Archive, MAX_PATHS, Member, Stop, compare as comparing, field::Field};
use crate::{
    diff::{
        Content, Difference, Limits, Pair, ReadError, Value, Window, join,
        limits::Effort,
        unpack::{Input, Packing},
    },
    nix::nar::{Node, starts_like_a_nar},
};

/// Whether a file that begins with `head` claims to be a NAR.
pub(in crate::diff) fn is_nar(head: &[u8]) -> bool {
    starts_like_a_nar(head).unwrap_or(false)
}

/// Compares two NARs.
pub(in crate::diff) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    comparing::compare("NAR", parse, files, difference, effort)
}

fn parse<'a>(content: &'a dyn Content, limits: &Limits) -> Result<Archive<'a>, Stop> {
    let input = Input::new(Window::of(content));
    let node = Node::read(BufReader::with_capacity(64 << 10, &input));
    let node = input.judge(node.map_err(|_| Stop::Broken { offset: 0, what: "it is no canonical NAR" }))?;
    let mut members = BTreeMap::new();
    let mut paths = 0;
    let mut todo = vec![(Vec::new(), &node)];
    while let Some((path, node)) = todo.pop() {
        if members.len() as u64 == limits.members {
            return Err(Stop::Cap { what: "members", cap: limits.members });
        }
        paths += path.len() as u64;
        if paths > MAX_PATHS {
            return Err(Stop::Cap { what: "bytes of names", cap: MAX_PATHS });
        }
        let (what, data, fields) = match node {
            Node::Regular { executable, contents } => {
                let word = if *executable { "executable" } else { "not executable" };
                let field = Field::new("mode", Value::Named(u64::from(*executable), word), (0, 0));
                ("file", (contents.offset, contents.size), vec![field])
            }
            Node::Symlink { target } => {
                let field = Field::new("link target", Value::Text(Some(target.clone())), (0, 0));
                ("symbolic link", (0, 0), vec![field])
            }
            Node::Directory { entries } => {
                todo.extend(entries.iter().map(|(name, node)| (join(&path, name), node)));
                ("directory", (0, 0), Vec::new())
            }
        };
        let name = if path.is_empty() { b".".to_vec() } else { path.clone() };
        let headers = [(0, 0); 3];
        let (packing, size) = (Packing::None, data.1);
        members.insert(path, Member { name, what, fields, headers, data, packing, size, index: false });
    }
    let members = members.into_values().collect();
    Ok(Archive { members, tables: vec![(0, content.len())], ..Archive::default() })
}
