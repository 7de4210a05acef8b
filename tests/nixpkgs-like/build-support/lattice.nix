# Layers of derivations, each of which needs two of the layer below, so that there are diamonds everywhere.
{
  lib,
  stdenv,
  zlib,
  courier,
}:
{ layers, width }:
let
  node =
    below: layer: place:
    stdenv.mkDerivation (
      {
        name = "lattice-${toString layer}-${toString place}";
        buildInputs = [
          (builtins.elemAt below place)
          (builtins.elemAt below (lib.mod (place + 1) width))
        ];
      }
      // lib.optionalAttrs (lib.mod place 3 == 1) { __structuredAttrs = true; }
    );
  bottom = lib.genList (
    place:
    stdenv.mkDerivation {
      name = "lattice-0-${toString place}";
      buildInputs = lib.optional (place == 0) courier ++ lib.optional (place == 1) zlib;
    }
  ) width;
  top = builtins.foldl' (below: layer: lib.genList (node below layer) width) bottom (
    lib.range 1 layers
  );
in
stdenv.mkDerivation {
  name = "lattice";
  buildInputs = top;
}
