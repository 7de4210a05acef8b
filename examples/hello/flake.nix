# A small standard environment of Debian packages pinned by hash, and programs built with it.
# No inputs: everything from outside is a fixed-output derivation, and pins.json names its bytes.
{
  description = "GNU hello and small programs, built with Debian's gcc";

  outputs =
    { self }:
    let
      pins = builtins.fromJSON (builtins.readFile ./pins.json);
      forEachSystem = f: builtins.mapAttrs f pins;
    in
    {
      packages = forEachSystem (system: pin: import ./packages.nix { inherit system pin; });
      # Builds that misbehave, each in its own way: `.#hostile.forks`.
      legacyPackages = forEachSystem (
        system: pin: { hostile = import ./hostile.nix { inherit system pin; }; }
      );
    };
}
