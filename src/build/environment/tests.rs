//! The oracle is the `nix` program: derivations whose builder writes down what it was given.

use std::{
    collections::BTreeMap,
    fs,
    io::{Seek as _, Write as _},
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use super::*;
use crate::{
    build::{BuildError, Outcome, contract, inputs::InputObject},
    machine::Region,
    nix::{hash::NarHash, store_path::StorePath},
};

struct Nix {
    folder: tempfile::TempDir,
}

impl Nix {
    fn new() -> Nix {
        let folder = tempfile::tempdir().unwrap();
        // Not named `busybox`: that is how it finds its applets.
        fs::create_dir_all(folder.path().join("tools/bin")).unwrap();
        fs::copy("/bin/busybox", folder.path().join("tools/bin/busybox")).expect("install busybox-static");
        Nix { folder }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(program)
            .args(arguments)
            .env("NIX_REMOTE", self.folder.path().join("root"))
            .env("HOME", self.folder.path())
            .env("XDG_CACHE_HOME", self.folder.path())
            .env(
                "NIX_CONFIG",
                "build-users-group =\nsubstituters =\ncores = 3\nsandbox = true\nsandbox-paths =",
            )
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; install the Debian package nix-bin"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {text}");
        output.stdout
    }

    fn host(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path.trim_start_matches('/'))
    }

    /// Builds the derivation of an expression over `tools`; its path and what the builder left in its output.
    fn build(&self, expression: &str) -> (StorePath, PathBuf) {
        let tools = self.folder.path().join("tools");
        let text = format!(
            r#"let
                 tools = builtins.path {{ path = {}; name = "tools"; }};
                 dump = "b=${{tools}}/bin/busybox; o=${{placeholder "out"}}; $b mkdir $o; $b cat /proc/1/environ > $o/env;
                   $b cat /proc/1/cmdline > $o/args; $b cp -r /build $o/build; $b cp -r /etc $o/etc;
                   $b stat -c '%a %n' /build /build/.* /build/* | $b sort > $o/modes";
                 common = {{
                   system = "x86_64-linux"; builder = "${{tools}}/bin/busybox"; args = [ "ash" "-c" dump ];
                 }};
               in {expression}"#,
            tools.display()
        );
        let file = self.folder.path().join("default.nix");
        fs::write(&file, text).unwrap();
        let drv = self.run("nix-instantiate", &[file.to_str().unwrap()]);
        let drv = String::from_utf8(drv).unwrap().trim().to_owned();
        self.run("nix-store", &["--realise", &drv]);
        let derivation = Derivation::parse(&fs::read(self.host(&drv)).unwrap()).unwrap();
        let out = derivation.output_path("out").unwrap().to_string();
        (drv.parse().unwrap(), self.host(&out))
    }

    fn inputs(&self, derivation: &Derivation) -> Inputs {
        let mut roots: Vec<String> = derivation.input_srcs.iter().map(ToString::to_string).collect();
        for (drv, outputs) in &derivation.input_drvs {
            let input = fs::read(self.host(&drv.to_string())).unwrap();
            let input = Derivation::parse(&input).unwrap();
            roots.extend(outputs.iter().map(|name| input.output_path(name).unwrap().to_string()));
        }
        let query = |arguments: &[&str]| {
            let text = String::from_utf8(self.run("nix-store", arguments)).unwrap();
            text.lines().map(|line| line.parse::<StorePath>().unwrap()).collect::<Vec<_>>()
        };
        let mut arguments = vec!["-qR"];
        arguments.extend(roots.iter().map(String::as_str));
        let paths = query(&arguments);
        let object = |path: &StorePath| {
            let nar = self.run("nix-store", &["--dump", self.host(&path.to_string()).to_str().unwrap()]);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&nar).unwrap();
            file.rewind().unwrap();
            InputObject {
                nar: Region::new(Arc::new(file), 0, nar.len() as u64),
                nar_hash: NarHash::of(&nar),
                references: query(&["-q", "--references", &path.to_string()]).into_iter().collect(),
            }
        };
        paths.iter().map(|path| (path.clone(), object(path))).collect()
    }

    fn compare(&self, expression: &str) -> Environment {
        let (drv, out) = self.build(expression);
        let derivation = Derivation::parse(&fs::read(self.host(&drv.to_string())).unwrap()).unwrap();
        let inputs = self.inputs(&derivation);
        let settings = Settings { cores: 3, ..Settings::default() };
        let attributes = Attributes::of(&derivation).unwrap();
        let environment = Environment::of(&derivation, &attributes, &settings, &inputs).unwrap();

        let nul =
            |texts: Vec<Vec<u8>>| texts.into_iter().flat_map(|t| [t, vec![0]].concat()).collect::<Vec<u8>>();
        let variables = environment.variables.iter().map(|(n, v)| [n.as_slice(), b"=", v].concat()).collect();
        // In the same order, too.
        let shown = |bytes: Vec<u8>| bytes.escape_ascii().to_string().replace("\\x00", "\n");
        // Nix 2.8 names the attributes' files as the host sees them, where the builder cannot; later ones do not.
        let host = format!("=/tmp/nix-build-{}-0/", drv.name());
        let given = bstr::ByteSlice::replace(fs::read(out.join("env")).unwrap().as_slice(), host, "=/build/");
        assert_eq!(shown(nul(variables)), shown(given));
        let mut args = vec![b"busybox".to_vec()];
        args.extend(environment.args.clone());
        assert_eq!(shown(nul(args)), shown(fs::read(out.join("args")).unwrap()));

        let shown = |files: BTreeMap<Vec<u8>, Vec<u8>>| {
            files
                .iter()
                .map(|(n, t)| format!("{}: {}", n.escape_ascii(), t.escape_ascii()))
                .collect::<Vec<_>>()
        };
        let written = environment.files.clone().into_iter().chain(environment.graphs.clone()).collect();
        assert_eq!(shown(written), shown(files(&out.join("build"))));
        let etc = contract::etc_files(&settings).map(|(name, text)| (name.to_vec(), text.into_bytes()));
        assert_eq!(shown(etc.into_iter().collect()), shown(files(&out.join("etc"))));
        let modes = fs::read_to_string(out.join("modes")).unwrap();
        assert!(modes.contains("700 /build\n"), "{modes}");
        let mut files = modes.lines().filter(|line| !line.contains("700 ") && !line.ends_with("/.."));
        assert!(files.all(|line| line.starts_with("644 ")), "{modes}");
        environment
    }
}

fn files(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_vec(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn variables_overrule_and_are_overruled_as_in_nix() {
    let environment = Nix::new().compare(
        r#"derivation (common // {
             name = "env"; outputs = [ "out" "dev" ];
             args = [ "ash" "-c" "${dump}; $b touch $dev" "zero" "" "two words" "${placeholder "dev"}" ];
             PATH = "/mine"; HOME = "/home"; NIX_STORE = "/s"; NIX_BUILD_CORES = "99"; TMPDIR = "/t"; TERM = "dumb";
             NIX_LOG_FD = "7"; PWD = "/p"; NIX_BUILD_TOP = "/q"; lower = "x\ny"; empty = ""; _odd = "a=b=c";
             self = "${placeholder "out"}/bin:${placeholder "dev"}/include:${placeholder "doc"}";
           })"#,
    );
    assert_eq!(environment.variables[b"TMPDIR".as_slice()], b"/build");
    assert_eq!(environment.variables[b"PATH".as_slice()], b"/mine");
}

#[test]
fn pass_as_file() {
    let environment = Nix::new().compare(
        r#"derivation (common // {
             name = "files"; passAsFile = " big  absent\nself "; big = "line\n\ttab"; self = placeholder "out";
             bigPath = "overruled or overruling"; small = "s";
           })"#,
    );
    assert_eq!(environment.files.len(), 2);
}

#[test]
fn export_references_graph() {
    let environment = Nix::new().compare(
        r#"let
             a = builtins.toFile "a" "text";
             b = builtins.toFile "b" "${a}";
             c = derivation (common // { name = "c"; args = [ "ash" "-c" "echo ${b} ${placeholder "out"} > $out" ]; });
           in derivation (common // {
             name = "graph"; exportReferencesGraph = [ "one" b "closure-2.x" "${c}/inside/not-looked-at" ];
           })"#,
    );
    assert_eq!(environment.graphs.len(), 2);
}

#[test]
fn structured_attributes() {
    let environment = Nix::new().compare(
        r#"let
             a = builtins.toFile "a" "text";
             b = builtins.toFile "b" "${a}";
             c = derivation (common // { name = "c"; args = [ "ash" "-c" "echo ${b} > $out" ]; });
           in derivation (common // {
             __structuredAttrs = true; name = "structured"; outputs = [ "out" "lib" ];
             args = [ "ash" "-c" "${dump}; $b touch ${placeholder "lib"}" ];
             string = "it's \"quoted\" \\ \n é \u0001"; int = 7; minus = -3; big = 4294967297; float = 1.5; whole = 3.0; tiny = 1.0e-7;
             yes = true; no = false; nothing = null; list = [ "a b" 1 true null ]; empty = [ ]; none = { };
             nested = [ [ "x" ] ]; set = { key = "v"; "odd key'" = 2; }; deep = { a = { b = 1; }; };
             "not-a-name" = 1; _under = "u"; PATH = "ignored"; self = placeholder "lib"; passAsFile = [ "string" ];
             exportReferencesGraph = { graph = [ c ]; text = [ b tools ]; };
           })"#,
    );
    assert_eq!(environment.files.len(), 2);
    assert!(!environment.variables.contains_key(b"out".as_slice()));
}

fn refused(env: &str) -> String {
    let text = format!(
        r#"Derive([("out","/nix/store/00000000000000000000000000000000-x","","")],[],[],"x86_64-linux","/b",[],[{env}])"#
    );
    let derivation = Derivation::parse(text.as_bytes()).unwrap();
    let attributes = match Attributes::of(&derivation) {
        Ok(attributes) => attributes,
        Err(error) => return error.to_string(),
    };
    Environment::of(&derivation, &attributes, &Settings::default(), &Inputs::new()).unwrap_err().to_string()
}

#[test]
fn what_nix_refuses_is_refused() {
    let graph = |value: &str| refused(&format!(r#"("exportReferencesGraph","{value}")"#));
    assert!(graph("name").contains("odd number"));
    let path = "/nix/store/00000000000000000000000000000000-y";
    assert!(graph(&format!("../escape {path}")).contains("is no valid file name"));
    assert!(graph(&format!(".attrs {path}")).contains("is no valid file name"));
    assert!(graph("name /etc/passwd").contains("is no path in the store"));
    assert!(graph(&format!("name {path}")).contains("is not in the input closure"));
    assert!(refused(r#"("__json","[")"#).contains("`__json` cannot be read"));
    assert!(refused(r#"("__json","[]")"#).contains("`__json` cannot be read"));
    assert!(refused("(\"__json\",\"\u{ff}{}\")").contains("`__json` cannot be read"));
}

/// A closure of 200 objects in a chain.
fn chain() -> Inputs {
    let path = |n: usize| -> StorePath { format!("/nix/store/{n:032}-object").parse().unwrap() };
    let word = |word: &str| {
        let mut bytes = [&(word.len() as u64).to_le_bytes(), word.as_bytes()].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let nar = ["nix-archive-1", "(", "type", "regular", "contents", "", ")"].map(word).concat();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&nar).unwrap();
    let file = Arc::new(file);
    let object = |n: usize| InputObject {
        nar: Region::new(Arc::clone(&file), 0, nar.len() as u64),
        nar_hash: NarHash::of(&nar),
        references: if n > 0 { [path(n - 1)].into() } else { Default::default() },
    };
    (0..200).map(|n| (path(n), object(n))).collect()
}

#[test]
fn a_graph_asked_for_without_end_is_refused_before_it_takes_memory() {
    let inputs = chain();
    let top = inputs.keys().next_back().unwrap();
    let of = |env: String| {
        let text = format!(
            r#"Derive([("out","/nix/store/00000000000000000000000000000000-x","","")],[],[],"x86_64-linux","/b",[],[{env}])"#
        );
        let derivation = Derivation::parse(text.as_bytes()).unwrap();
        let attributes = Attributes::of(&derivation).unwrap();
        Environment::of(&derivation, &attributes, &Settings::default(), &inputs)
    };
    // Some 20 KiB a graph as text, more as JSON: a thousand fit, three thousand do not.
    let files = |count: usize| {
        let pairs: String = (0..count).map(|n| format!("f{n} {top} ")).collect();
        of(format!(r#"("exportReferencesGraph","{pairs}")"#))
    };
    assert_eq!(files(500).unwrap().graphs.len(), 500);
    assert!(matches!(files(3000), Err(ContractError::GraphsTooLarge { limit }) if limit == 32 << 20));
    let json = |count: usize| {
        let graphs: Vec<String> = (0..count).map(|n| format!(r#"\"f{n}\":[\"{top}\"]"#)).collect();
        of(format!(r#"("__json","{{\"exportReferencesGraph\":{{{}}}}}")"#, graphs.join(",")))
    };
    assert_eq!(json(100).unwrap().files.len(), 2);
    assert!(matches!(json(3000), Err(ContractError::GraphsTooLarge { .. })));
    // A cap of ours, not a fault of the derivation's.
    let error = BuildError::from(json(3000).unwrap_err());
    assert_eq!((error.outcome(), error.code().to_string().as_str()), (Outcome::NotTried, "RP0707"));
}
