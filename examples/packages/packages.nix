# All packages of one system. A file of them is a function of what makes packages, and of all packages.
{ system, pin }:
let
  packaging = import ./package.nix { inherit system pin; };
  parts = map (file: import file packaging self) [
    ./compression.nix
    ./archives.nix
    ./text.nix
    ./languages.nix
    ./libraries.nix
  ];
  self = builtins.foldl' (all: part: all // part) { } parts;
  # A folder of links, which names many packages.
  links =
    name: packages:
    packaging.build name packages ''
      mkdir "$out"
      for package in $inputs; do
        name=''${package##*/}
        ln -s "$package" "$out/''${name#*-}"
      done
    '' { };
  clockwork = packaging.build "clockwork" [ ] ''date +%s > "$out"'' { };
in
self
// {
  # Everything above.
  all = links "all" (builtins.attrValues self);
  # What no configure script of Autoconf's has to be run for, which is what takes a machine long.
  quick = links "quick" (
    with self;
    [
      bzip2
      ed
      expat
      jimtcl
      libpng
      lua
      lua-cjson
      lua-filesystem
      lua-lpeg
      lz4
      make
      minizip
      pcre2
      sqlite
      tree
      zlib
    ]
  );
  # Two upon one, and two alone, in the least time.
  few = links "few" (
    with self;
    [
      ed
      libpng
      minizip
      tree
      zlib
    ]
  );
  default = self.zlib;

  # Not for anybody: it holds the time of its build, and so do the bits of what is built from it.
  inherit clockwork;
  pendulum = packaging.build "pendulum" [ clockwork ] ''
    { cat "$inputs"; echo tick; } > "$out"
  '' { };
}
