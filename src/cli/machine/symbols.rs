//! Names for addresses: of an ELF file, or of the kernel's `System.map`.

use object::{Object, ObjectSymbol, SymbolKind};

/// Symbols by address.
pub struct Symbols(Vec<(u64, String)>);

impl Symbols {
    /// Reads an ELF file, or lines of `ADDRESS TYPE NAME`. None when it is neither.
    pub fn parse(bytes: &[u8]) -> Option<Symbols> {
        let mut symbols: Vec<(u64, String)> = if bytes.starts_with(b"\x7fELF") {
            let file = object::File::parse(bytes).ok()?;
            let code = |symbol: &object::Symbol<'_, '_>| {
                matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown | SymbolKind::Label)
            };
            let symbols = file.symbols().filter(|symbol| symbol.is_definition() || code(symbol));
            symbols.filter_map(|symbol| Some((symbol.address(), symbol.name().ok()?.to_owned()))).collect()
        } else {
            str::from_utf8(bytes).ok()?.lines().filter_map(line).collect()
        };
        // Marks of the assembler's own are no names of anything.
        symbols.retain(|(_, name)| !name.is_empty() && !name.starts_with('$') && !name.starts_with(".L"));
        symbols.sort();
        (!symbols.is_empty()).then_some(Symbols(symbols))
    }

    /// The symbol at or before `address`, and how far behind it the address is; nothing for what is far from any.
    pub fn name(&self, address: u64) -> Option<String> {
        let after = self.0.partition_point(|(at, _)| *at <= address);
        let (at, name) = self.0.get(after.checked_sub(1)?)?;
        let offset = address - at;
        (offset < FAR).then(|| format!("{name}+{offset:#x}"))
    }
}

/// No function is longer: what is further behind a symbol does not belong to it.
const FAR: u64 = 1 << 20;

fn line(line: &str) -> Option<(u64, String)> {
    let mut fields = line.split_ascii_whitespace();
    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
    let name = fields.nth(1)?;
    Some((address, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_symbol_before_it() {
        let symbols = Symbols::parse(b"ffffffff80001000 T start\nffffffff80002000 t next\n").unwrap();
        assert_eq!(symbols.name(0xffff_ffff_8000_1000).unwrap(), "start+0x0");
        assert_eq!(symbols.name(0xffff_ffff_8000_1fff).unwrap(), "start+0xfff");
        assert_eq!(symbols.name(0xffff_ffff_8000_2004).unwrap(), "next+0x4");
        assert_eq!(symbols.name(0x1000), None);
        assert_eq!(symbols.name(0xffff_ffff_9000_0000), None);
        assert!(Symbols::parse(b"nothing of the kind").is_none());
    }
}
