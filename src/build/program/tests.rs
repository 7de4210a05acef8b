//! The oracles: the kernel of this host, qemu-user for riscv64, and objdump.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use super::{enter::become_builder, *};

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(elf: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    fs::write(&path, elf).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    File { _folder: folder, path }
}

fn run(arch: Arch, elf: &[u8]) -> Output {
    let file = file(elf);
    let mut command = match arch {
        Arch::X86_64 => Command::new(&file.path),
        Arch::Riscv64 => {
            let mut command = Command::new("qemu-riscv64");
            command.arg(&file.path);
            command
        }
    };
    // qemu-user is a Debian package of that name; the host of these tests is x86_64.
    command.env_clear().env("PATH", "/usr/bin:/bin").output().expect("install qemu-user")
}

fn say(program: &mut Program, fd: u64, text: &[u8], on_failure: OnFailure) {
    let address = program.bytes(text);
    program.call(Call::Write, &[fd, address, text.len() as u64], on_failure);
}

fn job<'a>(builder: &'a [u8], args: &'a [Vec<u8>], env: &'a BTreeMap<Vec<u8>, Vec<u8>>) -> Enter<'a> {
    Enter { inputs: &[], builder, args, env, build_dir: "/build", uid: 1000, gid: 100 }
}

#[test]
fn rows_run_in_order_and_exit_with_the_last() {
    for arch in Arch::ALL {
        let mut program = Program::new(arch);
        // Enough rows and data that the table lies beyond one page.
        for n in 0..200u8 {
            say(&mut program, 1, &[b'a' + n % 26; 50], OnFailure::Say(b"no".to_vec()));
        }
        program.call(Call::ExitGroup, &[7], OnFailure::Ignore);
        let output = run(arch, &program.finish().unwrap());
        assert_eq!(output.status.code(), Some(7), "{arch}");
        let expected: Vec<u8> = (0..200u8).flat_map(|n| [b'a' + n % 26; 50]).collect();
        assert_eq!(output.stdout, expected, "{arch}");
        assert!(output.stderr.is_empty(), "{arch}");
    }
}

#[test]
fn a_failed_call_says_so_and_ends_with_125_and_an_ignored_one_does_not() {
    for arch in Arch::ALL {
        let mut program = Program::new(arch);
        say(&mut program, 99, b"nowhere", OnFailure::Ignore);
        say(&mut program, 1, b"still here", OnFailure::Ignore);
        say(&mut program, 99, b"nowhere", OnFailure::Say(b"write 99 failed".to_vec()));
        say(&mut program, 1, b"never", OnFailure::Ignore);
        program.call(Call::ExitGroup, &[0], OnFailure::Ignore);
        let output = run(arch, &program.finish().unwrap());
        assert_eq!(output.status.code(), Some(i32::from(FAILED)), "{arch}");
        assert_eq!((&*output.stdout, &*output.stderr), (&b"still here"[..], &b"write 99 failed\n"[..]));
    }
}

