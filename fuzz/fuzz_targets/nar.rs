//! Contents skipped and contents read are judged alike, and a NAR that is accepted is the only one of its tree.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use reprove::nix::nar::{Contents, Event, NarError, Node, Reader};

fn events(nar: &[u8], drain: bool) -> Result<Vec<Event>, NarError> {
    let mut reader = Reader::new(nar);
    let mut found = Vec::new();
    while let Some(event) = reader.next_event()? {
        if drain && matches!(event, Event::Regular { .. }) {
            // A truncated file is reported again by the next event.
            let _ = io::copy(&mut reader.contents(), &mut io::sink());
        }
        found.push(event);
    }
    Ok(found)
}

fuzz_target!(|nar: &[u8]| {
    let skipped = events(nar, false).map_err(|error| error.to_string());
    let drained = events(nar, true).map_err(|error| error.to_string());
    assert_eq!(skipped, drained);
    let tree = Node::read(nar);
    assert_eq!(tree.is_ok(), skipped.is_ok());
    if let Ok(tree) = tree {
        let open = |contents: Contents| {
            let start = usize::try_from(contents.offset).map_err(io::Error::other)?;
            Ok(nar[start..].take(contents.size))
        };
        let again = tree.write(open, Vec::new()).expect("a tree that was read");
        assert_eq!(again, nar);
    }
});
