//! The `flake` room with the real `nix` program: evaluation into a store of our own, and native builds there.

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use reprove::{
    flake::{Evaluated, Evaluator, FlakeError, Installable, Limits, Native, Object, Options, Target},
    nix::{hash::NarHash, make_path::source_path, store_path::StorePath},
};
use tempfile::TempDir;

const SYSTEMS: [&str; 2] = ["riscv64-linux", "x86_64-linux"];

/// A state directory and a flake in a folder.
struct Bench {
    folder: TempDir,
    options: Options,
}

impl Bench {
    fn new(flake: &str) -> Bench {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("flake")).expect("folder");
        fs::write(folder.path().join("flake/flake.nix"), flake).expect("flake.nix");
        let options = Options { system: Some("x86_64-linux".into()), ..Options::default() };
        Bench { folder, options }
    }

    fn evaluator(&self) -> Evaluator {
        let evaluator =
            Evaluator::new(&self.folder.path().join("state"), self.options.clone()).expect("state");
        evaluator.nix().expect("the `nix` program, 2.8 or later: apt-get install nix-bin");
        evaluator
    }

    fn evaluate(&self, fragment: &str) -> Result<Evaluated, FlakeError> {
        self.evaluator().evaluate(&self.installable(fragment))
    }

    fn installable(&self, fragment: &str) -> Installable {
        let flake = self.folder.path().join("flake");
        format!("path:{}{fragment}", flake.display()).parse().expect("an installable")
    }
}

/// A flake with one derivation of each name under `packages.x86_64-linux`.
fn flake_of(attributes: &str) -> String {
    let derivation = r#"build = name: more: derivation ({ inherit name; system = "x86_64-linux"; builder = "/none"; } // more);"#;
    format!("{{ outputs = {{ self }}: let {derivation} in {{ {attributes} }}; }}")
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hello")
}

/// Names of the attributes of the example, as `packages.<system>.<name>` or `legacyPackages.<system>.hostile.<name>`.
fn attributes_of_the_example(state: &Path) -> Vec<String> {
    let names = r#"p: builtins.concatMap (s: map (n: "packages.${s}.${n}") (builtins.attrNames p.${s})) (builtins.attrNames p)"#;
    let hostile = r#"p: builtins.concatMap (s: map (n: "legacyPackages.${s}.hostile.${n}") (builtins.attrNames p.${s}.hostile)) (builtins.attrNames p)"#;
    let mut all = Vec::new();
    for (attribute, names) in [("packages", names), ("legacyPackages", hostile)] {
        let output = Command::new("nix")
            .args([
                "--extra-experimental-features",
                "nix-command flakes",
                "eval",
                "--json",
                "--no-write-lock-file",
            ])
            .arg("--store")
            .arg(state.join("names"))
            .args(["--apply", names])
            .arg(format!("path:{}#{attribute}", example().display()))
            .env("HOME", state)
            .output()
            .expect("the `nix` program: apt-get install nix-bin");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        all.extend(serde_json::from_slice::<Vec<String>>(&output.stdout).expect("a list of names"));
    }
    all
}

#[test]
fn every_attribute_of_the_example_instantiates_for_both_systems() {
    let state = tempfile::tempdir().expect("temporary folder");
    let attributes = attributes_of_the_example(state.path());
    assert!(attributes.len() >= 2 * 25, "{attributes:?}");
    let evaluator = Evaluator::new(state.path(), Options::default()).expect("state");
    let installables: Vec<Installable> = attributes
        .iter()
        .map(|attribute| format!("path:{}#{attribute}", example().display()).parse().expect("an installable"))
        .collect();
    let evaluated: Vec<Evaluated> = installables
        .iter()
        .map(|installable| evaluator.evaluate(installable).unwrap_or_else(|error| unreachable!("{error}")))
        .collect();
    let drvs: Vec<StorePath> = evaluated.iter().map(|evaluated| evaluated.drv.clone()).collect();
    let graph = evaluator.store().folder().load_closure(&drvs).expect("a closure whose paths are right");
    for node in graph.nodes() {
        for source in &node.derivation.input_srcs {
            assert!(evaluator.store().folder().file_of(source).exists(), "{source} of {}", node.drv);
        }
    }
    let hello: Vec<_> = graph.nodes().iter().filter(|node| node.name() == "hello-2.10").collect();
    let systems: BTreeSet<&[u8]> = hello.iter().map(|node| node.derivation.system.as_slice()).collect();
    assert_eq!(systems, SYSTEMS.iter().map(|system| system.as_bytes()).collect());
}

