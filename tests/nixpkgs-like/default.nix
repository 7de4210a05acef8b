# The package set: what packages.nix says, and then each overlay.
{
  system,
  overlays ? [ ],
  config ? { },
}:
let
  lib = import ./lib.nix;
  base = final: {
    inherit lib config overlays;
    # One platform: what runs at build time is what is built.
    pkgs = final;
    buildPackages = final;
    callPackage = lib.callPackageWith final;
    extend =
      overlay:
      import ./. {
        inherit system config;
        overlays = overlays ++ [ overlay ];
      };
  };
  bootstrap = _: _: import ./stdenv { inherit lib system; };
in
lib.fix (
  builtins.foldl' (set: overlay: lib.extends overlay set) base (
    [
      bootstrap
      (import ./packages.nix)
    ]
    ++ overlays
  )
)