#[test]
fn the_builder_gets_exactly_its_environment_in_order() {
    let env: BTreeMap<Vec<u8>, Vec<u8>> = [
        (&b"A"[..], &b"1"[..]),
        (b"with space", b"two\nlines\n"),
        (b"latin", b"caf\xe9 \xff"),
        (b"quote'\"$(id)`", b"'; rm -rf /; '"),
        (b"empty", b""),
        (b"_", b"="),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_vec(), value.to_vec()))
    .collect();
    let args = [b"-0".to_vec()];
    let mut program = Program::new(Arch::X86_64);
    become_builder(&mut program, &job(b"/usr/bin/env", &args, &env)).unwrap();
    let output = run(Arch::X86_64, &program.finish().unwrap());
    assert!(output.status.success());
    let expected: Vec<u8> = env.iter().flat_map(|(n, v)| [n.as_slice(), b"=", v, b"\0"].concat()).collect();
    assert_eq!(output.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn argument_zero_is_the_base_name_and_arguments_are_bytes() {
    let args = [
        b"-c".to_vec(),
        b"printf '%s|' \"$0\" \"$@\"; tr '\\0' '|' < /proc/$$/cmdline".to_vec(),
        b"zero".to_vec(),
        b"a b".to_vec(),
        b"\xff\n".to_vec(),
        Vec::new(),
    ];
    let env = BTreeMap::new();
    let mut program = Program::new(Arch::X86_64);
    become_builder(&mut program, &job(b"/bin/sh", &args, &env)).unwrap();
    let output = run(Arch::X86_64, &program.finish().unwrap());
    let mut expected = b"zero|a b|\xff\n||sh|-c|".to_vec();
    expected.extend_from_slice(&args[1]);
    expected.extend_from_slice(b"|zero|a b|\xff\n||");
    assert_eq!(output.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[test]
fn a_missing_builder_is_named() {
    let env = BTreeMap::new();
    let mut program = Program::new(Arch::X86_64);
    become_builder(&mut program, &job(b"/nonexistent/builder", &[], &env)).unwrap();
    let output = run(Arch::X86_64, &program.finish().unwrap());
    assert_eq!(output.status.code(), Some(i32::from(FAILED)));
    assert!(output.stderr.starts_with(b"enter: cannot execute the builder `/nonexistent/builder`"));
}

#[test]
fn strings_no_program_can_be_given_are_refused() {
    let env = BTreeMap::from([(b"BIG".to_vec(), vec![b'x'; STRING_MAX - 4])]);
    let refused = enter(Arch::X86_64, &job(b"/b", &[], &env));
    assert!(matches!(refused, Err(ProgramError::TooLong { length, .. }) if length == STRING_MAX + 1));
    let env = BTreeMap::from([(b"BIG".to_vec(), vec![b'x'; STRING_MAX - 5])]);
    assert!(enter(Arch::X86_64, &job(b"/b", &[], &env)).is_ok());
    let env = BTreeMap::from([(b"N".to_vec(), b"a\0b".to_vec())]);
    assert!(matches!(enter(Arch::X86_64, &job(b"/b", &[], &env)), Err(ProgramError::Nul(_))));
}

/// Extended attributes by the usual way; then, as a 32-bit program would, by `int 0x80` (with 32-bit addresses): `chmod`
/// to 755 and 4755, `setxattr`, `fchmodat` to 2755.
const INT_80: &str = r#"
import ctypes, mmap, os
try: os.setxattr("f", "user.x", b"1")
except OSError as e: print(e.errno)
MAP_32BIT = 0x40
low = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# push rbx; mov eax, edi; mov ebx, esi; int 0x80; pop rbx; ret
low[:9] = b"\x53\x89\xf8\x89\xf3\xcd\x80\x5b\xc3"
low[64:66] = b"f\0"
address = ctypes.addressof(ctypes.c_char.from_buffer(low))
# number, first, third, second
call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)
f = address + 64
print(call(15, f, 0, 0o755), call(15, f, 0, 0o4755), call(226, f, 0, f), call(306, -100, 0o2755, f))
"#;

#[test]
fn a_set_id_bit_and_an_extended_attribute_are_refused_by_the_filter() {
    // The filter alone, on this host: chmod u+s fails, plain chmod works, setfattr fails.
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "cd {} && : > f && chmod 755 f && echo plain; chmod 4755 f 2>/dev/null || echo refused; \
         chmod g+s . 2>/dev/null || echo refused; \
         python3 -c '{INT_80}'",
        folder.path().display()
    );
    let args = [b"-c".to_vec(), script.into_bytes()];
    let env = BTreeMap::from([(b"PATH".to_vec(), b"/usr/bin:/bin".to_vec())]);
    let mut program = Program::new(Arch::X86_64);
    let bytes = filter::filter(Arch::X86_64);
    let address = program.bytes(&bytes);
    let header = program.bytes(&[(bytes.len() as u64 / 8).to_le_bytes(), address.to_le_bytes()].concat());
    program.call(Call::Prctl, &[38, 1, 0, 0, 0], OnFailure::Say(b"prctl".to_vec()));
    program.call(Call::Seccomp, &[1, 0, header], OnFailure::Say(b"seccomp".to_vec()));
    become_builder(&mut program, &job(b"/bin/sh", &args, &env)).unwrap();
    let output = run(Arch::X86_64, &program.finish().unwrap());
    assert_eq!(output.stdout.escape_ascii().to_string(), "plain\\nrefused\\nrefused\\n95\\n0 -1 -95 -1\\n");
}

fn disassembly(arch: Arch, elf: &[u8], [start, stop]: [u64; 2]) -> String {
    let (objdump, architecture) = match arch {
        Arch::X86_64 => ("objdump", "i386:x86-64"),
        Arch::Riscv64 => ("riscv64-linux-gnu-objdump", "riscv:rv64"),
    };
    // Without section headers: disassemble the file's bytes from the entry point to the data.
    let file = file(elf);
    let output = Command::new(objdump)
        .args(["-D", "-b", "binary", "-m", architecture, "--no-show-raw-insn", "-M"])
        .arg(if arch == Arch::X86_64 { "intel" } else { "no-aliases" })
        .args([format!("--start-address={start:#x}"), format!("--stop-address={stop:#x}")])
        .arg(&file.path)
        .output()
        .unwrap_or_else(|e| panic!("{objdump}: {e}; install binutils and binutils-riscv64-linux-gnu"));
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().skip_while(|line| !line.contains("<.data+0x")).skip(1);
    lines
        .map(|line| {
            let words: Vec<&str> =
                line.split_once(':').map_or(line, |(_, code)| code).split_whitespace().collect();
            words.join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_loop_reads_as_meant() {
    for arch in Arch::ALL {
        let elf = entropy(arch, 1).unwrap();
        insta::assert_snapshot!(format!("loop-{arch}"), disassembly(arch, &elf, [0xb0, 0x120]));
        let elf = watch_files(arch);
        insta::assert_snapshot!(format!("repeat-{arch}"), disassembly(arch, &elf, [0xe8, 0x194]));
    }
}

/// Goes round twice: writes a number, then as many bytes of a text as another call wrote, until closing 3 fails.
#[test]
fn a_program_that_goes_round_hands_results_on_and_writes_numbers_for_proc() {
    for (number, expected) in
        [(0u32, "/////////0"), (7, "/////////7"), (32_768, "/////32768"), (u32::MAX, "4294967295")]
    {
        for arch in Arch::ALL {
            let mut program = repeat::Repeat::new(arch);
            let (number, field) = (program.bytes(&number.to_le_bytes()), program.bytes(b"##########|"));
            let (text, path) = (program.bytes(b"hello world"), program.path("/dev/null"));
            let kept = program.bytes(&[0xff; 8]);
            program.call(Call::Close, &[3], &[], OnFailure::Ignore);
            program.call(Call::Openat, &[-100i64 as u64, path, 0], &[], OnFailure::Say(b"open".to_vec()));
            let again = program.here();
            program.decimal(number, field + 10);
            let part = program.here().next();
            let results = [part.argument(3), kept];
            program.call(Call::Write, &[1, field, 11], &results, OnFailure::Ignore);
            program.call(Call::Write, &[1, text, 0], &[], OnFailure::Ignore);
            program.call(Call::Write, &[1, kept, 8], &[], OnFailure::Ignore);
            program.call(Call::Close, &[3], &[], OnFailure::Say(b"closed".to_vec()));
            let output = run(arch, &program.finish(again));
            let round = [expected.as_bytes(), b"|hello world", &11u64.to_le_bytes()].concat();
            assert_eq!(output.stdout, round.repeat(2), "{arch}");
            assert_eq!((output.status.code(), &*output.stderr), (Some(125), &b"closed\n"[..]), "{arch}");
        }
    }
}

#[test]
fn readelf_finds_nothing_writable_and_executable() {
    let programs = |arch| [entropy(arch, 1).unwrap(), watch_files(arch), watch_processes(arch)];
    for program in Arch::ALL.into_iter().flat_map(programs) {
        let file = file(&program);
        let output = Command::new("readelf").arg("-lW").arg(&file.path).output().expect("install binutils");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.stderr.is_empty() && !text.contains("RWE"), "{text}");
        assert!(text.contains("LOAD") && text.contains("GNU_STACK"), "{text}");
    }
}

#[test]
fn seeds_differ_and_are_repeated() {
    assert_eq!(entropy(Arch::X86_64, 1), entropy(Arch::X86_64, 1));
    assert_ne!(entropy(Arch::X86_64, 1), entropy(Arch::X86_64, 2));
}

/// Python makes the terminals and reads their modes back: those Nix sets are glibc's `cfmakeraw` on a new terminal.
#[test]
#[ignore = "slow: needs root, to give a terminal away"]
fn a_terminal_is_raw_as_cfmakeraw_makes_it_and_its_slave_the_builders_on_this_host() {
    let program = terminal(Arch::X86_64, "slave", 1000).unwrap();
    let file = file(&program);
    let script = r#"
import ctypes, os, subprocess, sys, termios
libc = ctypes.CDLL("libc.so.6")
def modes(fd):
    buffer = ctypes.create_string_buffer(128)
    assert libc.tcgetattr(fd, buffer) == 0
    return buffer
master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
libc.ptsname.restype = ctypes.c_char_p
name = libc.ptsname(master).decode()
try:
    os.open(name, os.O_RDWR | os.O_NOCTTY)
    print("not locked")
except OSError:
    pass
os.chdir(sys.argv[2]); os.symlink(name, "slave")
subprocess.run([sys.argv[1]], stdin=master, check=True)
slave = os.open(name, os.O_RDWR | os.O_NOCTTY)
ours = modes(slave)
other_master, other = os.openpty()
theirs = modes(other)
libc.cfmakeraw(theirs)
print(ours.raw[:36] == theirs.raw[:36], oct(os.fstat(slave).st_mode & 0o777), os.fstat(slave).st_uid)
os.write(slave, b"a\nb\x04\x03\r\n")
print(os.read(master, 100))
"#;
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("python3").args(["-c", script]).arg(&file.path).arg(folder.path()).output();
    let output = output.expect("install python3");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text, "True 0o600 1000\nb'a\\nb\\x04\\x03\\r\\n'\n", "{error}");
}

/// The whole of `enter`, on this host's kernel: in namespaces of their own, in a scratch root with the places the
/// protocol names.
#[test]
#[ignore = "slow: needs root, for namespaces and mounts"]
fn entering_a_root_on_this_host() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |path: &str| scratch.path().join(path);
    for folder in ["bin", "in/store/dir", "root", "proc", "sys", "dev"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::copy("/bin/busybox", at("bin/busybox")).expect("install busybox-static");
    fs::write(at("in/store/dir/inside"), "dir").unwrap();
    fs::write(at("in/store/file"), "file").unwrap();
    let inputs = [
        Input { base_name: "dir".to_owned(), kind: InputKind::Directory },
        Input { base_name: "file".to_owned(), kind: InputKind::File },
        Input { base_name: "link".to_owned(), kind: InputKind::Symlink(b"dir/inside".to_vec()) },
    ];
    let script =
        b"cat /nix/store/dir/inside /nix/store/file /nix/store/link; echo; id -u; id -g; umask; pwd; \
        cat /proc/self/personality; grep NoNewPrivs /proc/self/status; echo $$; ls /; ulimit -c; ulimit -n; \
        cut -d' ' -f5 /proc/self/mountinfo; stat -c '%U:%u:%g:%a' / /nix/store /nix/store/file; \
        cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; mkdir /x; env";
    let args = [b"sh".to_vec(), b"-c".to_vec(), script.to_vec()];
    let env = BTreeMap::from([(b"PATH".to_vec(), b"/bin".to_vec())]);
    let enter = enter(
        Arch::X86_64,
        &Enter {
            inputs: &inputs,
            builder: b"/bin/busybox",
            args: &args,
            env: &env,
            build_dir: "/build",
            uid: 1000,
            gid: 100,
        },
    )
    .unwrap();
    fs::write(at("in/enter"), enter).unwrap();
    fs::set_permissions(at("in/enter"), fs::Permissions::from_mode(0o755)).unwrap();
    let init = r#"set -e; cd "$0"; mount --bind . .; cd "$0"; mount -t tmpfs none root
        for outer in in sys proc dev; do mount --rbind $outer $outer; done
        mkdir -p root/nix/store root/proc root/build root/bin; cp bin/busybox root/bin/busybox
        chmod 755 root; mount -t proc proc root/proc; mkdir old; pivot_root . old
        exec /bin/busybox sh -c 'umount -l /old; exec /in/enter'"#;
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--ipc", "sh", "-c", init])
        .arg(scratch.path())
        .output()
        .unwrap();
    let expected = "dirfiledir\n1000\n100\n0022\n/build\n00040000\nNoNewPrivs:\t1\n1\nbin\nbuild\nnix\nproc\n0\n16384\n\
        /\n/proc\n/nix/store/dir\n/nix/store/file\n\
        UNKNOWN:65534:100:750\nUNKNOWN:65534:100:1775\nUNKNOWN:65534:65534:644\n 1000 1000 1\n 100 100 1\nPATH=/bin\n";
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // busybox sh adds three of its own.
    let text: String = text
        .split_inclusive('\n')
        .filter(|l| !["PWD=", "SHLVL=", "OLDPWD="].iter().any(|p| l.starts_with(p)))
        .collect();
    assert_eq!(text, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
