//! The real `nix` program as the judge of our formats.
//!
//! Everything happens in a private store below a temporary directory; nothing in /nix is touched.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, DirBuilder, Permissions},
    io::Write as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
    process::Stdio,
};

mod support;

use reprove::nix::{
    derivation,
    drv_check::{self, DrvCheck},
    hash::{Algorithm, Hash, NarHash},
    make_path::{Method, fixed_output_path, source_path, text_path},
    nar::{self, Node, Reader, Writer},
    narinfo::NarInfo,
    signature::{self, PublicKey},
    store_path::{StorePath, check_name},
};
use support::nix::Nix;

/// Writes a tree with everything that NARs know and some things they do not.
fn odd_tree(dir: &Path) {
    let file = |name: &[u8], contents: &[u8], mode: u32| {
        let path = dir.join(OsStr::from_bytes(name));
        fs::write(&path, contents).expect("writable");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("own file");
    };
    DirBuilder::new().mode(0o755).create(dir).expect("writable");
    file(b"empty", b"", 0o644);
    file(b"seven", b"1234567", 0o600);
    file(b"eight", b"12345678", 0o400);
    file(b"big", &vec![b'x'; 300_001], 0o644);
    file(b"owner-x", b"#!/bin/sh\n", 0o700);
    file(b"group-x", b"#!/bin/sh\n", 0o610);
    file(b"others-x", b"#!/bin/sh\n", 0o655);
    file(b"latin-1 caf\xe9", b"\0\xff", 0o644);
    file(b"new\nline", b"", 0o644);
    file(b"Foo", b"1", 0o644);
    file(b"foo", b"2", 0o644);
    file(b"a", b"", 0o644);
    file(b"a.b", b"", 0o644);
    symlink("../../etc/passwd", dir.join("link")).expect("writable");
    symlink(OsStr::from_bytes(b"\xe9"), dir.join("a-b")).expect("writable");
    fs::create_dir_all(dir.join("dir/inner/innermost")).expect("writable");
    fs::create_dir(dir.join("dir/empty")).expect("writable");
    fs::write(dir.join("dir/inner/x"), "y").expect("writable");
}

/// Packs a tree of the file system with our writer.
fn pack(writer: &mut Writer<Vec<u8>>, path: &Path) {
    let metadata = fs::symlink_metadata(path).expect("readable");
    if metadata.is_symlink() {
        let target = fs::read_link(path).expect("a link");
        writer.symlink(target.as_os_str().as_bytes()).expect("a legal link");
    } else if metadata.is_dir() {
        writer.directory().expect("a directory");
        let entries = fs::read_dir(path).expect("readable").map(|entry| entry.expect("readable").file_name());
        for name in entries.collect::<BTreeSet<_>>() {
            writer.entry(name.as_bytes()).expect("a legal name");
            pack(writer, &path.join(name));
        }
        writer.leave().expect("an open directory");
    } else {
        let contents = fs::File::open(path).expect("readable");
        let executable = nar::is_executable(metadata.mode());
        writer.regular(executable, metadata.len(), contents).expect("a file at rest");
    }
}

fn packed(path: &Path) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    pack(&mut writer, path);
    writer.finish().expect("a whole tree")
}

#[test]
fn nars_are_those_of_nix() {
    let nix = Nix::new();
    let tree = nix.scratch("tree");
    odd_tree(&tree);
    for path in [tree.clone(), tree.join("group-x"), tree.join("link"), tree.join("dir/empty")] {
        let theirs = nix.dump(&path);
        assert!(packed(&path) == theirs, "another NAR than Nix's for {}", path.display());
        let read = Node::read(theirs.as_slice()).expect("a NAR made by Nix");
        let open = |contents: nar::Contents| {
            let start = usize::try_from(contents.offset).expect("small");
            let end = start + usize::try_from(contents.size).expect("small");
            Ok(&theirs[start..end])
        };
        assert!(read.write(open, Vec::new()).expect("writable") == theirs);
        let (hash, size) = nar::hash(theirs.as_slice()).expect("memory");
        assert_eq!(size, theirs.len() as u64);
        assert_eq!(nix.run("nix", &["hash", "path", path.to_str().expect("text")]), hash.to_string());
    }
}

