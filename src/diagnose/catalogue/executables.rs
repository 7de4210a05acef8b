//! Causes that show in executables and objects.

use super::Entry;

pub(super) const GO_TOOLCHAIN_PATCHED: Entry = Entry {
    id: "go-toolchain-patched",
    title: "a patched Go toolchain put its store paths into the program",
    what: "nixpkgs patches Go's library to find tzdata, iana-etc and mailcap in the store, so every program that uses\n\
           `time`, `net` or `mime` contains their paths, and differs whenever one of them is rebuilt.",
    example: ".rodata: /nix/store/7zz…-tzdata-2024a  and  /nix/store/p1d…-tzdata-2024a",
    fix: "Build with an unpatched Go toolchain, as upstream releases are: override `go` with one whose `patches` leave\n\
          out tzdata, iana-etc and mailcap, or unpack go.dev's. The program then finds them by the host's usual paths.",
};

pub(super) const STRIPPED_AFTER_LINK: Entry = Entry {
    id: "stripped-after-link",
    title: "stripped after the link by one of the two",
    what: "Every section has the same contents, but the file was laid out anew by a strip program. GNU's, LLVM's and\n\
           elfutils' each lay it out differently, and none as the linker did.",
    example: "section table written by: Go's linker  and  GNU strip; e_shoff 0xd4 and 0x7c0628",
    fix: "`dontStrip = true;` where the linker has removed the symbols already (Go: `-ldflags=\"-s -w\"`), or strip on\n\
          every host with the same program. A strip for another target fails without a word in fixupPhase.",
};

pub(super) const DEBUG_INFO_KEPT: Entry = Entry {
    id: "debug-info-kept",
    title: "debug information or symbols on one side only",
    what: "One side has sections that only a debugger reads (.debug_*, .symtab, .gnu_debuglink); on the other they were\n\
           never made, or removed.",
    example: ".debug_info: 531 bytes in a, no such section in b",
    fix: "Strip on both sides or on none: `dontStrip`, `separateDebugInfo` and `-g` must be the same; for Go\n\
          `-ldflags=\"-s -w\"`, for Rust `profile.release.strip` and `debug`.",
};

pub(super) const TOOLCHAIN_CONFIG: Entry = Entry {
    id: "toolchain-config",
    title: "the toolchain was built or called with another setting",
    what: "The build settings say so, or only a few functions of the toolchain's own packages differ: those that hold a\n\
           constant it was built with, such as whether cgo is on by default.",
    example: "cmd/go/internal/cfg.defaultContext: 1738 bytes and 1209 bytes (CGO_ENABLED was set when Go was built)",
    fix: "Set the variable explicitly on both sides (`env.CGO_ENABLED = 0;`), and build the toolchain itself in the\n\
          same environment: variables that its build reads end up as defaults in it.",
};

pub(super) const LINK_ORDER: Entry = Entry {
    id: "link-order",
    title: "the same functions linked in another order",
    what: "Both sides have the same symbols of the same sizes, in another order: objects were given to the linker as\n\
           the file system listed them, or as parallel jobs ended.",
    example: "symbols: parse, then print  and  print, then parse",
    fix: "Sort the list of objects where it is made: `$(sort $(wildcard *.o))` in make, `sorted(glob(…))` in Python,\n\
          explicit lists in CMake instead of file(GLOB).",
};

pub(super) const SYMBOL_HASH: Entry = Entry {
    id: "symbol-hash",
    title: "symbols differ only in a hash in their names",
    what: "The compiler hashes something into the names of symbols (Rust: the crate's identity and the compiler; LLVM and\n\
           GCC: modules of link-time optimisation), and that something differs: a path, a version, metadata.",
    example: "_ZN4demo3run17h0f3c…E  and  _ZN4demo3run17h91ab…E",
    fix: "Build from the same path (`--remap-path-prefix` does not change the crate's identity: use the same source\n\
          directory), with the same compiler, features and `-C metadata`.",
};

