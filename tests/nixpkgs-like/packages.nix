# The packages. `final` has the overlays, so a toolchain that one of them changes is changed wherever it is used.
final: prev:
let
  inherit (final)
    callPackage
    fetchurl
    lib
    stdenv
    ;

  source =
    name:
    fetchurl {
      url = "https://sources.invalid/${name}.tar.gz";
      sha256 = builtins.hashString "sha256" name;
    };
  package =
    pname: version: more:
    stdenv.mkDerivation (
      {
        inherit pname version;
        src = source "${pname}-${version}";
      }
      // more
    );
in
import ./build-support/programs.nix { inherit final package; }
// {
  fetchurl = callPackage ./build-support/fetchurl.nix { };
  replaceVars = callPackage ./build-support/replace-vars.nix { };

  # Not from `final`, which would be a circle: what fetchurl needs is fetched otherwise.
  curl = prev.stdenv.mkDerivation {
    pname = "curl";
    version = "8.17.0";
    outputs = [
      "out"
      "bin"
      "dev"
    ];
    src = import ./fetchurl-boot.nix {
      name = "curl-8.17.0.tar.xz";
      seed = "curl";
    };
    buildInputs = [ prev.perl ];
  };

  # Libraries
  zlib = package "zlib" "1.3.1" {
    outputs = [
      "out"
      "dev"
      "static"
    ];
  };
  zlib-structured = package "zlib" "1.3.1" {
    __structuredAttrs = true;
    outputs = [
      "out"
      "dev"
    ];
    nativeBuildInputs = [ final.binutils ];
    outputChecks.out.disallowedRequisites = [ "dev" ];
  };
  openssl = package "openssl" "3.5.4" {
    outputs = [
      "bin"
      "out"
      "dev"
    ];
    nativeBuildInputs = [ final.perl ];
    buildInputs = [ final.zlib ];
  };
  gitMinimal = package "git-minimal" "2.51.0" {
    buildInputs = [
      final.openssl
      final.zlib
      final.curl
    ];
  };

  # Data whose places Go programs name
  tzdata = package "tzdata" "2025b" {
    outputs = [
      "out"
      "bin"
    ];
  };
  iana-etc = package "iana-etc" "20250505" { };
  mailcap = package "mailcap" "2.1.54" { };

  # Go
  go-bootstrap = stdenv.mkDerivation {
    name = "go-1.24.11-bootstrap";
    src = source "go1.24.11.linux-bin";
  };
  go_1_26 = callPackage ./go { };
  go_1_27 = callPackage ./go {
    version = "1.27.0";
    structured = true;
  };
  go = final.go_1_26;
  buildGo126Module = callPackage ./go/module.nix { go = final.buildPackages.go_1_26; };
  buildGo127Module = callPackage ./go/module.nix { go = final.buildPackages.go_1_27; };
  buildGoModule = final.buildGo126Module;

  courier = final.buildGoModule {
    pname = "courier";
    version = "2.0.1";
    src = source "courier-2.0.1";
    vendorHash = builtins.hashString "sha256" "courier vendor";
    buildInputs = [ final.zlib ];
    ldflags = [
      "-X"
      "main.version=2.0.1"
    ];
    manifest = ./sources/courier.json;
  };
  ferry = final.buildGoModule (finalAttrs: {
    pname = "ferry";
    version = "0.18.0";
    src = source "ferry-${finalAttrs.version}";
    vendorHash = builtins.hashString "sha256" "ferry vendor";
    allowGoReference = true;
    GOFLAGS = "-trimpath -mod=vendor";
    ldflags = "-w -X main.version=${finalAttrs.version}";
    env.CGO_ENABLED = "0";
  });
  courier-structured = final.buildGo127Module {
    pname = "courier";
    version = "2.0.1";
    src = source "courier-2.0.1";
    __structuredAttrs = true;
    vendorHash = builtins.hashString "sha256" "courier vendor";
    nativeBuildInputs = [ final.gcc ];
    ldflags = [ "-buildid=" ];
    outputs = [
      "out"
      "man"
    ];
    outputChecks.out.disallowedReferences = [ final.buildPackages.go_1_27 ];
  };
  barge = package "barge" "3.1" {
    __structuredAttrs = true;
    nativeBuildInputs = [
      final.go_1_27
      final.gcc
    ];
    GOFLAGS = [ "-mod=vendor" ];
    ldflags = [
      "-s"
      "-X"
      "main.name=barge"
    ];
    doCheck = true;
  };

  # Programs whose toolchain is some levels down
  port-list = package "port-list" "1" { nativeBuildInputs = [ final.courier ]; };
  freight = package "freight" "4.2" {
    nativeBuildInputs = [ final.port-list ];
    buildInputs = [ final.openssl ];
    outputs = [
      "out"
      "doc"
    ];
  };
  hello = package "hello" "2.12.2" { };
  stamped = package "stamped" "1" { SOURCE_DATE_EPOCH = 1700000000; };

  # What the checks are about
  old-md5 = package "old-md5" "0.9" {
    src = fetchurl {
      url = "https://sources.invalid/old-md5-0.9.tar.gz";
      md5 = builtins.hashString "md5" "old";
    };
  };
  old-sha1 = package "old-sha1" "0.9" {
    src = fetchurl {
      url = "https://sources.invalid/old-sha1-0.9.tar.gz";
      sha1 = builtins.hashString "sha1" "old";
    };
  };
  unboxed = package "unboxed" "1" { __noChroot = true; };
  host-deps = package "host-deps" "1" { __impureHostDeps = [ "/usr/lib/libSystem.B.dylib" ]; };
  local-network = package "local-network" "1" {
    __structuredAttrs = true;
    __darwinAllowLocalNetworking = true;
  };
  env-vars = package "env-vars" "1" { impureEnvVars = [ "HOME" ]; };

  latticeOf = callPackage ./build-support/lattice.nix { };
  lattice = final.latticeOf {
    layers = 13;
    width = 10;
  };
}