#[test]
fn attributes_are_looked_for_as_nix_build_does() {
    let bench = Bench::new(&flake_of(
        r#"packages.x86_64-linux = { default = build "default" { }; a = build "a-package" { }; };
           legacyPackages.x86_64-linux = { a = build "a-legacy" { }; set.b = build "b" { outputs = [ "out" "dev" ]; }; };
           packages.riscv64-linux.a = build "a-riscv" { };
           c = build "c" { }; set = { }; number = 4;"#,
    ));
    let name = |fragment: &str| {
        bench.evaluate(fragment).map(|evaluated| evaluated.drv.derivation_name().map(str::to_owned))
    };
    for (fragment, expected) in [
        ("", "default"),
        ("#", "default"),
        ("#a", "a-package"),
        ("#set.b", "b"),
        ("#c", "c"),
        ("#legacyPackages.x86_64-linux.a", "a-legacy"),
        ("#.packages.x86_64-linux.a", "a-package"),
    ] {
        assert_eq!(name(fragment).expect(fragment).as_deref(), Some(expected), "{fragment}");
    }
    let outputs =
        |fragment| bench.evaluate(fragment).expect(fragment).outputs.into_iter().collect::<Vec<_>>();
    assert_eq!(outputs("#set.b"), ["dev", "out"], "all of them when nothing is said");
    assert_eq!(outputs("#set.b^*"), ["dev", "out"]);
    assert_eq!(outputs("#set.b^dev"), ["dev"]);
    let missing = bench.evaluate("#a^dev");
    assert!(
        matches!(&missing, Err(FlakeError::NoSuchOutput { there, .. }) if there == &["out"]),
        "{missing:?}"
    );
    assert!(matches!(name("#number"), Err(FlakeError::NotADerivation { found, .. }) if found == "a int"));
    assert!(matches!(name("#.set"), Err(FlakeError::NotADerivation { found, .. }) if found == "a set"));
    let error = name("#nothing").expect_err("no such attribute").to_string();
    assert!(error.contains("does not provide attribute"), "{error}");

    let riscv =
        Bench { options: Options { system: Some("riscv64-linux".into()), ..Options::default() }, ..bench };
    assert_eq!(riscv.evaluate("#a").expect("a").drv.derivation_name(), Some("a-riscv"));
}

