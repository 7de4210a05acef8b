# A Go toolchain. Its patches put the store paths of three packages into `net`, `mime` and `time` of
# every program it compiles.
{
  lib,
  stdenv,
  fetchurl,
  replaceVars,
  tzdata,
  iana-etc,
  mailcap,
  go-bootstrap,
  version ? "1.26.3",
  structured ? false,
}:
stdenv.mkDerivation (finalAttrs: {
  pname = "go";
  inherit version;
  src = fetchurl {
    url = "https://go.invalid/dl/go${finalAttrs.version}.src.tar.gz";
    sha256 = builtins.hashString "sha256" "go ${finalAttrs.version}";
  };
  strictDeps = true;
  __structuredAttrs = structured;
  depsBuildBuild = [ go-bootstrap ];
  patches = [
    (replaceVars ./iana-etc.patch { iana = iana-etc; })
    (replaceVars ./mailcap.patch { inherit mailcap; })
    (replaceVars ./tzdata.patch { inherit tzdata; })
    ./remove-tools.patch
  ];
  env = {
    GOROOT_BOOTSTRAP = "${go-bootstrap}/share/go";
    GO386 = "softfloat";
    CGO_ENABLED = 1;
  };
  disallowedReferences = [ go-bootstrap ];
  passthru = {
    CGO_ENABLED = 1;
    GOOS = "linux";
    GOARCH =
      {
        x86_64 = "amd64";
        aarch64 = "arm64";
      }
      .${lib.head (builtins.split "-" stdenv.system)} or (lib.head (builtins.split "-" stdenv.system));
  };
  meta.mainProgram = "go";
})
