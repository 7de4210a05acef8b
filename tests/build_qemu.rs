//! Whole derivations, built in a machine and by the `nix` program: the same outputs.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the test

#[allow(dead_code)] // what other tests need of it
mod support;

use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    path::Path,
    process::Command,
    rc::Rc,
    sync::Arc,
};

use reprove::{
    build::{Built, Failure, InputObject, Inputs, Place, Request, Sink, build},
    machine::{Arch, Caps, Region, Settings, Unwatched, qemu::Qemu},
    nix::{derivation::Derivation, hash::NarHash, store_path::StorePath},
};

/// A store of the `nix` program in a folder of its own, with busybox in it as `tools`. It builds with a build user, as Nix's
/// daemon does: in a mount namespace in which this host has one.
struct Nix(tempfile::TempDir);

impl Nix {
    fn new() -> Nix {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tools/bin")).unwrap();
        fs::copy("/bin/busybox", folder.path().join("tools/bin/busybox")).expect("install busybox-static");
        for (file, line) in [
            ("passwd", "nixbld1:x:30001:30000:build user:/var/empty:/usr/sbin/nologin\n"),
            ("group", "nixbld:x:30000:nixbld1\n"),
        ] {
            let text = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
            fs::write(folder.path().join(file), text + line).unwrap();
        }
        Nix(folder)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        String::from_utf8(self.bytes(program, arguments)).unwrap().trim().to_owned()
    }

    /// What a program of Nix's prints.
    fn bytes(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let folder = self.0.path();
        let with_users =
            r#"cd "$0" && mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@""#;
        let output = Command::new("unshare")
            .args(["-m", "sh", "-c", with_users])
            .args([folder.as_os_str(), program.as_ref()])
            .args(arguments)
            .env("NIX_REMOTE", folder.join("root"))
            .env("HOME", folder)
            .env(
                "NIX_CONFIG",
                "build-users-group = nixbld\nsubstituters =\nsandbox = true\nsandbox-paths =\ncores = 1",
            )
            .output()
            .unwrap_or_else(|error| panic!("unshare: {error}; install util-linux"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {error} (needs root, for a build user, and the Debian package nix-bin)"
        );
        output.stdout
    }

    /// The derivation of `attributes`, whose builder runs `script`.
    fn instantiate(&self, attributes: &str, script: &str) -> (StorePath, Derivation) {
        let folder = self.0.path();
        let text = format!(
            "let tools = builtins.path {{ path = {}; name = \"tools\"; }}; in derivation ({{\n\
             system = \"x86_64-linux\"; builder = \"${{tools}}/bin/busybox\"; args = [ \"ash\" \"-e\" \"-c\" ''{script}'' ];\n\
             PATH = \"${{tools}}/bin\"; }} // {attributes})",
            folder.join("tools").display()
        );
        fs::write(folder.join("default.nix"), text).unwrap();
        let drv = self.run("nix-instantiate", &[folder.join("default.nix").to_str().unwrap()]);
        let bytes = fs::read(self.host(&drv)).unwrap();
        (drv.parse().unwrap(), Derivation::parse(&bytes).unwrap())
    }

    fn host(&self, path: &str) -> String {
        format!("{}/root{path}", self.0.path().display())
    }

    fn nar(&self, path: &StorePath) -> Vec<u8> {
        let path = self.host(&path.to_string());
        Command::new("nix-store").args(["--dump", &path]).output().unwrap().stdout
    }

    fn inputs(&self, derivation: &Derivation) -> Inputs {
        let object = |path: &StorePath| {
            let nar = self.nar(path);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&nar).unwrap();
            let len = nar.len() as u64;
            InputObject {
                nar: Region::new(Arc::new(file), 0, len),
                nar_hash: NarHash::of(&nar),
                references: Default::default(),
            }
        };
        derivation.input_srcs.iter().map(|path| (path.clone(), object(path))).collect()
    }
}

#[derive(Default)]
struct Kept(Rc<RefCell<u32>>);

struct Counted(Rc<RefCell<u32>>);

