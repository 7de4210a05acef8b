//! Every cause there is, with an example and the way out.

mod executables;

/// What there is to say about a cause, whatever the files.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its stable id, as in `reprove explain ID`.
    pub id: &'static str,
    /// One line.
    pub title: &'static str,
    /// What happens, a few lines of plain text.
    pub what: &'static str,
    /// What it looks like.
    pub example: &'static str,
    /// What to change, for a Nix user.
    pub fix: &'static str,
}

/// The entry with this id.
pub fn find(id: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.id == id)
}

/// All causes, in the order of the ranks they get when confidence is equal.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        id: "missing-file",
        title: "one side lacks a file",
        what: "An entry is on one side only, or is a file here and a link or directory there.",
        example: "share/doc/changelog.gz: only in a",
        fix: "Look in the build log for a step that is skipped under some condition (a tool found or not, a test that\n\
              passed or not, a network tried) and make it unconditional or remove it, for example in `configureFlags`.",
    },
    Entry {
        id: "file-mode",
        title: "a file is executable on one side only",
        what: "The only permission a store path keeps is whether the owner may execute a file, and it differs.",
        example: "bin/run: executable in a, not executable in b",
        fix: "Set the mode where the file is installed: `install -m755` or `install -m644` in `installPhase`, instead of\n\
              `cp`, which takes what the umask or an unpacked archive left.",
    },
    Entry {
        id: "symlink-target",
        title: "a symbolic link points elsewhere",
        what: "The same link has two targets.",
        example: "share/zoneinfo -> /nix/store/…-tzdata-2024a  and  /nix/store/…-tzdata-2024b",
        fix: "If both are store paths, the two builds had different inputs: compare the derivations. Otherwise the build\n\
              puts a path of its host into the link: link relative to `$out`, or with `ln -sr`.",
    },
    executables::GO_TOOLCHAIN_PATCHED,
    Entry {
        id: "nix-store-path",
        title: "another store path is embedded",
        what: "The output contains the path of a store object, and the two builds used different ones: another version of\n\
               a package, or the same one built from different inputs.",
        example: ".rodata: /nix/store/7zz…-tzdata-2024a  and  /nix/store/p1d…-tzdata-2024a",
        fix: "Build both from the same lock file. If the toolchain brings the path in (Go: tzdata, iana-etc, mailcap), use\n\
              an unpatched one; if nothing needs it at run time, remove it with `removeReferencesTo` or\n\
              `nuke-refs`, and keep it out with `disallowedReferences`.",
    },
    executables::STRIPPED_AFTER_LINK,
    executables::DEBUG_INFO_KEPT,
    Entry {
        id: "interpreter-or-rpath",
        title: "another dynamic linker or library search path",
        what: "The program asks for its interpreter (PT_INTERP) or its libraries (DT_RUNPATH, DT_RPATH) under another path.",
        example: "program interpreter: /lib64/ld-linux-x86-64.so.2  and  /nix/store/…-glibc-2.40/lib/ld-linux-x86-64.so.2",
        fix: "Link both with the same standard environment, or set both explicitly after the link with\n\
              `patchelf --set-interpreter` and `--set-rpath` (in nixpkgs: `autoPatchelfHook`).",
    },
    Entry {
        id: "embedded-build-time",
        title: "the time of the build is embedded",
        what: "The output contains the date or the time at which it was built.",
        example: ".rodata: Nov 21 2026  and  Jan  1 2020   (the C macros __DATE__ and __TIME__)",
        fix: "Remove it, or take it from SOURCE_DATE_EPOCH, which Nix's standard environment sets: gcc and clang do so for\n\
              __DATE__ and __TIME__ when it is exported; `-Wdate-time` finds the places, `-D__DATE__='\"…\"'` overrides them.\n\
              In scripts: `date -u -d @$SOURCE_DATE_EPOCH` instead of `date`.",
    },
    Entry {
        id: "compiler-version",
        title: "built by another compiler",
        what: "The compilers' own marks (.comment, version strings) differ.",
        example: ".comment: GCC: (Debian 12.2.0-14) 12.2.0  and  GCC: (GNU) 13.3.0",
        fix: "Pin the compiler: build both from the same lock file and the same `stdenv` (for example `gcc13Stdenv`).",
    },
    executables::LINKER_VERSION,
    executables::CPU_FEATURES,
    executables::OPTIMIZATION_LEVEL,
    executables::TOOLCHAIN_CONFIG,
    executables::CODEGEN_UNITS,
    executables::COVERAGE_STAMP,
    executables::LINK_ORDER,
    Entry {
        id: "build-user-or-host",
        title: "the user or the host that built it is embedded",
        what: "The output contains a user name, a host name or the kernel's version, as `whoami`, `hostname` and `uname` give.",
        example: ".rodata: built by nixbld1@alpha  and  built by nixbld4@beta",
        fix: "Remove it, or set it by the variable the build reads (KBUILD_BUILD_USER and KBUILD_BUILD_HOST for kernels,\n\
              `HOSTNAME=localhost` for many scripts).",
    },
    Entry {
        id: "build-path",
        title: "the directory of the build is embedded",
        what: "The output contains the path of the directory it was built in: in debug information, in messages of\n\
               assertions and panics, in generated scripts.",
        example: ".debug_line_str: /build/source-1  and  /tmp/nix-build-x.drv-0/source",
        fix: "`NIX_CFLAGS_COMPILE = \"-ffile-prefix-map=$NIX_BUILD_TOP=.\"` for C and C++, `--remap-path-prefix` in RUSTFLAGS,\n\
              `-trimpath` for Go; in scripts, relative paths.",
    },
    Entry {
        id: "line-endings",
        title: "the same text with other line endings",
        what: "Lines end in CR LF on one side and in LF on the other.",
        example: "README: 12 lines end in CR LF in a, none in b",
        fix: "Convert in one place: `dos2unix` in `postPatch`, or `* -text` in the source's .gitattributes.",
    },
    Entry {
        id: "unordered-output",
        title: "the same lines in another order",
        what: "Both sides have exactly the same lines, in different orders: files listed as the file system gives them, a hash\n\
               table walked, threads that finish when they finish.",
        example: "index.txt: 340 lines, the same on both sides, in another order",
        fix: "Sort where it is written: `find … | LC_ALL=C sort`, `sort_keys=True`, an ordered map instead of a hash map.",
    },
    Entry {
        id: "parallelism",
        title: "the output depends on the machine's cores, speed or memory",
        what: "The number of jobs is written down, or work that runs in parallel is written down in the order in which it ended.",
        example: "config.log: make -j2  and  make -j8",
        fix: "`enableParallelBuilding = false` shows whether it is a race; then pass a fixed number of jobs to the step that\n\
              writes it down, or sort what parallel steps produce.",
    },
    executables::SYMBOL_HASH,
    Entry {
        id: "random-seed",
        title: "random bytes are embedded",
        what: "The output contains bytes from a random source: a generated key, a UUID, a seed, the order of a hash table with\n\
               a random seed.",
        example: "etc/machine-id: 6f1c…  and  d09a…",
        fix: "Give the generator a fixed seed (`-frandom-seed=$out` for gcc, PYTHONHASHSEED=0 for Python, PERL_HASH_SEED=0\n\
              for Perl), or make it when the program first runs instead of when it is built.",
    },
    Entry {
        id: "build-id-random",
        title: "the build id differs",
        what: "The linker's build id (.note.gnu.build-id) differs. By default it is a hash of everything else in the file, so it\n\
               follows every other difference. If nothing else differs, it is random.",
        example: ".note.gnu.build-id: 3f86…  and  91c4…, and nothing else",
        fix: "Nothing to do when it follows other differences. If it is the only one: `-Wl,--build-id=sha1` or\n\
              `-Wl,--build-id=none` instead of `--build-id=uuid`.",
    },
    executables::CODE_SIGNATURE,
    executables::DEBUG_LINK,
    executables::ADDRESS_SHIFT,
    Entry {
        id: "unexplained",
        title: "differences without a known cause",
        what: "No rule explains these bytes. That is an honest answer, not a verdict that they are harmless.",
        example: ".text: 2048 bytes in 12 ranges",
        fix: "Look at the ranges (`reprove diff --full A B`), and let `reprove verify` vary one setting of the machine at a time:\n\
              the one that changes the bits is the cause.",
    },
];