#[test]
fn derivations_need_no_nix() {
    let bench = Bench::new(&flake_of(r#"packages.x86_64-linux.a = build "a" { };"#));
    let evaluated = bench.evaluate("#a").expect("a");
    let file = evaluated.folder.file_of(&evaluated.drv);
    let alone = tempfile::tempdir().expect("temporary folder");
    let copied = alone.path().join(evaluated.drv.base_name());
    fs::copy(&file, &copied).expect("copied");
    let evaluator = Evaluator::new(&alone.path().join("state"), Options::default()).expect("state");
    let installable: Installable = copied.display().to_string().parse().expect("an installable");
    assert!(matches!(installable.target, Target::File(_)));
    let again = evaluator.evaluate(&installable).expect("a .drv file");
    assert_eq!((&again.drv, &again.outputs), (&evaluated.drv, &evaluated.outputs));
    // By its path it is found in the store it was evaluated into.
    let by_path = bench.evaluator().evaluate(&evaluated.drv.to_string().parse().expect("an installable"));
    assert_eq!(by_path.expect("a store path").folder, evaluated.folder);
}

#[test]
fn t120_an_error_in_one_attribute_leaves_the_others_alone() {
    let bench = Bench::new(&flake_of(
        r#"packages.x86_64-linux = {
             good = build "good" { };
             bad = throw "never \u001b[2J mind";
             loop = let a = b; b = a; in a;
             deep = let f = n: 1 + f (n + 1); in build "deep" { n = f 0; };
             ifd = import (build "ifd" { });
           };"#,
    ));
    let installables: Vec<_> =
        ["#bad", "#loop", "#deep", "#ifd", "#good"].map(|name| bench.installable(name)).into();
    let evaluator = bench.evaluator();
    let results: Vec<_> = installables.iter().map(|one| evaluator.evaluate(one)).collect();
    for (result, said) in results.iter().zip(["never", "infinite recursion", "", "import-from-derivation"]) {
        let Err(error @ FlakeError::Evaluation { message, .. }) = result else { unreachable!("{result:?}") };
        assert!(message.contains(said) || message.contains(&said.replace('-', " ")), "{said}: {message}");
        assert_eq!(error.code().to_string(), "RP0210");
        assert!(!error.to_string().contains('\x1b'), "what nix said is escaped");
    }
    assert!(results[4].is_ok(), "{:?}", results[4]);
}

#[test]
fn t120_a_flakes_own_settings_are_never_accepted() {
    let flake =
        flake_of(r#"packages.x86_64-linux = { ifd = import (build "ifd" { }); good = build "good" { }; };"#);
    let settings = r#"nixConfig = {
        allow-import-from-derivation = true; extra-substituters = [ "file:///nonexistent/evil" ];
        post-build-hook = "/nonexistent/evil"; accept-flake-config = true; };"#;
    let mut bench = Bench::new(&flake.replacen('{', &format!("{{ {settings}"), 1));
    let good = bench.evaluate("#good").expect("evaluates without the settings");
    assert!(good.warnings.iter().any(|warning| warning.contains("untrusted")), "{:?}", good.warnings);
    // Even if the caller says otherwise.
    bench.options.options = vec![("accept-flake-config".into(), "true".into())];
    let Err(FlakeError::Evaluation { message, .. }) = bench.evaluate("#ifd") else {
        unreachable!("accepted")
    };
    assert!(message.contains("allow-import-from-derivation"), "{message}");
}

#[test]
fn t121_no_shell_sees_an_installable() {
    let bench = Bench::new(&flake_of(r#"packages.x86_64-linux.a = build "a" { };"#));
    let trap = bench.folder.path().join("trap");
    for fragment in [
        format!("#a;touch {0}", trap.display()),
        format!("#$(touch {0})", trap.display()),
        format!("#`touch {0}`", trap.display()),
        "#a --impure".to_owned(),
        "#a' '".to_owned(),
    ] {
        assert!(matches!(bench.evaluate(&fragment), Err(FlakeError::Evaluation { .. })), "{fragment}");
    }
    assert!(!trap.exists());
}

#[test]
fn an_input_is_replaced() {
    let bench = Bench::new(
        "{ inputs.lib.url = \"path:/nonexistent/lib\"; outputs = { self, lib }: { packages = lib.packages; }; }",
    );
    assert!(matches!(bench.evaluate("#a"), Err(FlakeError::Evaluation { .. })));
    let other = Bench::new(&flake_of(r#"packages.x86_64-linux.a = build "replaced" { };"#));
    let reference = format!("path:{}", other.folder.path().join("flake").display());
    let options = Options { override_inputs: vec![("lib".into(), reference)], ..bench.options.clone() };
    let bench = Bench { options, ..bench };
    assert_eq!(bench.evaluate("#a").expect("a").drv.derivation_name(), Some("replaced"));
    assert!(!bench.folder.path().join("flake/flake.lock").exists(), "no lock file is written");
}

/// A static program that does what its first argument says, as a tree for a store.
fn builder(folder: &Path) -> Vec<u8> {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            if (!strcmp(argv[1], "fail")) { puts("no luck"); return 3; }
            if (!strcmp(argv[1], "hang")) pause();
            FILE *out = fopen(getenv("out"), "w");
            fprintf(out, "cores %s\n", getenv("NIX_BUILD_CORES"));
            return fclose(out);
        }"#;
    fs::create_dir_all(folder.join("tree/bin")).expect("folder");
    fs::write(folder.join("builder.c"), source).expect("source");
    let status = Command::new("cc")
        .args(["-static", "-o", "tree/bin/builder", "builder.c"])
        .current_dir(folder)
        .status()
        .expect("a C compiler: apt-get install gcc libc6-dev");
    assert!(status.success());
    let dump = Command::new("nix-store").arg("--dump").arg(folder.join("tree")).output().expect("nix-store");
    assert!(dump.status.success());
    dump.stdout
}

#[test]
fn native_builds_in_the_store_of_our_own() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let nar = builder(folder.path());
    let hash = NarHash::of(&nar);
    let program = source_path("builder", &hash.0, []).expect("a path");
    let mut bench = Bench::new(&format!(
        r#"{{ outputs = {{ self }}: let
             program = derivation {{ name = "builder"; system = "builtin"; builder = "builtin:fetchurl";
               url = "apt:nowhere"; outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = "{hash}"; }};
             build = how: derivation {{ name = how; system = "{0}-linux"; builder = "${{program}}/bin/builder"; args = [ how ]; }};
           in {{ work = build "work"; fail = build "fail"; hang = build "hang"; }}; }}"#,
        std::env::consts::ARCH
    ));
    bench.options.system = None;
    let evaluator = bench.evaluator();
    let native: Native = evaluator.native().expect("nix");
    let drv = |name: &str| evaluator.evaluate(&bench.installable(name)).expect("evaluates").drv;
    let limits = Limits { time: Duration::from_secs(120), silence: Duration::from_secs(60), cores: 3 };

    let work = drv("#work");
    let graph = evaluator.store().folder().load_closure(std::slice::from_ref(&work)).expect("a closure");
    let inputs = graph.input_paths(graph.index_of(&work).expect("its place")).expect("its inputs");
    assert_eq!(inputs, BTreeSet::from([program.clone()]));
    assert_eq!(native.missing(&inputs).expect("asked"), inputs);
    let without = native.realise(&work, limits);
    assert!(
        matches!(without, Err(FlakeError::NativeBuild { .. })),
        "its source is not to be had: {without:?}"
    );

    let none = BTreeSet::new();
    for _ in 0..2 {
        let object = Object { path: &program, nar: Box::new(Cursor::new(&nar)), references: &none };
        native.import([Ok(object)], Duration::from_secs(60)).expect("imported");
        assert_eq!(native.missing(&inputs).expect("asked"), BTreeSet::new());
    }
    native.realise(&work, limits).expect("built");
    let out = graph.nodes()[graph.roots()[0]].derivation.output_path("out").expect("its output");
    assert_eq!(fs::read(native.file_of(out)).expect("the output"), b"cores 3\n");
    native.realise(&work, limits).expect("there already");

    let failed = native.realise(&drv("#fail"), limits);
    let Err(FlakeError::NativeBuild { message, .. }) = &failed else { unreachable!("{failed:?}") };
    assert!(message.contains("no luck") && message.contains("exit code 3"), "{message}");
    let silent = Limits { silence: Duration::from_secs(1), ..limits };
    let hung = native.realise(&drv("#hang"), silent);
    assert!(matches!(hung, Err(FlakeError::NativeTimedOut { .. })), "{hung:?}");

    // Derivations that another evaluator wrote, into a store that never saw them.
    let elsewhere = tempfile::tempdir().expect("temporary folder");
    let native = Evaluator::new(elsewhere.path(), Options::default()).expect("state").native().expect("nix");
    let object = Object { path: &program, nar: Box::new(Cursor::new(&nar)), references: &none };
    native.import([Ok(object)], Duration::from_secs(60)).expect("imported");
    assert!(native.realise(&work, limits).is_err(), "it knows no such derivation");
    let nodes: Vec<_> = graph.nodes().iter().collect();
    for _ in 0..2 {
        native.import_derivations(&nodes, Duration::from_secs(60)).expect("imported");
    }
    native.realise(&work, limits).expect("built");
    assert_eq!(fs::read(native.file_of(out)).expect("the output"), b"cores 3\n");

    let cut = Object { path: &program, nar: Box::new(Cursor::new(&nar[..100])), references: &none };
    let cut = native.import([Ok(cut)], Duration::from_secs(60));
    assert!(matches!(cut, Err(FlakeError::Store { .. })), "{cut:?}");
}