#[test]
fn nix_restores_the_nars_we_write() {
    let nix = Nix::new();
    let tree = nix.scratch("tree");
    odd_tree(&tree);
    let ours = packed(&tree);
    let restored = nix.scratch("restored");
    let mut child = nix
        .command("nix-store")
        .arg("--restore")
        .arg(&restored)
        .stdin(Stdio::piped())
        .spawn()
        .expect("nix-store: apt-get install nix-bin");
    child.stdin.take().expect("a pipe").write_all(&ours).expect("nix reads it all");
    assert!(child.wait().expect("nix-store ends").success());
    assert!(nix.dump(&restored) == ours);
}

#[test]
fn nix_refuses_the_nars_we_refuse() {
    let nix = Nix::new();
    let string = |text: &[u8]| {
        let mut out = (text.len() as u64).to_le_bytes().to_vec();
        out.extend(text);
        out.resize(out.len().div_ceil(8) * 8, 0);
        out
    };
    let nar = |texts: &[&[u8]]| texts.iter().flat_map(|text| string(text)).collect::<Vec<_>>();
    let entry = |name: &[u8]| -> Vec<u8> {
        nar(&[
            b"nix-archive-1",
            b"(",
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            name,
            b"node",
            b"(",
            b"type",
            b"symlink",
            b"target",
            b"x",
            b")",
            b")",
            b")",
        ])
    };
    let mut cases =
        vec![nar(&[b"nix-archive-2", b"("]), nar(&[b"nix-archive-1", b"(", b"type", b"socket", b")"])];
    cases.extend([b"".as_slice(), b".", b"..", b"a/b", b"a\0"].map(entry));
    let mut padding = nar(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents", b"x", b")"]);
    let at = padding.len() - 17;
    padding[at] = 1;
    cases.push(padding);
    for (n, case) in cases.iter().enumerate() {
        let mut reader = Reader::new(case.as_slice());
        let ours = loop {
            match reader.next_event() {
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert!(!ours, "case {n} was accepted");
        let mut child = nix
            .command("nix-store")
            .arg("--restore")
            .arg(nix.scratch(&format!("case-{n}")))
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("nix-store: apt-get install nix-bin");
        // Nix may stop reading before the end.
        let _ = child.stdin.take().expect("a pipe").write_all(case);
        assert!(!child.wait().expect("nix-store ends").success(), "case {n} was accepted by Nix");
    }
    // The same entry with an honest name is accepted by both.
    assert!(Node::read(entry(b"ok").as_slice()).is_ok());
}

#[test]
fn hashes_are_spelled_as_nix_does() {
    let nix = Nix::new();
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let file = nix.scratch(name);
        fs::write(&file, format!("contents for {name}")).expect("writable");
        let file = file.to_str().expect("text");
        let ours = Hash::of(algorithm, format!("contents for {name}").as_bytes());
        assert_eq!(nix.run("nix-hash", &["--flat", "--type", name, file]), ours.to_base16());
        assert_eq!(
            nix.run("nix-hash", &["--type", name, "--to-base32", &ours.to_base16()]),
            ours.to_base32()
        );
        assert_eq!(nix.run("nix", &["hash", "to-sri", "--type", name, &ours.to_base16()]), ours.to_sri());
        let base64 = nix.run("nix", &["hash", "to-base64", "--type", name, &ours.to_base32()]);
        assert_eq!(Hash::parse(base64.as_bytes(), Some(algorithm)), Ok(ours.clone()));
        let upper = ours.to_base16().to_uppercase();
        assert_eq!(nix.run("nix", &["hash", "to-sri", "--type", name, &upper]), ours.to_sri());
    }
}

#[test]
fn names_are_judged_as_nix_does() {
    let nix = Nix::new();
    let longest = "a".repeat(211);
    let too_long = "a".repeat(212);
    // Not among them: `.`, `..`, `.-a`, `..-a`, which Nix refuses only since 2.20.
    let names = [
        "a",
        "A-z_0+?=.",
        ".gitignore",
        "...",
        "..a",
        "-",
        &longest,
        &too_long,
        "",
        "a b",
        "a/b",
        "a~",
        "a@b",
        "a'b",
        "é",
        "a:b",
        "a*",
        "a^b",
        "a,b",
        "a%b",
        "a\\\\b",
        "a\\nb",
    ];
    for name in names {
        let expression = format!("builtins.toFile \"{name}\" \"text\"");
        let args = ["--eval", "-E", &expression].map(OsStr::new);
        let theirs = nix.output("nix-instantiate", &args);
        let name = name.replace("\\n", "\n").replace("\\\\", "\\");
        let ours = check_name(name.as_bytes());
        assert_eq!(ours.is_ok(), theirs.status.success(), "{name:?}: {ours:?}");
        if ours.is_ok() {
            let path = text_path(&name, b"text", []).expect("a valid name");
            assert_eq!(String::from_utf8_lossy(&theirs.stdout).trim(), format!("\"{path}\""));
        }
    }
}

#[test]
fn paths_of_added_files_and_trees() {
    let nix = Nix::new();
    let tree = nix.scratch("tree");
    odd_tree(&tree);
    let text = tree.to_str().expect("text");
    let nar = nix.dump(&tree);
    let added: StorePath = nix.run("nix-store", &["--add", text]).parse().expect("a store path");
    assert_eq!(Ok(&added), source_path("tree", &NarHash::of(&nar).0, []).as_ref());
    let file = tree.join("big");
    let contents = fs::read(&file).expect("readable");
    for algorithm in Algorithm::ALL {
        let add = |recursive: &[&str], path: &str| -> StorePath {
            let args = [recursive, &["--add-fixed", algorithm.name(), path]].concat();
            nix.run("nix-store", &args).parse().expect("a store path")
        };
        let flat = fixed_output_path("big", Method::Flat, &Hash::of(algorithm, &contents));
        assert_eq!(Ok(add(&[], file.to_str().expect("text"))), flat);
        let recursive = fixed_output_path("tree", Method::Recursive, &Hash::of(algorithm, &nar));
        assert_eq!(Ok(add(&["--recursive"], text)), recursive);
    }
    // A text that refers to other paths.
    let expression = "let a = builtins.toFile \"a\" \"1\"; b = builtins.toFile \"b\" \"2\"; \
                      in [ a b (builtins.toFile \"c\" \"${b} ${a} ${b}\") ]";
    let printed = nix.run("nix-instantiate", &["--eval", "--strict", "--json", "-E", expression]);
    let paths: Vec<String> = serde_json::from_str(&printed).expect("JSON");
    let a = text_path("a", b"1", []).expect("a valid name");
    let b = text_path("b", b"2", []).expect("a valid name");
    let c = text_path("c", format!("{b} {a} {b}").as_bytes(), [&b, &a]).expect("a valid name");
    assert_eq!(paths, [a, b, c].map(|path| path.to_string()));
}

/// All derivations in the store must be right, and this many outputs known only after a build.
fn assert_right(nix: &Nix, not_computable: usize) -> DrvCheck {
    let found = drv_check::check(nix.derivations());
    assert!(found.is_right(), "{found:#?}");
    assert_eq!(found.output_paths_not_computable, not_computable);
    found
}

const FIXED: &str = r#"
  fixed = name: mode: algo: url: derivation {
    inherit name url; system = "x86_64-linux"; builder = "/bin/sh";
    outputHashMode = mode; outputHashAlgo = algo; outputHash = builtins.hashString algo "contents";
  };
  plain = name: more: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; } // more);
