# How a package of this folder is made: from a source package of Debian's archive that sources.json pins, with the
# toolchain of examples/hello.
{ system, pin }:
let
  native = import ../hello/script.nix { inherit system pin; };
  debian = import ../hello/debian.nix pin;
  sources = builtins.fromJSON (builtins.readFile ./sources.json);

  # `1:1.2.13.dfsg-1` is version 1.2.13.dfsg
  upstream = version: builtins.elemAt (builtins.match "([0-9]+:)?(.*)-[^-]*" version) 1;
in
rec {
  # The archive that sources.json names.
  source =
    name:
    let
      pinned = sources.${name};
    in
    debian.source pinned.package (removeAttrs pinned [ "package" ]);

  # A derivation whose builder has setup.sh, and `inputs` in its reach.
  build =
    name: inputs: text: attributes:
    native.run name
      ''
        . "$setup"
        ${text}
      ''
      (
        {
          inherit inputs;
          inherit (pin) triplet;
          inherit (native) toolchain;
          setup = ./setup.sh;
          # Two policies of reprove's: compilers and archivers that want a date have one, and nothing is stripped after the
          # link, by a `strip` that may be another one on another host.
          SOURCE_DATE_EPOCH = "315532800";
          dontStrip = true;
        }
        // attributes
      );

  # A package: its source is unpacked, and `text` is run in it.
  package =
    name: inputs: text:
    build "${name}-${upstream sources.${name}.version}" inputs ''
      unpack "$src" source
      cd source
      ${text}
    '' { src = source name; };
}
