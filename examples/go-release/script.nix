# Derivations whose builder is a shell script, with the tools of examples/hello at hand: a shell, tar, gzip, strip.
{ system, pin }:
let
  toolchain = import ../hello/toolchain.nix { inherit system pin; };
  busybox = (import ../hello/debian.nix pin).member "busybox-static" pin.busybox;
in
{
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
