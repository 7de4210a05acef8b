//! Compiled Python files (`importlib/_bootstrap_external.py`, and PEP 552 for the flags): the header by its fields,
//! the code by its bytes.

use super::{
    Content, Difference, Pair, ReadError, Side, Step, Value, Window,
    archive::{Field, compare_fields},
    bytes::{self, failed},
    file,
    limits::Effort,
};

/// Magic number, flags, then time and size of the source, or its hash.
const HEADER: u64 = 16;

/// How far into the code the path of the source is looked for. The code of the module itself comes first, and what
/// is in its functions lies in its constants: the first path that is found is that of one of them, and the same.
const SEARCHED: u64 = 1 << 20;

/// Whether a file that begins with `head` claims to be compiled Python of version 3.7 or later: the magic number
/// ends in CR LF, the flags are one of three, and the code is a code object.
pub(super) fn is_pyc(head: &[u8]) -> bool {
    let Some(header) = head.first_chunk::<17>() else { return false };
    header[2..4] == *b"\r\n"
        && matches!(header[4], 0 | 1 | 3)
        && header[5..8] == [0; 3]
        && header[16] & 0x7f == b'c'
}

pub(super) fn compare(
    files: Pair<&dyn Content>,
    difference: &mut Difference,
    effort: &Effort<'_>,
) -> Result<(), ReadError> {
    let fields = Pair::new(fields(Side::A, files.a)?, fields(Side::B, files.b)?);
    let mut header = Difference::new(Step::Table("pyc header"));
    header.found = compare_fields(fields, files)?;
    if header.is_some() {
        difference.inside.push(header);
    }
    let mut code = Difference::new(Step::Table("marshalled code"));
    let paths = Pair::new(path(Side::A, files.a)?, path(Side::B, files.b)?);
    code.found = compare_fields(paths, files)?;
    let windows = files.map(|content| Window::new(content, HEADER, u64::MAX));
    if let Some(found) = bytes::compare(windows, effort)? {
        file::add(found, &mut code);
    }
    if code.is_some() {
        difference.inside.push(code);
    }
    Ok(())
}

fn fields(side: Side, content: &dyn Content) -> Result<Vec<Field>, ReadError> {
    let mut header = [0; HEADER as usize];
    content.read_exact_at(0, &mut header).map_err(failed(side, 0))?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let flags = match word(4) {
        0 => Value::Named(0, "by time"),
        1 => Value::Named(1, "by hash, not checked"),
        3 => Value::Named(3, "by hash, checked"),
        other => Value::Number(u64::from(other)),
    };
    let magic = u64::from(u16::from_le_bytes([header[0], header[1]]));
    let mut fields =
        vec![Field::new("magic number", Value::Decimal(magic), (0, 4)), Field::new("valid", flags, (4, 4))];
    if word(4) == 0 {
        fields.push(Field::new("mtime of the source", Value::Time(i64::from(word(8))), (8, 4)));
        fields.push(Field::derived("size of the source", Value::Decimal(u64::from(word(12))), (12, 4)));
    } else {
        fields.push(Field::derived("hash of the source", Value::Hex(Some(header[8..].to_vec())), (8, 8)));
    }
    Ok(fields)
}

/// The path of the source as the code has it, `co_filename`: the first string in it that ends in `.py`.
fn path(side: Side, content: &dyn Content) -> Result<Vec<Field>, ReadError> {
    let window = Window::new(content, HEADER, SEARCHED);
    let code = window.to_vec().map_err(failed(side, HEADER))?;
    let mut at = 0;
    while let Some(found) = code[at..].windows(3).position(|three| three == b".py") {
        let end = at + found + 3;
        if let Some((start, text)) = string_ending(&code, end) {
            let raw = (HEADER + start as u64, text.len() as u64);
            return Ok(vec![Field::new("co_filename", Value::Text(Some(text.to_vec())), raw)]);
        }
        at = end;
    }
    Ok(Vec::new())
}

/// The marshalled string that ends at `end`: before it stand a letter for its type and its length, in one byte
/// (`z`, `Z`) or in four (`a`, `A`, `u`, `t`).
fn string_ending(code: &[u8], end: usize) -> Option<(usize, &[u8])> {
    for start in (end.saturating_sub(4096)..end).rev() {
        if code[start] < 0x20 {
            return None;
        }
        let len = end - start;
        let kind = |back: usize| start.checked_sub(back).and_then(|at| code.get(at)).map(|byte| byte & 0x7f);
        let short = matches!(kind(2), Some(b'z' | b'Z')) && usize::from(code[start - 1]) == len;
        let long = matches!(kind(5), Some(b'a' | b'A' | b'u' | b't'))
            && code[start - 4..start] == (len as u32).to_le_bytes();
        if short || long {
            return Some((start, &code[start..end]));
        }
    }
    None
}
