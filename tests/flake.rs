//! The flake of this repository with the real `nix` program and no network: every output evaluates with the tree in
//! `tests/nixpkgs-like` in the place of Nixpkgs, and nothing is built.

#![allow(clippy::unwrap_used)] // what is not as expected ends the test

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const SYSTEMS: [&str; 3] = ["aarch64-linux", "riscv64-linux", "x86_64-linux"];

/// A copy of the flake, without the program's sources, and a store and settings of its own.
struct Bench {
    folder: TempDir,
    nix: PathBuf,
}

impl Bench {
    fn new(nix: impl Into<PathBuf>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let flake = folder.path().join("flake");
        fs::create_dir(&flake).unwrap();
        for part in ["Cargo.lock", "Cargo.toml", "flake.lock", "flake.nix", "nix"] {
            copy(&repository().join(part), &flake.join(part));
        }
        copy(&repository().join("tests/nixpkgs-like"), &folder.path().join("nixpkgs"));
        copy(&repository().join("nix/template"), &folder.path().join("template"));
        Bench { folder, nix: nix.into() }
    }

    fn installed() -> Bench {
        Bench::new("nix")
    }

    fn reference(&self, part: &str) -> String {
        format!("path:{}", self.folder.path().join(part).display())
    }

    /// A copy of a part of this repository, and of others that it reads, as a flake below a git repository: what is
    /// above the flake is copied too, which nix 2.8 does for git repositories only.
    fn in_repository(&self, flake: &str, others: &[&str]) -> String {
        let copied = self.folder.path().join("repository");
        for part in others.iter().chain([&flake]) {
            copy(&repository().join(part), &copied.join(part));
        }
        for arguments in [["init", "--quiet"], ["add", "."]] {
            let git = Command::new("git").args(arguments).current_dir(&copied).status();
            assert!(git.expect("apt-get install git").success());
        }
        format!("git+file://{}?dir={flake}", copied.display())
    }

    /// Runs `nix`. Its store is not a chroot store, below which `nix flake check` of 2.8 refuses templates.
    fn run(&self, arguments: &[&str]) -> Output {
        let at = |name: &str| self.folder.path().join(name);
        Command::new(&self.nix)
            .args(arguments)
            .env(
                "NIX_CONFIG",
                "experimental-features = nix-command flakes\nbuild-users-group =\nsubstituters =\nflake-registry =\n\
                 allow-import-from-derivation = false\n",
            )
            .env("HOME", at("home"))
            .env("XDG_CACHE_HOME", at("home/cache"))
            .env("NIX_STORE_DIR", at("store"))
            .env("NIX_STATE_DIR", at("state"))
            .env("NIX_LOG_DIR", at("log"))
            .output()
            .expect("the `nix` program, 2.8 or later: apt-get install nix-bin")
    }

    /// Runs `nix` with the tree in the place of Nixpkgs.
    fn on_the_tree(&self, arguments: &[&str]) -> Output {
        let nixpkgs = self.reference("nixpkgs");
        let tree = ["--no-write-lock-file", "--override-input", "nixpkgs", &nixpkgs];
        self.run(&[arguments, &tree].concat())
    }

    fn flake(&self, verb: &[&str]) -> Output {
        self.on_the_tree(&[&["flake"], verb, &[&self.reference("flake")]].concat())
    }

    /// The value of a function of one output.
    fn eval(&self, output: &str, function: &str) -> Value {
        let installable = format!("{}#{output}", self.reference("flake"));
        value(&self.on_the_tree(&["eval", "--impure", "--json", &installable, "--apply", function]))
    }

    /// The same of an output of the template.
    fn eval_template(&self, output: &str, function: &str) -> Value {
        let installable = format!("{}#{output}", self.reference("template"));
        let (flake, nixpkgs) = (self.reference("flake"), self.reference("nixpkgs"));
        let arguments = ["eval", "--json", &installable, "--apply", function];
        let reprove =
            ["--override-input", "reprove", &flake, "--override-input", "reprove/nixpkgs", &nixpkgs];
        value(&self.on_the_tree(&[&arguments[..], &reprove].concat()))
    }

