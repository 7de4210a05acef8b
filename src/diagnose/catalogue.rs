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
        id: "archive-member-mtime",
        title: "members of an archive have other times",
        what: "The headers of an archive keep when each member was last changed, and that was another time: files that the\n\
               build wrote or unpacked without keeping their times.",
        example: "t.tar » ./bin/run: mtime: 1795264496 (2026-11-21 12:34:56 UTC)  and  1577836800 (2020-01-01 00:00:00 UTC)",
        fix: "tar: `--mtime=@$SOURCE_DATE_EPOCH --clamp-mtime`. ar: `ar rcsD` (binutils of nixpkgs does so by default). zip and jar:\n\
              `find . -exec touch -h -d @$SOURCE_DATE_EPOCH {} +` before, with TZ=UTC; `jar --date`. cpio: touch likewise.\n\
              Afterwards: `strip-nondeterminism` or `add-determinism`.",
    },
    Entry {
        id: "archive-member-owner",
        title: "members of an archive have other owners",
        what: "The headers of an archive keep the user and group that owned each file, by number and by name, and those\n\
               were the ones of whoever built it.",
        example: "t.tar » ./bin/run: user name: nixbld1  and  root",
        fix: "tar: `--owner=0 --group=0 --numeric-owner`. ar: `ar rcsD`. cpio: `--owner=0:0` (`-R 0:0`). zip: `zip -X`.",
    },
    Entry {
        id: "archive-member-mode",
        title: "members of an archive have other permissions",
        what: "The headers of an archive keep each file's permissions, and the build took what the umask left.",
        example: "t.tar » ./etc: mode: 0755  and  0775",
        fix: "tar: `--mode=u+rwX,go+rX,go-w`. Otherwise set them before packing (`chmod -R u+rwX,go+rX,go-w .`), or `umask 022`\n\
              at the beginning of the phase.",
    },
    Entry {
        id: "archive-member-order",
        title: "members of an archive are in another order",
        what: "Both archives have the same members, in different orders: files listed as the file system gives them.",
        example: "t.tar: 4 of 20 members, the first: ./a  and  ./b",
        fix: "tar: `--sort=name`. Others take a list: `find . -print0 | LC_ALL=C sort -z | cpio -0 …`, `find . | LC_ALL=C sort |\n\
              zip -X -@ out.zip`; for ar, name the objects in a fixed order, or `$(sort $(wildcard *.o))` in make.",
    },
    Entry {
        id: "archive-format",
        title: "archives written in another format",
        what: "The same members, written by another program or with other options: GNU or pax headers, another version\n\
               field, another way to write names and numbers, stored or compressed, padding at the end.",
        example: "t.tar » ./bin/run: format: ustar  and  ustar\\x20\\x20",
        fix: "Name the format (`tar --format=gnu`, `zip -9`, `jar --no-compress`), and take the archiver from the same lock file.",
    },
    Entry {
        id: "archive-extra-metadata",
        title: "archives keep more of the file system than they should",
        what: "Headers keep what differs on every file system: times of access and change, inode and device numbers, extended\n\
               attributes, the number of the process that wrote the archive, extra fields of zip.",
        example: "t.tar » ./bin/run: extended header, name: ./PaxHeaders.4711/run  and  ./PaxHeaders.815/run",
        fix: "tar: `--format=gnu`, or `--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime`. zip: `zip -X`.\n\
              cpio: `--reproducible` (`--renumber-inodes --ignore-devno`).",
    },
    Entry {
        id: "gzip-header",
        title: "gzip files with another header",
        what: "A gzip header keeps the time, the name of the compressed file, the operating system and a hint of the level.",
        example: "data.gz: mtime: 1795264496 (2026-11-21 12:34:56 UTC)  and  0 (1970-01-01 00:00:00 UTC)",
        fix: "`gzip -n` (or GZIP=-n for programs that call it). In Python `gzip.GzipFile(mtime=0)`, in Go leave `Header.ModTime`\n\
              and `Header.Name` empty; for `tar -z`, pipe: `tar -c … | gzip -n`.",
    },
    Entry {
        id: "deflate-encoder",
        title: "the same contents, compressed otherwise",
        what: "Unpacked, both are the same to the last byte. Another compressor, another version of it, another level, or\n\
               another number of threads found other ways to write them shorter.",
        example: "data.gz: 20971520 bytes packed in 7758902 by gzip  and  7751060",
        fix: "Take the compressor from the same lock file (`nativeBuildInputs`), name the level, and compress with a fixed\n\
              number of threads (`xz -T1`, `zstd --single-thread`, `pigz -p1`). What is published may instead be\n\
              compared unpacked: publish the checksum of the unpacked archive as well.",
    },
    Entry {
        id: "pyc-mtime",
        title: "compiled Python keeps the time of its source",
        what: "A .pyc file keeps when its source was last changed, to notice that it is out of date, and that was another time.",
        example: "mod.cpython-311.pyc pyc header, mtime of the source: 1795264496 (2026-11-21 12:34:56 UTC)  and  1577836800 (…)",
        fix: "`python -m compileall --invalidation-mode unchecked-hash`, which is the default where SOURCE_DATE_EPOCH is set;\n\
              or set the time of the sources before: `find . -name '*.py' -exec touch -d @$SOURCE_DATE_EPOCH {} +`.",
    },
    Entry {
        id: "pyc-path",
        title: "compiled Python keeps the path of its source",
        what: "A .pyc file keeps the path that its source had when it was compiled, for tracebacks, and that was another\n\
               directory.",
        example: "mod.cpython-311.pyc marshalled code, co_filename: /build/a/mod.py  and  /build/b/mod.py",
        fix: "Compile where the files are installed, or strip the beginning of the path:\n\
              `python -m compileall -s $out -p / $out` (strip `$out`, prepend `/`).",
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
        title: "the same contents in another order",
        what: "Both sides have exactly the same lines, or the same JSON value, in different orders: files listed as the file system gives them, a hash\n\
               table walked, threads that finish when they finish.",
        example: "index.txt: 340 lines, the same on both sides, in another order",
        fix: "Sort where it is written: `find … | LC_ALL=C sort`, `sort_keys=True`, an ordered map instead of a hash map.",
    },
    Entry {
        id: "locale-order",
        title: "lists sorted by the rules of two locales",
        what: "The same lines, sorted by their bytes on one side (`LC_ALL=C`: capitals first) and by letters, whatever their\n\
               case, on the other.",
        example: "files.txt: Makefile, Zeta, alpha  and  alpha, Makefile, Zeta",
        fix: "`export LC_ALL=C` at the beginning of the phase, or before each `sort`; `ls` and shell patterns sort likewise.",
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
