//! Nix's base-32: its own alphabet, and the digits in reverse order.
//!
//! Nix manual, "Store path specification"; the alphabet leaves out `e`, `o`, `u` and `t`.

/// The alphabet, in the order of its digits' values.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Length in characters of `len` bytes in base-32.
pub const fn encoded_len(len: usize) -> usize {
    (len * 8).div_ceil(5)
}

/// Writes `bytes` in Nix's base-32.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(encoded_len(bytes.len()));
    for n in (0..encoded_len(bytes.len())).rev() {
        let (i, j) = (n * 5 / 8, n * 5 % 8);
        let low = u16::from(bytes[i]);
        let high = bytes.get(i + 1).copied().map_or(0, u16::from);
        let digit = (((high << 8 | low) >> j) & 0x1f) as usize;
        out.push(char::from(ALPHABET[digit]));
    }
    out
}

/// Reads `text` as exactly `len` bytes; `None` when it has another length, a character outside the
/// alphabet, or bits set beyond the last byte (two texts must never mean the same bytes).
pub fn decode(text: &[u8], len: usize) -> Option<Vec<u8>> {
    if text.len() != encoded_len(len) {
        return None;
    }
    let mut out = vec![0u8; len];
    for (n, character) in text.iter().rev().enumerate() {
        let digit = ALPHABET.iter().position(|a| a == character)? as u16;
        let (i, j) = (n * 5 / 8, n * 5 % 8);
        let shifted = digit << j;
        out[i] |= (shifted & 0xff) as u8;
        let carry = (shifted >> 8) as u8;
        match out.get_mut(i + 1) {
            Some(next) => *next |= carry,
            None if carry != 0 => return None,
            None => {}
        }
    }
    Some(out)
}
