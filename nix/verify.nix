# What makes a flake verifiable, in one line:
#
#   outputs = { self, nixpkgs, reprove }: {
#     packages.x86_64-linux.default = …;
#   } // reprove.lib.mkVerify { inherit self; };
#
# gives it `apps.<system>.verify`, which builds every package again in deterministic machines and compares, and
# `checks.<system>.policies`, which holds the derivations of all of them to the policies.
# Where the flake has apps or checks of its own, join with `lib.recursiveUpdate`.
{ nixpkgs, packages }:
{
  self,
  # What to verify: `packages`, or some systems and attributes of it
  outputs ? self.packages,
  # What `nix flake check` holds the derivations to, before anything is built
  policies ? [
    "no-impure"
    "fixed-output-hash-strength"
  ],
  # More arguments for `reprove verify`
  arguments ? [ ],
}:
let
  inherit (nixpkgs) lib;
  forEachSystem =
    f:
    lib.mapAttrs (
      system: attributes: f nixpkgs.legacyPackages.${system} packages.${system}.reprove system attributes
    ) (lib.filterAttrs (system: _: packages ? ${system}) outputs);

  # A name with a dot in it, in a path of attributes.
  quoted = name: if builtins.match ".*[.].*" name == null then name else "\"${name}\"";

  # The .drv files and no built outputs. Several attributes may be one derivation.
  derivationsOf =
    attributes:
    lib.unique (
      lib.mapAttrsToList (_: drv: builtins.unsafeDiscardOutputDependency drv.drvPath) attributes
    );
in
{
  apps = forEachSystem (
    pkgs: reprove: system: attributes: {
      verify = {
        type = "app";
        program =
          let
            installables = map (name: "path:${self}#packages.${system}.${quoted name}") (
              lib.attrNames attributes
            );
          in
          "${pkgs.writeShellScript "verify" ''
            exec ${reprove}/bin/reprove verify ${lib.escapeShellArgs arguments} "$@" ${lib.escapeShellArgs installables}
          ''}";
        meta.description = "Build every package of this flake again in deterministic machines, and compare every bit";
      };
    }
  );

  checks = forEachSystem (
    pkgs: reprove: _: attributes: {
      policies = pkgs.runCommand "policies" { nativeBuildInputs = [ reprove ]; } ''
        export HOME=$TMPDIR
        reprove policy check --state "$TMPDIR/state" \
          ${lib.concatMapStringsSep " " (name: "--policy ${lib.escapeShellArg name}") policies} \
          ${lib.escapeShellArgs (derivationsOf attributes)} | tee "$out"
      '';
    }
  );
}
