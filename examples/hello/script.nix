# Derivations whose builder is a shell script, with the tools of this folder at hand: a shell, tar, gzip, strip. For the
# examples beside this one.
{ system, pin }:
let
  toolchain = import ./toolchain.nix { inherit system pin; };
  busybox = (import ./debian.nix pin).member "busybox-static" pin.busybox;
in
{
  inherit toolchain;
  run =
    name: text: attributes:
    derivation (
      {
        inherit name system;
        builder = "${toolchain}/bin/sh";
        args = [
          "-euc"
          ''
            busybox() { "$busybox" "$@"; }
            ${text}
          ''
        ];
        PATH = "${toolchain}/bin";
        busybox = "${busybox}/${pin.busybox.member}";
      }
      // attributes
    );
}
