# Real software, from Debian's source packages: leaves without dependencies, and what is built upon them. No inputs:
# the toolchain is that of examples/hello, and sources.json names the bytes of every source.
{
  description = "A small package set, for a mirror to be filled from";

  outputs =
    { self }:
    let
      pins = builtins.fromJSON (builtins.readFile ../hello/pins.json);
    in
    {
      packages = builtins.mapAttrs (system: pin: import ./packages.nix { inherit system pin; }) pins;
    };
}
