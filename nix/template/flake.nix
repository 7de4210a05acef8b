{
  description = "Outputs that anyone can verify: `nix run .#verify`";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    # Where reprove is: `nix registry add reprove …` tells nix, or write its address here.
    reprove.url = "flake:reprove";
    reprove.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      reprove,
    }:
    let
      forEachSystem = nixpkgs.lib.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      packages = forEachSystem (system: {
        default = nixpkgs.legacyPackages.${system}.hello;
      });
    }
    // reprove.lib.mkVerify { inherit self; };
}