pub(super) const CODEGEN_UNITS: Entry = Entry {
    id: "codegen-units",
    title: "compiled in another number of units",
    what: "Rust splits a crate into units that are compiled in parallel. Another number of them gives other inlining and\n\
           another order of functions.",
    example: "units: demo.…-cgu.0 to cgu.15  and  demo.…-cgu.0 alone",
    fix: "Set it: `codegen-units = 1` in the profile of Cargo.toml or `-C codegen-units=1` in RUSTFLAGS.",
};

pub(super) const CPU_FEATURES: Entry = Entry {
    id: "cpu-features",
    title: "compiled for another processor",
    what: "The compiler was allowed other instructions: `-march=native` or `-C target-cpu=native` take what the building\n\
           host has; GOAMD64, `-mavx2` and their like say it.",
    example: "producer: -march=x86-64 -O2  and  -march=skylake -O2",
    fix: "Name the processor: remove `-march=native` and `-mtune=native`, set `GOAMD64=v1`, `RUSTFLAGS` without\n\
          target-cpu=native; choose faster code at run time. nixpkgs: `stdenv.hostPlatform.gcc.arch`.",
};

pub(super) const OPTIMIZATION_LEVEL: Entry = Entry {
    id: "optimization-level",
    title: "compiled with another level of optimisation",
    what: "The compiler was called with another -O, or with other flags that change what it makes of the same source.",
    example: "producer: GNU C17 12.2.0 -O2  and  GNU C17 12.2.0 -O3",
    fix: "Give the flags in one place, such as CFLAGS in the derivation, and look what the build system adds: cmake's\n\
          CMAKE_BUILD_TYPE, meson's buildtype, autoconf's own -g -O2. `NIX_DEBUG=1` shows every call.",
};

pub(super) const LINKER_VERSION: Entry = Entry {
    id: "linker-version",
    title: "linked by another linker",
    what: "The linkers' own marks differ: LLD's and mold's in .comment, the versions in PE and Mach-O headers.",
    example: ".comment: Linker: LLD 14.0.6  and  Linker: LLD 17.0.1",
    fix: "Pin the linker with the compiler: the same lock file and `stdenv`, the same `-fuse-ld=`.",
};

pub(super) const COVERAGE_STAMP: Entry = Entry {
    id: "coverage-stamp",
    title: "coverage instrumentation stamped with the time",
    what: "GCC's --coverage writes a stamp into each object and its .gcno file, so that they are not mixed up. It is made\n\
           from the time of the compilation.",
    example: "main.gcno, stamp: 0x5ebbc8cf  and  0x6110a02d",
    fix: "Leave out --coverage and -fprofile-arcs in what is released, or give `-frandom-seed=STRING`.",
};

pub(super) const CODE_SIGNATURE: Entry = Entry {
    id: "code-signature",
    title: "the code signature differs",
    what: "A signature (LC_CODE_SIGNATURE of Mach-O, certificates of PE) covers the rest of the file, so it follows every\n\
           other difference. If nothing else differs, the files were signed by different keys or at different times.",
    example: "__LINKEDIT: 32 bytes of a page's hash",
    fix: "Nothing to do when it follows other differences. Compare before signing, and sign what was compared: `codesign\n\
          --remove-signature`, `osslsigncode remove-signature`. Ad-hoc signatures (`codesign -s -`) are reproducible.",
};

pub(super) const DEBUG_LINK: Entry = Entry {
    id: "debug-link",
    title: "the checksum of the separate debug file differs",
    what: "`.gnu_debuglink` holds the name and the CRC of the file with the debug information. It follows from that file:\n\
           if nothing else differs here, the difference is there.",
    example: ".gnu_debuglink: 3 bytes",
    fix: "Compare the debug files (the `debug` output with `separateDebugInfo = true`): mostly they contain a build path.",
};

pub(super) const ADDRESS_SHIFT: Entry = Entry {
    id: "address-shift",
    title: "addresses and tables that follow what moved or changed",
    what: "Something before them grew or shrank, so everything behind it lies elsewhere, and every word that refers to it\n\
           differs, as do the tables that describe it. These words were followed: they mean the same on both sides.",
    example: ".text: 12 000 bytes in 6 000 words that refer to what moved",
    fix: "Nothing to do: it goes away with what caused it.",
};
