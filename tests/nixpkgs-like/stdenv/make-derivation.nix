# `mkDerivation` with `overrideAttrs`, and what Nixpkgs' own adds to a derivation.
{
  lib,
  system,
  shell,
  stdenv,
}:
let
  # Attributes of a package that its derivation does not get.
  ours = [
    "env"
    "meta"
    "passthru"
    "pos"
  ];

  # `make` takes the finished attributes and gives all of them.
  extensible =
    make:
    let
      finished = make (
        finished
        // {
          inherit overrideAttrs;
          finalPackage = package;
        }
      );
      overrideAttrs = change: extensible (lib.extends (lib.toExtension change) make);
      package = simple overrideAttrs finished;
    in
    package;

  simple =
    overrideAttrs: attributes:
    let
      structured = attributes.__structuredAttrs or false;
      env = attributes.env or { };
      passthru = attributes.passthru or { };
      argument = removeAttrs attributes ours // {
        name = attributes.name or "${attributes.pname}-${attributes.version}";
        inherit system stdenv;
        builder = attributes.realBuilder or shell;
        args = [
          "-e"
          ./builder.sh
        ];
        __ignoreNulls = true;
        __structuredAttrs = structured;
        outputs = attributes.outputs or [ "out" ];
        strictDeps = attributes.strictDeps or false;
        depsBuildBuild = map lib.getDev (attributes.depsBuildBuild or [ ]);
        nativeBuildInputs = map lib.getDev (attributes.nativeBuildInputs or [ ]);
        buildInputs = map lib.getDev (attributes.buildInputs or [ ]);
        propagatedBuildInputs = map lib.getDev (attributes.propagatedBuildInputs or [ ]);
        configureFlags = attributes.configureFlags or [ ];
        patches = attributes.patches or [ ];
        doCheck = attributes.doCheck or false;
      };
      twice = builtins.attrNames (builtins.intersectAttrs env argument);
      checked =
        if twice == [ ] then
          env
        else
          throw "${argument.name}: both below `env` and beside it: ${toString twice}";
      drv = derivation (argument // (if structured then { env = checked; } else checked));
      added =
        passthru
        // {
          inherit overrideAttrs passthru;
          meta = attributes.meta or { };
        }
        // lib.optionalAttrs (attributes ? pname) { inherit (attributes) pname; }
        // lib.optionalAttrs (attributes ? version) { inherit (attributes) version; };
    in
    drv // added // lib.genAttrs drv.outputs (output: drv.${output} // passthru);
in
f: extensible (if lib.isFunction f then f else _: f)