    /// What `nix flake check` says, nothing when it is content.
    fn check(&self) -> Option<String> {
        let output = self.flake(&["check", "--no-build"]);
        (!output.status.success()).then(|| said(&output))
    }
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn value(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every output, and a function that looks at all of its value.
const OUTPUTS: [(&str, &str); 9] = [
    ("apps", "builtins.mapAttrs (_: builtins.mapAttrs (_: app: app.program))"),
    ("checks", "builtins.mapAttrs (_: builtins.mapAttrs (_: check: check.drvPath))"),
    ("devShells", "builtins.mapAttrs (_: builtins.mapAttrs (_: shell: shell.drvPath))"),
    ("formatter", "builtins.mapAttrs (_: program: program.drvPath)"),
    ("lib", "lib: { policies = builtins.attrNames lib.policies; names = builtins.attrNames lib; }"),
    ("nixosModules", MODULE),
    ("overlays", OVERLAYS),
    ("packages", "builtins.mapAttrs (_: builtins.mapAttrs (_: package: package.drvPath))"),
    ("templates", "builtins.mapAttrs (_: template: builtins.readDir template.path)"),
];

/// What the module makes of a configuration.
const MODULE: &str = r#"modules:
let
  pkgs = import NIXPKGS { system = "x86_64-linux"; };
  of = config: modules.default { inherit config pkgs; inherit (pkgs) lib; };
  options = (of { }).options.services.reprove;
  defaults = builtins.mapAttrs (_: option: option.default) (removeAttrs options [ "installables" ]);
  installables = [ "github:owner/project#it's" ];
  chosen = { inherit installables; enable = true; against = [ "nix" ]; };
  serviceOf = config: (of { services.reprove = config; }).config.systemd.services.reprove;
  signed = serviceOf (defaults // chosen // { signingKeyFile = "/run/keys/it"; });
in
{
  inherit (serviceOf (defaults // chosen)) script startAt;
  signed = { inherit (signed) script; inherit (signed.serviceConfig) LoadCredential; };
  disabled = (of { services.reprove = defaults; }).config;
}"#;

/// What the overlays make of the tree.
const OVERLAYS: &str = r#"overlays:
let
  tree = overlays: import NIXPKGS { system = "x86_64-linux"; inherit overlays; };
  plain = tree [ ];
  unpatched = tree [ overlays.go-unpatched ];
  names = [ "courier" "freight" "lattice" "stamped" "zlib" ];
in
{
  reprove = (tree [ overlays.default ]).reprove.drvPath;
  patches = map (go: builtins.length go.drvAttrs.patches) [ plain.go unpatched.go unpatched.go_1_27 unpatched.courier.go ];
  changed = builtins.filter (name: plain.${name}.drvPath != unpatched.${name}.drvPath) names;
}"#;

/// Evaluates every output with a `nix`, and looks at what came.
fn every_output(bench: &Bench) {
    let shown = value(&bench.flake(&["show", "--json"]));
    let nixpkgs = bench.folder.path().join("nixpkgs").display().to_string();
    let evaluated: serde_json::Map<_, _> = OUTPUTS
        .iter()
        .map(|(output, function)| {
            ((*output).to_owned(), bench.eval(output, &function.replace("NIXPKGS", &nixpkgs)))
        })
        .collect();
    assert_eq!(keys(&shown), evaluated.keys().collect::<Vec<_>>(), "an output that nobody looks at");

    for output in ["apps", "checks", "devShells", "formatter", "packages"] {
        assert_eq!(keys(&evaluated[output]), SYSTEMS, "{output}");
    }
    for system in SYSTEMS {
        assert_eq!(keys(&evaluated["apps"][system]), ["default", "verify"]);
        assert_eq!(evaluated["packages"][system]["default"], evaluated["packages"][system]["reprove"]);
        assert_eq!(evaluated["packages"][system]["reprove"], evaluated["checks"][system]["package"]);
    }
    assert_eq!(
        evaluated["lib"],
        json!({
            "names": ["applyPolicies", "mkVerify", "policies"],
            "policies": ["dont-strip", "go-omit-symbols", "go-release-flags", "go-unpatched", "no-references-to",
                "normalized-archives", "single-core", "source-date-epoch"],
        })
    );
    assert_eq!(evaluated["overlays"]["reprove"], evaluated["packages"]["x86_64-linux"]["reprove"]);
    assert_eq!(evaluated["overlays"]["patches"], json!([4, 0, 0, 0]));
    assert_eq!(evaluated["overlays"]["changed"], json!(["courier", "freight", "lattice"]));
    assert_eq!(evaluated["templates"], json!({ "default": { "flake.nix": "regular" } }));

    let module = &evaluated["nixosModules"];
    assert_eq!((&module["disabled"], &module["startAt"]), (&json!({}), &json!("weekly")));
    let script = module["script"].as_str().unwrap();
    assert!(script.ends_with(r" '--against' 'nix' '--' 'github:owner/project#it'\''s'"), "{script}");
    assert!(script.contains("/bin/reprove verify '--state' '/var/lib/reprove' "), "{script}");
    let signed = module["signed"]["script"].as_str().unwrap();
    assert!(signed.contains(script.strip_prefix("exec ").unwrap()), "{signed}");
    assert!(
        signed.contains("attest make --key \"$CREDENTIALS_DIRECTORY/signing-key\" '--state'"),
        "{signed}"
    );
    assert_eq!(module["signed"]["LoadCredential"], json!(["signing-key:/run/keys/it"]));
}

#[test]
fn every_output_evaluates() {
    every_output(&Bench::installed());
}

#[test]
fn nix_flake_check_is_content_and_notices_what_is_wrong() {
    let bench = Bench::installed();
    assert_eq!(bench.check(), None);
    fs::remove_file(bench.folder.path().join("flake/nix/package.nix")).unwrap();
    let complaint = bench.check().expect("the package is gone");
    assert!(complaint.contains("package.nix"), "{complaint}");
}

#[test]
fn the_package_is_built_from_what_cargo_needs_and_nothing_else() {
    let bench = Bench::installed();
    let flake = bench.folder.path().join("flake");
    for (folder, file) in [("src", "main.rs"), ("riscv", "Cargo.toml"), ("tests", "cli.rs"), ("docs", "src")]
    {
        fs::create_dir(flake.join(folder)).unwrap();
        fs::write(flake.join(folder).join(file), "").unwrap();
    }
    let source = "package: builtins.attrNames (builtins.readDir package.src)";
    let names = bench.eval("packages.x86_64-linux.reprove", source);
    assert_eq!(names, json!(["Cargo.lock", "Cargo.toml", "riscv", "src"]));
    // A Cargo.lock that changes changes what is vendored.
    let crates = "package: map (crate: crate.name) package.drvAttrs.cargoDeps.drvAttrs.crates";
    let crates = bench.eval("packages.x86_64-linux.reprove", crates);
    let lock = fs::read_to_string(flake.join("Cargo.lock")).unwrap();
    assert_eq!(crates.as_array().unwrap().len(), lock.matches("\nchecksum = ").count());
}

#[test]
fn one_line_makes_a_flake_verifiable() {
    let bench = Bench::installed();
    let programs = "builtins.mapAttrs (_: apps: apps.verify.program)";
    let programs = bench.eval_template("apps", programs);
    assert_eq!(keys(&programs), ["aarch64-linux", "x86_64-linux"]);
    // What the check is built by names the derivation, and does not need it built.
    let check = bench.eval_template("checks.x86_64-linux.policies", "check: check.drvAttrs.buildCommand");
    let package = bench.eval_template("packages.x86_64-linux.default", "package: package.drvPath");
    let (check, package) = (check.as_str().unwrap(), package.as_str().unwrap());
    assert!(check.contains("reprove policy check "), "{check}");
    assert!(check.contains("--policy 'no-impure' --policy 'fixed-output-hash-strength'"), "{check}");
    assert!(check.contains(package), "{check}");
    let drv = bench.eval_template("checks.x86_64-linux.policies", "check: check.drvPath");
    let derivation = fs::read_to_string(drv.as_str().unwrap()).unwrap();
    let sources = derivation.split("],[\"").nth(1).unwrap().split(']').next().unwrap();
    assert!(sources.contains(package), "a source, not an input that is built: {derivation}");
}

#[test]
fn the_lock_is_for_this_flake() {
    let bench = Bench::installed();
    // Fails if flake.nix wants something that flake.lock has not, and asks no network for what it has.
    let reference = bench.reference("flake");
    let metadata = value(&bench.run(&["flake", "metadata", "--json", "--no-update-lock-file", &reference]));
    let locked = &metadata["locks"]["nodes"]["nixpkgs"]["locked"];
    assert_eq!((&locked["owner"], &locked["type"]), (&json!("NixOS"), &json!("github")));
    assert_eq!(locked["rev"].as_str().unwrap().len(), 40);
    assert!(locked["narHash"].as_str().unwrap().starts_with("sha256-"));
    // A flake that wants more is noticed.
    let file = bench.folder.path().join("flake/flake.nix");
    let more = fs::read_to_string(&file).unwrap().replacen(
        "inputs.nixpkgs.url",
        "inputs.more.url = \"path:./nix\"; inputs.nixpkgs.url",
        1,
    );
    fs::write(&file, more).unwrap();
    assert!(!bench.run(&["flake", "metadata", "--no-update-lock-file", &reference]).status.success());
}

#[test]
fn the_go_release_is_there_in_three_variants_for_both_systems() {
    let bench = Bench::installed();
    let reference = bench.in_repository("examples/go-release", &["examples/hello", "nix"]);
    let eval = |output: &str, function: &str| {
        let installable = format!("{reference}#{output}");
        value(&bench.run(&["eval", "--json", "--no-write-lock-file", &installable, "--apply", function]))
    };
    let packages = eval("packages", "builtins.mapAttrs (_: builtins.mapAttrs (_: package: package.drvPath))");
    assert_eq!(keys(&packages), ["riscv64-linux", "x86_64-linux"]);
    for packages in packages.as_object().unwrap().values() {
        let paths: BTreeSet<_> = packages.as_object().unwrap().values().map(Value::to_string).collect();
        // Nine targets and a release of each variant, of which the default is one; `cmd-go` and `go-upstream`.
        assert_eq!(paths.len(), 3 * (9 + 1) + 2, "no two are the same: {packages}");
    }
    // What tells the variants apart.
    let told = r#"systems: builtins.mapAttrs (_: variant:
        let program = variant.binaries.linux-386.drvAttrs; in
        [ (builtins.length program.go.drvAttrs.patches) program.dontStrip (program.GOAMD64 or null) program.GOARCH ]
    ) systems.riscv64-linux"#;
    assert_eq!(
        eval("legacyPackages", told),
        json!({
            "nixpkgs": [3, false, null, "386"],
            "dont-strip": [3, true, null, "386"],
            "policies": [0, true, "v1", "386"],
        })
    );
}

#[test]
fn the_package_set_is_a_graph_of_one_name() {
    let bench = Bench::installed();
    let reference = bench.in_repository("examples/packages", &["examples/hello"]);
    let told = r#"builtins.mapAttrs (_: packages:
        let
          max = a: b: if a > b then a else b;
          depth = package: 1 + builtins.foldl' max 0 (map depth package.inputs);
          drvs = map (package: package.drvPath);
          set = removeAttrs packages [ "all" "few" "quick" "default" "clockwork" "pendulum" ];
        in {
          depth = depth packages.all;
          all = drvs packages.all.inputs;
          set = drvs (builtins.attrValues set);
          sources = drvs (map (package: package.src) (builtins.attrValues set));
          pendulum = map (input: input.name) packages.pendulum.inputs;
        })"#;
    let installable = format!("{reference}#packages");
    let systems =
        value(&bench.run(&["eval", "--json", "--no-write-lock-file", &installable, "--apply", told]));
    assert_eq!(keys(&systems), ["riscv64-linux", "x86_64-linux"]);
    let pins = fs::read_to_string(repository().join("examples/packages/sources.json")).unwrap();
    let pins: Value = serde_json::from_str(&pins).unwrap();
    let pinned = pins.as_object().unwrap().keys().filter(|name| !name.ends_with("-patches")).count();
    for (system, told) in systems.as_object().unwrap() {
        let distinct = |what: &str| -> BTreeSet<&str> {
            told[what].as_array().unwrap().iter().map(|drv| drv.as_str().unwrap()).collect()
        };
        assert_eq!(distinct("all"), distinct("set"), "{system}");
        assert_eq!((distinct("set").len(), distinct("sources").len()), (pinned, pinned), "{system}");
        assert!(pinned >= 25, "{system}: {pinned}");
        // zlib, zstd, libarchive, unzip; and `all` above them.
        assert_eq!(told["depth"], json!(5), "{system}");
        assert_eq!(told["pendulum"], json!(["clockwork"]), "{system}");
    }
}

#[test]
fn the_tree_is_quick_and_has_what_its_page_says() {
    let bench = Bench::installed();
    let page = fs::read_to_string(bench.folder.path().join("nixpkgs/README.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named: BTreeSet<&str> =
        rows.flat_map(|row| row.split(['`', ',', ' '])).filter(|name| !name.is_empty()).collect();
    assert!(named.len() > 15, "{named:?}");
    let function = format!(
        "tree: map (name: tree.${{name}}.drvPath) (builtins.fromJSON ''{}'')",
        json!(named.iter().filter(|name| !name.contains("Of")).collect::<Vec<_>>())
    );
    let installable = format!("{}#legacyPackages.x86_64-linux", bench.reference("nixpkgs"));
    let paths =
        value(&bench.run(&["eval", "--json", "--no-write-lock-file", &installable, "--apply", &function]));
    let distinct: BTreeSet<_> = paths.as_array().unwrap().iter().map(Value::to_string).collect();
    assert!(distinct.len() > 15, "{paths}");
}

/// The same with other versions of `nix`, those of two other releases of Debian.
#[test]
#[ignore = "slow: fetches packages"]
fn every_output_evaluates_with_other_versions_of_nix() {
    for suite in ["trixie", "sid"] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("nix-{suite}"));
        let status = Command::new(repository().join("scripts/other-nix")).arg(suite).arg(&folder).status();
        assert!(status.unwrap().success(), "scripts/other-nix {suite}");
        let bench = Bench::new(folder.join("bin/nix"));
        let version = bench.run(&["--version"]);
        assert!(version.status.success(), "{}", said(&version));
        assert!(
            !String::from_utf8_lossy(&version.stdout).contains("2.8.0"),
            "another version than this machine's"
        );
        every_output(&bench);
        assert_eq!(bench.check(), None, "{suite}");
    }
}
