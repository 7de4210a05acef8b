# What `nix flake check` builds. The tests proper are scripts/test: most need machines or a network.
{
  pkgs,
  reprove,
  self,
}:
{
  package = reprove;

  # The shipped policies' two roads lead to the same derivation: the function's, and the rewrite's of the
  # derivation as it was. `reprove` itself is the derivation.
  policies =
    let
      inherit (self.lib) policies;
      drvOf = drv: builtins.unsafeDiscardOutputDependency drv.drvPath;
      before = drvOf reprove;
      compared = pkgs.lib.concatStringsSep "\n" (
        pkgs.lib.mapAttrsToList (name: policy: ''
          by_rewrite=$(reprove policy apply --state "$TMPDIR/state" --policy ${name} ${before})
          if [ "$by_rewrite" != ${drvOf (policy reprove)} ]; then
            echo "${name}: $by_rewrite by the rewrite, ${drvOf (policy reprove)} by the function"
            exit 1
          fi
        '') policies
      );
    in
    pkgs.runCommand "policies" { nativeBuildInputs = [ reprove ]; } ''
      export HOME=$TMPDIR
      ${compared}
      touch "$out"
    '';

  formatting =
    pkgs.runCommand "formatting"
      {
        nativeBuildInputs = [ pkgs.nixfmt ];
        source = builtins.path {
          name = "nix-files";
          path = self.outPath;
          filter = path: type: type == "directory" || pkgs.lib.hasSuffix ".nix" path;
        };
      }
      ''
        find "$source" -name '*.nix' -print0 | xargs -0 nixfmt --check
        touch "$out"
      '';
}
