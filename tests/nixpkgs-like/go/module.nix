# `buildGoModule`: the dependencies as a fixed output, then the program.
{
  lib,
  stdenv,
  go,
  gitMinimal,
}:
f:
stdenv.mkDerivation (
  finalAttrs:
  let
    arguments = if lib.isFunction f then f finalAttrs else f;
  in
  removeAttrs arguments [
    "vendorHash"
    "allowGoReference"
  ]
  // {
    nativeBuildInputs = [ go ] ++ arguments.nativeBuildInputs or [ ];
    goModules = stdenv.mkDerivation {
      name = "${finalAttrs.pname}-${finalAttrs.version}-go-modules";
      nativeBuildInputs = [
        go
        gitMinimal
      ];
      inherit (finalAttrs) src;
      env.GO111MODULE = "on";
      outputHashMode = "recursive";
      outputHashAlgo = "sha256";
      outputHash = arguments.vendorHash;
      impureEnvVars = [
        "http_proxy"
        "GOPROXY"
      ];
    };
    GOFLAGS = arguments.GOFLAGS or [ "-mod=vendor" ];
    ldflags = arguments.ldflags or [ ];
    strictDeps = true;
    doCheck = arguments.doCheck or true;
    env = {
      inherit (go) GOOS GOARCH;
      GO111MODULE = "on";
      GOTOOLCHAIN = "local";
      CGO_ENABLED = toString go.CGO_ENABLED;
    }
    // arguments.env or { };
    disallowedReferences = lib.optional (!arguments.allowGoReference or false) go;
    passthru = {
      inherit go;
    }
    // arguments.passthru or { };
  }
)
