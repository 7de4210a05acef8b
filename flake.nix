{
  description = "Proves, again and independently, that published bits come from their source";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";

  outputs =
    { self, nixpkgs }:
    let
      # Where reprove has been seen to run, or is expected to: Linux.
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "riscv64-linux"
      ];
      forEachSystem =
        f:
        nixpkgs.lib.genAttrs systems (
          system: f nixpkgs.legacyPackages.${system} self.packages.${system}.reprove
        );
      policies = import ./nix/policies.nix;
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: rec {
        reprove = nixpkgs.legacyPackages.${system}.callPackage ./nix/package.nix { };
        default = reprove;
      });

      # `nix run .#verify` verifies the flake in the current folder, `nix run .#verify -- FLAKE#ATTRIBUTE` any other.
      apps = forEachSystem (
        pkgs: reprove: {
          default = {
            type = "app";
            program = "${reprove}/bin/reprove";
            meta.description = "reprove, with nix and QEMU at hand";
          };
          verify = {
            type = "app";
            program = "${pkgs.writeShellScript "verify" ''exec ${reprove}/bin/reprove verify "$@"''}";
            meta.description = "Build the outputs of a flake again in deterministic machines, and compare every bit";
          };
        }
      );

      # What a flake's author writes one line with; policies as functions from derivation to derivation.
      lib = {
        mkVerify = import ./nix/verify.nix {
          inherit nixpkgs;
          inherit (self) packages;
        };
        inherit (policies) policies;
        applyPolicies = policies.apply;
      };

      overlays = {
        default = final: _: { reprove = final.callPackage ./nix/package.nix { }; };
      }
      // policies.overlays;

      checks = forEachSystem (pkgs: reprove: import ./nix/checks.nix { inherit pkgs reprove self; });
      devShells = forEachSystem (
        pkgs: reprove: { default = pkgs.callPackage ./nix/shell.nix { inherit reprove; }; }
      );
      formatter = forEachSystem (pkgs: _: pkgs.nixfmt-tree);

      nixosModules.default = import ./nix/module.nix self.packages;

      templates.default = {
        path = ./nix/template;
        description = "A flake whose outputs anyone can verify with `nix run .#verify`";
      };
    };
}
