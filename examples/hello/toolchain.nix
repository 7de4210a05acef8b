# gcc, binutils, libc and what a `./configure && make` needs, in one tree that runs from the store.
{ system, pin }:
let
  debian = import ./debian.nix pin;
  packages = builtins.mapAttrs debian.package pin.packages;
  busybox = debian.member "busybox-static" pin.busybox;
  toolchain = derivation {
    name = "toolchain";
    inherit system;
    # Nothing but a static busybox is there to begin with: no shell, no tar, no loader.
    builder = "${busybox}/${pin.busybox.member}";
    args = [
      "ash"
      "-e"
      ./toolchain.sh
    ];
    inherit (pin) triplet gcc loader;
    packages = builtins.attrValues (builtins.removeAttrs packages pin.patching);
    patching = map (name: packages.${name}) pin.patching;
  };
in
toolchain
