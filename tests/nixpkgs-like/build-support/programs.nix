# Builders and programs that a flake of a Rust program asks Nixpkgs for.
{ final, package }:
let
  inherit (final) stdenv;
  # Not from `final`: the names here depend on it.
  lib = import ../lib.nix;
  named = names: lib.genAttrs names (name: package name "1" { meta.mainProgram = name; });
in
named [
  "bzip2"
  "cargo"
  "cargo-nextest"
  "chromium"
  "clang"
  "clippy"
  "cpio"
  "dtc"
  "elfutils"
  "erofs-utils"
  "git"
  "installShellFiles"
  "lld"
  "llvm"
  "lz4"
  "makeWrapper"
  "nix"
  "nixfmt"
  "nixfmt-tree"
  "qemu"
  "rustc"
  "rustfmt"
  "squashfsTools"
  "util-linux"
  "xz"
  "zip"
  "zstd"
]
// {
  python3 = package "python3" "3.13" {
    passthru.withPackages =
      f:
      stdenv.mkDerivation {
        name = "python3-env";
        paths = f (lib.genAttrs [ "jsonschema" "pip" ] (name: package "python3.13-${name}" "1" { }));
      };
  };

  # As Nixpkgs does it for a `cargoLock.lockFile`: each crate is a fixed output of its own, by the lock's hash.
  rustPlatform.buildRustPackage =
    arguments:
    let
      crates = lib.filter (crate: crate ? checksum) (lib.importTOML arguments.cargoLock.lockFile).package;
      fetched =
        crate:
        final.fetchurl {
          url = "https://crates.invalid/${crate.name}/${crate.version}";
          name = "crate-${crate.name}-${crate.version}.tar.gz";
          sha256 = crate.checksum;
        };
    in
    stdenv.mkDerivation (
      removeAttrs arguments [ "cargoLock" ]
      // {
        cargoDeps = stdenv.mkDerivation {
          name = "cargo-vendor-dir";
          crates = map fetched crates;
        };
        nativeBuildInputs = [
          final.cargo
          final.rustc
        ]
        ++ arguments.nativeBuildInputs or [ ];
      }
    );

  runCommand =
    name: attributes: buildCommand:
    stdenv.mkDerivation (attributes // { inherit name buildCommand; });
  writeShellScript =
    name: text:
    stdenv.mkDerivation {
      inherit name text;
      preferLocalBuild = true;
    };
  mkShell =
    {
      inputsFrom ? [ ],
      packages ? [ ],
    }:
    stdenv.mkDerivation {
      name = "nix-shell";
      nativeBuildInputs = packages ++ lib.concatMap (drv: drv.nativeBuildInputs) inputsFrom;
      buildInputs = lib.concatMap (drv: drv.buildInputs) inputsFrom;
    };
}