"#;

#[test]
fn inputs_with_equal_hash_modulo() {
    let nix = Nix::new();
    let expression = format!(
        "let {FIXED}
           one = fixed \"f\" \"flat\" \"sha256\" \"https://one\"; two = fixed \"f\" \"flat\" \"sha256\" \"https://two\";
           multi = url: plain \"m\" {{ outputs = [ \"out\" \"dev\" \"lib\" ]; src = fixed \"f\" \"flat\" \"sha256\" url; }};
           m1 = multi \"https://one\"; m2 = multi \"https://two\";
         in [ one two (plain \"use-one\" {{ src = one; }}) (plain \"use-both\" {{ a = one; b = two; }})
              (plain \"merge\" {{ a = m1.dev; b = m2.lib; c = m2; }})
              (plain \"overlap\" {{ a = m1.dev; b = m2.dev; }}) ]"
    );
    let paths = nix.instantiate(expression.as_bytes());
    assert_ne!(paths[0], paths[1]);
    let [one, two] = [&paths[0], &paths[1]].map(|path| nix.derivation(path));
    assert_eq!(one.output_path("out"), two.output_path("out"));
    assert_eq!(nix.derivation(&paths[4]).input_drvs.len(), 2);
    let found = assert_right(&nix, 0);
    assert_eq!((found.derivations, found.output_paths), (8, 12));
}

#[test]
fn fixed_outputs_of_every_kind() {
    let nix = Nix::new();
    let expression = format!(
        "let {FIXED} in builtins.concatMap
           (mode: map (algo: fixed \"${{mode}}-${{algo}}\" mode algo \"https://x\") [ \"md5\" \"sha1\" \"sha256\" \"sha512\" ])
           [ \"flat\" \"recursive\" ]"
    );
    let paths = nix.instantiate(expression.as_bytes());
    assert_eq!(paths.len(), 8);
    for path in paths {
        let derivation = nix.derivation(&path);
        let (method, hash) = derivation.fixed_output().expect("a fixed output");
        let name =
            format!("{}-{}", if method == Method::Flat { "flat" } else { "recursive" }, hash.algorithm());
        assert_eq!(path.derivation_name(), Some(name.as_str()));
        assert_eq!(*hash, Hash::of(hash.algorithm(), b"contents"));
    }
    assert_right(&nix, 0);
}

#[test]
fn environments_of_any_bytes() {
    let nix = Nix::new();
    let mut expression =
        br#"derivation { name = "bytes"; system = "x86_64-linux"; builder = "/bin/sh"; latin = ""#.to_vec();
    expression.extend(b"caf\xe9 \x01\x7f\xff");
    expression.extend(
        br#""; escapes = "\" \\ \n \r \t \${x}"; empty = ""; args = [ "" "a\nb" ]; "odd key \" \n" = "x"; }"#,
    );
    let paths = nix.instantiate(&expression);
    let derivation = nix.derivation(&paths[0]);
    assert_eq!(derivation.env_get("latin"), Some(b"caf\xe9 \x01\x7f\xff".as_slice()));
    assert_eq!(derivation.env_get("escapes"), Some(b"\" \\ \n \r \t ${x}".as_slice()));
    assert_eq!(derivation.env_get("odd key \" \n"), Some(b"x".as_slice()));
    assert_eq!(derivation.args, [b"".to_vec(), b"a\nb".to_vec()]);
    assert_right(&nix, 0);
}

#[test]
fn outputs_and_structured_attributes() {
    let nix = Nix::new();
    let expression = format!(
        "let {FIXED}
           multi = plain \"multi\" {{ outputs = [ \"lib\" \"out\" \"a+b\" ]; }};
           structured = plain \"structured\" {{ __structuredAttrs = true; outputs = [ \"out\" \"dev\" ]; list = [ 1 multi ]; }};
         in [ structured (plain \"no-out\" {{ outputs = [ \"dev\" ]; src = ./expression.nix; }})
              (plain \"deep\" {{ drvs = structured.drvPath; }}) ]"
    );
    let paths = nix.instantiate(expression.as_bytes());
    let structured = nix.derivation(&paths[0]);
    let json = structured.structured_attrs().expect("structured attributes");
    assert!(serde_json::from_slice::<serde_json::Value>(json).expect("JSON")["list"][0] == 1);
    assert_eq!(structured.output_path("dev").map(StorePath::name), Some("structured-dev"));
    let deep = nix.derivation(&paths[2]);
    assert!(deep.input_srcs.contains(&paths[0]) || deep.input_drvs.contains_key(&paths[0]));
    assert_right(&nix, 0);
}

#[test]
fn outputs_known_only_after_a_build() {
    let nix = Nix::new();
    let expression = format!(
        "let {FIXED}
           floating = plain \"floating\" {{
             __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; outputs = [ \"out\" \"dev\" ];
           }};
           impure = plain \"impure\" {{ __impure = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }};
           deferred = plain \"deferred\" {{ src = floating; }};
         in [ floating deferred impure (plain \"deferred-too\" {{ src = deferred; }}) ]"
    );
    let paths = nix.instantiate(expression.as_bytes());
    let kinds = paths.iter().map(|path| nix.derivation(path).outputs["out"].kind()).collect::<Vec<_>>();
    assert_eq!(kinds, ["floating content-addressed", "deferred", "impure", "deferred"]);
    assert!(matches!(nix.derivation(&paths[1]).outputs["out"], derivation::Output::Deferred));
    assert_right(&nix, 5);
}

/// A closure in which a derivation deep down and one in the middle are made with `more`: several outputs, structured attributes,
/// fixed outputs that are fetched by what changes, two that merge into one, and a derivation's own path in a text.
fn closure_with(more: &str) -> String {
    format!(
        "let {FIXED}
           leaf = plain \"leaf\" ({{ outputs = [ \"out\" \"dev\" ]; }} // {more});
           source = url: derivation {{
             name = \"source\"; system = \"x86_64-linux\"; builder = \"${{leaf}}/bin/fetch\"; inherit url; outputHashMode = \"flat\"; outputHashAlgo = \"sha256\";
             outputHash = builtins.hashString \"sha256\" \"contents\";
           }};
           structured = plain \"structured\" ({{ __structuredAttrs = true; outputs = [ \"out\" \"dev\" ]; list = [ 1 leaf.dev \"é\" ]; src = source \"https://one\"; }} // {more});
           middle = plain \"middle\" {{ args = [ \"-I${{leaf.dev}}/include\" leaf ]; base = baseNameOf (toString leaf); both = [ (source \"https://one\") (source \"https://two\") ]; }};
         in [ (plain \"top\" {{ inherit middle structured; text = builtins.toJSON {{ path = \"${{structured.dev}}/x\"; }}; drvs = builtins.unsafeDiscardOutputDependency structured.drvPath; }}) ]"
    )
}

#[test]
fn a_changed_closure_has_the_paths_that_nix_gives_it() {
    let nix = Nix::new();
    let [before, after] =
        ["{ }", "{ dontStrip = true; }"].map(|more| nix.instantiate(closure_with(more).as_bytes()));
    let resolve = |path: &StorePath| {
        let mut derivation = nix.derivation(path);
        if path.derivation_name() == Some("leaf") {
            derivation.env.insert(b"dontStrip".to_vec(), b"1".to_vec());
        }
        if path.derivation_name() == Some("structured") {
            let json = derivation.env.get_mut(&b"__json"[..]).expect("structured attributes");
            let text = String::from_utf8(json.clone()).expect("JSON");
            *json = text.replacen(",\"list\":", ",\"dontStrip\":true,\"list\":", 1).into_bytes();
        }
        Ok::<_, String>(derivation)
    };
    let graph = reprove::graph::Graph::load(&before, resolve).expect("a graph");
    let repathed = graph.repath().expect("paths");
    assert_eq!(repathed.now(&before[0]), &after[0]);
    assert!(repathed.derivations.len() >= 6, "{:?}", repathed.paths);
    for (path, derivation) in &repathed.derivations {
        assert_eq!(**derivation, nix.derivation(path), "{path}");
    }
}

#[test]
fn narinfo_files_are_those_of_nix() {
    let nix = Nix::new();
    let expression = "builtins.toFile \"b\" \"see ${builtins.toFile \"a\" \"1\"}\"";
    let printed = nix.run("nix-instantiate", &["--eval", "--read-write-mode", "--json", "-E", expression]);
    let path: String = serde_json::from_str(&printed).expect("JSON");
    let secret = nix.run("nix", &["key", "generate-secret", "--key-name", "test-1"]);
    fs::write(nix.scratch("secret"), &secret).expect("writable");
    let public = nix.output_with_input("nix", &["key", "convert-secret-to-public"], secret.as_bytes());
    let keys: [PublicKey; 1] = [public.trim_end().parse().expect("a public key made by Nix")];
    for compression in ["none", "xz", "bzip2", "zstd"] {
        let cache = nix.scratch(compression);
        let url = format!(
            "file://{}?compression={compression}&secret-key={}",
            cache.display(),
            nix.scratch("secret").display()
        );
        nix.run("nix", &["copy", "--to", &url, &path]);
        let mut seen = 0;
        for entry in fs::read_dir(&cache).expect("a cache") {
            let file = entry.expect("readable entry").path();
            if file.extension() != Some(OsStr::new("narinfo")) {
                continue;
            }
            seen += 1;
            let text = fs::read(&file).expect("readable");
            let info = NarInfo::parse(&text).expect("a narinfo made by Nix");
            assert_eq!(info.to_string().as_bytes(), text);
            assert_eq!(info.compression.name(), compression);
            assert_eq!(info.signatures.len(), 1);
            assert_eq!(signature::signer(&keys, &info).map(PublicKey::name), Some("test-1"));
            let forged = NarInfo { nar_size: info.nar_size + 8, ..info.clone() };
            assert_eq!(signature::signer(&keys, &forged), None);
            assert_eq!(file.file_stem(), Some(OsStr::new(info.store_path.hash_part())));
            let nar = nix.dump(&nix.root().join("nix/store").join(info.store_path.base_name()));
            assert_eq!((info.nar_hash, info.nar_size), (NarHash::of(&nar), nar.len() as u64));
            assert_eq!(info.references.len(), usize::from(info.store_path.name() == "b"));
        }
        assert_eq!(seen, 2);
    }
}
