//! A state in a file: to go on from later, in another process, on another host.
//!
//! The caches of translations are no part of it, so a state is stored where they are empty: see
//! [`crate::FLUSH_INTERVAL`] and [`crate::Machine::save`].
//!
//! All numbers are little-endian. A whole state is `reprove-state/1\n`, the root of the state (32 bytes), the page of
//! registers, the number of pages that are not all zeros (8 bytes), their numbers in order (8 bytes each), their bytes. What a
//! state has beyond another one is `reprove-delta/1\n`, the root of the other one, and then the same, the pages being those
//! that differ.

use std::io::{self, Read, Write};

use crate::memory::{BASE, Memory, PAGE};
use crate::state::Hash;

const WHOLE: &[u8; 16] = b"reprove-state/1\n";
const DELTA: &[u8; 16] = b"reprove-delta/1\n";

/// What is in a stored state before its pages.
pub(crate) struct Head {
    /// The root of the state that it is what goes beyond; none when it is whole.
    pub base: Option<Hash>,
    /// The root that the state had.
    pub root: Hash,
    /// The page of registers.
    pub registers: Vec<u8>,
}

impl Head {
    /// Writes a state: all of `memory`, or what is not as it was when it was settled.
    pub fn write(&self, out: &mut dyn Write, memory: &Memory) -> io::Result<()> {
        match &self.base {
            None => out.write_all(WHOLE)?,
            Some(base) => {
                out.write_all(DELTA)?;
                out.write_all(base)?;
            }
        }
        out.write_all(&self.root)?;
        out.write_all(&self.registers)?;
        let page = |number: u64| &memory.bytes()[(number * PAGE) as usize..((number + 1) * PAGE) as usize];
        let pages: Vec<u64> = match self.base {
            // A page that is all zeros is as good as one that is not there.
            None => memory.used().filter(|number| page(*number).iter().any(|byte| *byte != 0)).collect(),
            Some(_) => memory.unsettled().collect(),
        };
        out.write_all(&(pages.len() as u64).to_le_bytes())?;
        for number in &pages {
            out.write_all(&number.to_le_bytes())?;
        }
        for number in &pages {
            out.write_all(page(*number))?;
        }
        Ok(())
    }

    /// Reads what is before the pages.
    pub fn read(input: &mut dyn Read) -> io::Result<Head> {
        let base = match &array(input)? {
            WHOLE => None,
            DELTA => Some(array(input)?),
            _ => return Err(invalid("it does not begin as a stored state does")),
        };
        let root = array(input)?;
        let mut registers = vec![0; PAGE as usize];
        input.read_exact(&mut registers)?;
        Ok(Head { base, root, registers })
    }
}

/// Reads the pages of a state into `memory`, which must be all zeros for a whole state, or that of the state that it goes beyond.
pub(crate) fn read_pages(input: &mut dyn Read, memory: &mut Memory) -> io::Result<()> {
    let count = u64::from_le_bytes(array(input)?);
    if count > memory.len() / PAGE {
        return Err(invalid("it has more pages than the machine"));
    }
    let pages = (0..count).map(|_| Ok(u64::from_le_bytes(array(input)?)));
    let pages = pages.collect::<io::Result<Vec<u64>>>()?;
    if pages.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(invalid("its pages are not in order"));
    }
    for page in pages {
        let address = page.checked_mul(PAGE).and_then(|offset| offset.checked_add(BASE));
        let page = address.and_then(|address| memory.slice_mut(address, PAGE));
        input.read_exact(page.ok_or_else(|| invalid("it has a page that the machine has not"))?)?;
    }
    if input.read(&mut [0])? != 0 {
        return Err(invalid("something follows its last page"));
    }
    Ok(())
}

fn array<const N: usize>(input: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The error of something that is no stored state, or not one for this machine.
pub(crate) fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}
