//! A small program that looks as Go's do, so that no Go toolchain is needed.

/// A Go binary in small: functions of a program without a library, Go's tables beside them, no symbols.
pub fn go(flags: &str, path: &str) -> String {
    format!(
        r#"
cat >go.c <<'END'
__attribute__((used)) static const char zone[] = "{path}";
__attribute__((noipa)) int constant(int n) {{
#ifdef WIDE
    for (int i = 0; i < n; i++) __asm__ volatile("nop; nop; nop; nop");
#endif
    return n + 1;
}}
void _start(void) {{ for (;;) constant((int)zone[0]); }}
END
gcc -O1 -fno-inline -nostdlib -static -Wl,--build-id=none {flags} go.c -o out
cat >tables.py <<'END'
import struct, subprocess
symbols = sorted((int(l.split()[0], 16), int(l.split()[1], 16), l.split()[3]) for l in
    subprocess.check_output(["nm", "-S", "out"], text=True).splitlines() if len(l.split()) == 4 and l.split()[2] in "Tt")
go = {{"constant": b"cmd/go/internal/cfg.defaultContext", "_start": b"main.main"}}
names = b"".join(go[name] + b"\0" for _, _, name in symbols)
text = symbols[0][0]
entries, infos, at = b"", b"", 8 * len(symbols) + 4
for address, size, name in symbols:
    entries += struct.pack("<II", address - text, at + len(infos))
    infos += struct.pack("<Ii", address - text, names.index(go[name])) + b"\0" * 32
end = symbols[-1][0] + symbols[-1][1] - text
table = entries + struct.pack("<I", end) + infos
head = struct.pack("<IBBBBQQQQQQQQ", 0xfffffff1, 0, 0, 1, 8, len(symbols), 0, text, 72, 72, 72, 72, 72 + len(names))
open("pclntab", "wb").write(head + names + table)
open("buildinfo", "wb").write(b"\xff Go buildinf:\x08\x02" + b"\0" * 16 + b"\x08go1.26.3" + b"\0")
END
python3 tables.py
objcopy --add-section .gopclntab=pclntab --add-section .go.buildinfo=buildinfo out
strip out
"#
    )
}
