{
  description = "In the place of Nixpkgs, to evaluate a flake with no network";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
        "riscv64-linux"
      ] (system: import ./. { inherit system; });
    };
}