impl Sink for Kept {
    fn place(&self) -> io::Result<Box<dyn Place + '_>> {
        Ok(Box::new(Counted(Rc::clone(&self.0))))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Place for Counted {
    fn keep(self: Box<Self>) -> io::Result<()> {
        *self.0.borrow_mut() += 1;
        Ok(())
    }
}

fn in_machine(nix: &Nix, drv_path: &StorePath, derivation: &Derivation) -> Result<Built, Box<Failure>> {
    let machine = Qemu::find(Arch::X86_64).unwrap();
    let request = Request {
        derivation,
        drv_path,
        inputs: &nix.inputs(derivation),
        bundle: &support::guest::bundle(Arch::X86_64),
        settings: &Settings { memory: 1 << 30, ..Settings::default() },
        caps: &Caps {
            guest_seconds: 8,
            output_bytes: 64 << 20,
            processes: 64,
            log_bytes: 1 << 20,
            ..Caps::default()
        },
        round: "",
        observe: reprove::build::Observe::Result,
    };
    let kept = Kept::default();
    let built = build(&request, &machine, tempfile::tempfile().unwrap(), &kept, &mut Unwatched);
    let expected = if built.is_ok() { derivation.outputs.len() as u32 } else { 0 };
    assert_eq!(*kept.0.borrow(), expected);
    built
}

const WORLD: &str = r#"
    exec 5<&0 6>&1 7>&2
    busybox mkdir -p $out/bin
    busybox cp ${tools}/bin/busybox $out/bin/tool
    busybox ln $out/bin/tool $out/bin/linked
    busybox ln -s tool $out/bin/link
    busybox printf 'caf\351' > $out/"$(busybox printf 'caf\351')"
    busybox chmod 4555 $out/bin/tool 2> $out/chmod || echo refused >> $out/chmod
    busybox chmod 600 $out/chmod
    echo "$out $dev" > $out/self
    echo ${tools} > $dev
    {
      busybox id -u; busybox id -g; umask; pwd; busybox hostname; ulimit -c
      busybox cat /etc/passwd /etc/group /etc/hosts /proc/self/personality
      busybox tr '\000' '\n' < /proc/1/environ
      busybox tr '\000' '\n' < /proc/1/cmdline
      for n in 5 6 7; do
        test -t $n && echo $n is a terminal
        busybox stat -Lc '%F %a %u %g %t' /proc/self/fd/$n
        busybox readlink /proc/self/fd/$n | busybox sed 's/[0-9]*$//'
        busybox grep flags /proc/self/fdinfo/$n
      done
      busybox stty -a <&6
      busybox tty <&6 || true
      busybox ls /proc/1/fd > fds; busybox grep -vE '^(5|6|7|1[0-9])$' fds
      busybox rm fds
      busybox awk '{ print $5, $6, $7, $8 }' /proc/1/stat
      busybox cat /proc/self/setgroups
      busybox awk '{ print $1, $3 }' /proc/self/uid_map /proc/self/gid_map
      busybox grep -E '^(Groups|SigPnd|SigBlk|SigCgt|Shd...|Cap...|NoNewPrivs|Seccomp):' /proc/self/status
      busybox chown 0 /build || true
      busybox chgrp 65534 /build || true
      busybox mkdir /homeless-shelter || true
      echo > /dev/pts/0 || true
      busybox stat -c '%a %u %g %n' / /build /nix /nix/store /build/* /build/.attr*
      busybox stat -c '%a %u %g %t %T %n' /tmp /dev /dev/pts /dev/pts/* /dev/shm /dev/null /dev/zero /dev/full /dev/random \
        /dev/urandom /dev/tty /etc/* /proc
      busybox stat -c '%u %g %n' /etc
      busybox stat -c '%a %u %g %Y %n' ${tools} ${tools}/bin/busybox
      for file in /etc/passwd /build /build/graph $bigPath /nix/store /dev /dev/stdin; do
        [ $(($(busybox date +%s) - $(busybox stat -c %Y $file))) -lt 3600 ] && echo $file is new
      done
      busybox awk '$5 !~ /^\/(proc|build|bin\/sh|dev\/[a-z]*|nix\/store|nix\/store\/[^\/]*)?$/' /proc/self/mountinfo
      for path in /in /sys /job /init /modules /root /log /stop; do test -e $path && echo $path; done
      for link in /dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx; do busybox readlink $link; done
      busybox cat $bigPath graph
      busybox ip link | busybox grep -c LOOPBACK
    } > $out/world 2>&1
    echo anew > /dev/stderr
    busybox printf 'a\tb\r\nc\004\003\377\000d\n'
    busybox printf '\n@reprove end\n'
    busybox cat $out/world
"#;

#[test]
#[ignore = "slow: boots a machine"]
fn a_derivation_built_in_a_machine_is_what_nix_builds() {
    let nix = Nix::new();
    let attributes = r#"{
        name = "world"; outputs = [ "out" "dev" ]; odd = "a'b\n$(c)"; passAsFile = [ "big" ]; big = "in a file";
        exportReferencesGraph = [ "graph" tools ]; allowedReferences = [ tools "out" "dev" ];
    }"#;
    let (drv_path, derivation) = nix.instantiate(attributes, WORLD.replace("''", "'''").as_str());
    nix.run("nix-store", &["--realise", &drv_path.to_string()]);
    let built =
        in_machine(&nix, &drv_path, &derivation).unwrap_or_else(|failure| panic!("{}", failure.error));
    let log = nix.bytes("nix-store", &["--read-log", &drv_path.to_string()]);
    assert!(log.starts_with(b"anew\na\tb\r\nc\x04\x03\xff\0d\n\n@reprove end\n"));
    // The log ends with what is in `world`: here differences can be read.
    let lines = |log: &[u8]| log.escape_ascii().to_string().replace("\\n", "\n");
    assert_eq!(lines(&built.evidence.log), lines(&log));
    for (name, output) in &built.outputs {
        let expected = nix.nar(&output.path);
        assert_eq!(output.nar_hash, NarHash::of(&expected), "{name}");
        let references = nix.run("nix-store", &["-q", "--references", &output.path.to_string()]);
        let mut references: Vec<&str> = references.lines().collect();
        references.sort_unstable();
        let found: Vec<String> = output.references.iter().map(ToString::to_string).collect();
        assert_eq!(found, references);
    }
}
