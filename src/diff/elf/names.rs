//! Names of numbers, from the System V ABI and its GNU extensions.

/// Name of a program header's type.
pub(super) fn segment(kind: u32) -> &'static str {
    match kind {
        0 => "NULL",
        1 => "LOAD",
        2 => "DYNAMIC",
        3 => "INTERP",
        4 => "NOTE",
        6 => "PHDR",
        7 => "TLS",
        0x6474_e550 => "GNU_EH_FRAME",
        0x6474_e551 => "GNU_STACK",
        0x6474_e552 => "GNU_RELRO",
        0x6474_e553 => "GNU_PROPERTY",
        0x7000_0003 => "RISCV_ATTRIBUTES",
        _ => "other",
    }
}

/// Name of a field's value, where it has one worth printing.
pub(super) fn value(field: &str, number: u64) -> Option<&'static str> {
    Some(match (field, number) {
        ("EI_CLASS", 1) => "32-bit",
        ("EI_CLASS", 2) => "64-bit",
        ("EI_DATA", 1) => "little endian",
        ("EI_DATA", 2) => "big endian",
        ("e_type", 1) => "object file",
        ("e_type", 2) => "executable",
        ("e_type", 3) => "shared object",
        ("e_type", 4) => "core file",
        ("e_machine", 3) => "x86",
        ("e_machine", 8) => "MIPS",
        ("e_machine", 21) => "PowerPC64",
        ("e_machine", 22) => "S/390",
        ("e_machine", 40) => "ARM",
        ("e_machine", 62) => "x86-64",
        ("e_machine", 183) => "AArch64",
        ("e_machine", 243) => "RISC-V",
        ("e_machine", 258) => "LoongArch",
        _ => return None,
    })
}

/// Whether a field says where something lies or how much there is of it: it follows from other differences.
pub(super) fn is_layout(field: &str) -> bool {
    matches!(
        field,
        "e_entry"
            | "e_phoff"
            | "e_shoff"
            | "e_phnum"
            | "e_shnum"
            | "e_shstrndx"
            | "p_offset"
            | "p_vaddr"
            | "p_paddr"
            | "p_filesz"
            | "p_memsz"
            | "sh_name"
            | "sh_addr"
            | "sh_offset"
            | "sh_size"
            | "sh_link"
            | "sh_info"
    )
}
