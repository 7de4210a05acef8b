# All packages of one system. A file of them is a function of what makes packages, and of all packages.
{ system, pin }:
let
  make = import ./package.nix { inherit system pin; };
  parts = map (file: import file make self) [
    ./compression.nix
    ./archives.nix
    ./text.nix
    ./languages.nix
    ./libraries.nix
  ];
  self = builtins.foldl' (all: part: all // part) { } parts;
  clockwork = make.build "clockwork" [ ] ''date +%s.%N > "$out"'' { };
in
self
// {
  # Names everything above.
  all = make.build "all" (builtins.attrValues self) ''
    mkdir "$out"
    for package in $inputs; do
      name=''${package##*/}
      ln -s "$package" "$out/''${name#*-}"
    done
  '' { };
  default = self.zlib;

  # Not for anybody: it holds the time of its build, and so do the bits of what is built from it.
  inherit clockwork;
  pendulum = make.build "pendulum" [ clockwork ] ''
    { cat "$inputs"; echo tick; } > "$out"
  '' { };
}
