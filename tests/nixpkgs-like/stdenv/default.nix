# The standard environment in stages: unpacked tools, then a compiler built with them, then the real ones.
{ lib, system }:
let
  fetch = import ../fetchurl-boot.nix;

  # Not a Nixpkgs-like package yet: the bare primitive, with a builder of its own.
  tools = derivation {
    name = "bootstrap-tools";
    inherit system;
    builder = fetch {
      name = "busybox";
      seed = "busybox ${system}";
      executable = true;
    };
    args = [
      "ash"
      "-e"
      ./unpack.sh
    ];
    tarball = fetch {
      name = "bootstrap-tools.tar.xz";
      seed = "tools ${system}";
    };
  };

  stage =
    name: shell: initialPath:
    let
      self = {
        inherit system shell;
        inherit (self') outPath drvPath type;
        cc = lib.last initialPath;
        mkDerivation = import ./make-derivation.nix {
          inherit lib system shell;
          stdenv = self';
        };
        buildPlatform = platform;
        hostPlatform = platform;
      };
      platform = {
        inherit system;
        canExecute = other: other.system == system;
        isLinux = lib.hasSuffix "-linux" system;
        isDarwin = lib.hasSuffix "-darwin" system;
      };
      self' = derivation {
        inherit name system initialPath;
        builder = shell;
        args = [
          "-e"
          ./setup.sh
        ];
      };
    in
    self;

  source =
    name:
    fetch {
      name = "${name}.tar.xz";
      seed = name;
    };
  built =
    stdenv: name: version: more:
    stdenv.mkDerivation (
      {
        pname = name;
        inherit version;
        src = source "${name}-${version}";
      }
      // more
    );

  stage0 = stage "bootstrap-stage0-stdenv-linux" "${tools}/bin/bash" [ tools ];
  binutils0 = built stage0 "binutils" "2.44" { };
  xgcc = built stage0 "xgcc" "14.3.0" { nativeBuildInputs = [ binutils0 ]; };
  stage1 = stage "bootstrap-stage1-stdenv-linux" "${tools}/bin/bash" [
    tools
    xgcc
  ];
  glibc = built stage1 "glibc" "2.40" {
    outputs = [
      "out"
      "bin"
      "dev"
      "static"
    ];
    nativeBuildInputs = [ binutils0 ];
    patches = [ ../sources/glibc-locale.patch ];
  };
  gcc = built stage1 "gcc" "14.3.0" {
    outputs = [
      "out"
      "lib"
      "man"
    ];
    buildInputs = [ glibc ];
    configureFlags = [
      "--disable-multilib"
      "--enable-languages=c,c++"
    ];
  };
  stage2 = stage "bootstrap-stage2-stdenv-linux" "${tools}/bin/bash" [
    tools
    gcc
  ];
  bash = built stage2 "bash" "5.3" { buildInputs = [ glibc ]; };
  coreutils = built stage2 "coreutils" "9.8" { buildInputs = [ glibc ]; };
  gnutar = built stage2 "gnutar" "1.35" { };
  gzip = built stage2 "gzip" "1.14" { };
  patch = built stage2 "patch" "2.8" { };
  binutils = built stage2 "binutils" "2.44" { buildInputs = [ glibc ]; };
  perl = built stage2 "perl" "5.40.0" {
    outputs = [
      "out"
      "man"
    ];
  };
in
{
  stdenv = stage "stdenv-linux" "${bash}/bin/bash" [
    bash
    coreutils
    gnutar
    gzip
    patch
    binutils
    gcc
  ];
  inherit
    bash
    binutils
    coreutils
    gcc
    glibc
    gnutar
    gzip
    patch
    perl
    ;
}
