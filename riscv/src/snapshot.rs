//! A state in a file: to go on from later, in another process, on another host.
//!
//! The caches of translations are no part of it, so a state is stored where they are empty: see
//! [`crate::FLUSH_INTERVAL`] and [`crate::Machine::save`].
//!
//! All numbers are little-endian: `reprove-state/1\n`, the root of the state (32 bytes), the page of registers, the number of
//! pages that are not all zeros (8 bytes), their numbers in order (8 bytes each), their bytes.

use std::io::{self, Read, Write};

use crate::memory::{BASE, Memory, PAGE};
use crate::state::Hash;

const MAGIC: &[u8; 16] = b"reprove-state/1\n";

/// What is in a stored state before its pages.
pub(crate) struct Head {
    /// The root that the state had.
    pub root: Hash,
    /// The page of registers.
    pub registers: Vec<u8>,
}

/// Writes a state.
pub(crate) fn write(out: &mut dyn Write, head: &Head, memory: &Memory) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&head.root)?;
    out.write_all(&head.registers)?;
    let page = |number: u64| &memory.bytes()[(number * PAGE) as usize..((number + 1) * PAGE) as usize];
    let used: Vec<u64> = memory.used().filter(|number| page(*number).iter().any(|byte| *byte != 0)).collect();
    out.write_all(&(used.len() as u64).to_le_bytes())?;
    for number in &used {
        out.write_all(&number.to_le_bytes())?;
    }
    for number in &used {
        out.write_all(page(*number))?;
    }
    Ok(())
}

/// Reads a state into `memory`, which must be all zeros.
pub(crate) fn read(input: &mut dyn Read, memory: &mut Memory) -> io::Result<Head> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(invalid("it does not begin as a stored state does"));
    }
    let mut root = [0; 32];
    input.read_exact(&mut root)?;
    let mut registers = vec![0; PAGE as usize];
    input.read_exact(&mut registers)?;
    let count = number(input)?;
    if count > memory.len() / PAGE {
        return Err(invalid("it has more pages than the machine"));
    }
    let pages = (0..count).map(|_| number(input)).collect::<io::Result<Vec<u64>>>()?;
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
    Ok(Head { root, registers })
}

fn number(input: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
