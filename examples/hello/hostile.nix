# Builds that misbehave. None may take a machine, a disk or a verdict with it.
{ system, pin }:
let
  debian = import ./debian.nix pin;
  busybox = debian.member "busybox-static" pin.busybox;

  build =
    name: text: attributes:
    derivation (
      {
        inherit name system;
        builder = "${busybox}/${pin.busybox.member}";
        args = [
          "ash"
          "-ec"
          ''busybox() { "$builder" "$@"; }; ${text}''
        ];
      }
      // attributes
    );

  # A fixed-output source that is meant to be had from the given place.
  source =
    name: url: sha256:
    derivation {
      inherit name url;
      builder = "builtin:fetchurl";
      system = "builtin";
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
      outputHash = sha256;
    };
in
{
  # Run time
  forks = build "forks" "bomb() { bomb | bomb & }; bomb; while :; do busybox sleep 1; done" { };
  endless = build "endless" "while :; do :; done" { };
  sleeps = build "sleeps" "while :; do busybox sleep 1000; done" { };
  prints = build "prints" "busybox yes 'and on, and on'" { };
  fills-disk = build "fills-disk" ''busybox dd if=/dev/zero of="$out" bs=1M'' { };
  fills-inodes =
    build "fills-inodes" ''busybox mkdir "$out"; n=0; while :; do n=$((n+1)); : > "$out/$n"; done''
      { };
  eats-memory = build "eats-memory" ''busybox tail /dev/zero > "$out"'' { };

  # What is left behind
  fails = build "fails" "echo 'no luck today'; exit 3" { };
  no-output = build "no-output" "exit 0" { };
  one-of-two = build "one-of-two" ''echo one > "$out"'' {
    outputs = [
      "out"
      "lib"
    ];
  };
  fifo = build "fifo" ''busybox mkdir "$out"; busybox mkfifo "$out/pipe"'' { };
  # No program of busybox binds one to a path, but an archive may hold one.
  socket = build "socket" ''
    entry() { printf "070701%08X%08X%072d%08X%08X$3\0\0\0\0" 1 "$1" 0 "$2" 0; }
    busybox mkdir "$out"
    cd "$out"
    { entry 0140644 7 socket; entry 0 11 'TRAILER!!!'; } | busybox cpio -i
  '' { };
  leftover = build "leftover" ''
    (while :; do echo late >> "$out"; done) &
    echo early > "$out"
  '' { };

  # What cannot be known before the build
  content-addressed = build "content-addressed" ''echo anything > "$out"'' {
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
  };

  # What is promised and not kept
  wrong-hash = build "wrong-hash" ''echo surprise > "$out"'' {
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = "0000000000000000000000000000000000000000000000000000000000000001";
  };
  missing-source = build "missing-source" ''busybox cp "$src" "$out"'' {
    src =
      source "nowhere.tar.gz" "file:///nonexistent/nowhere.tar.gz"
        "0000000000000000000000000000000000000000000000000000000000000002";
  };
  # A source whose bytes are at hand, under another hash.
  wrong-source = build "wrong-source" ''busybox cp "$src" "$out"'' {
    src = debian.source "hello" (
      pin.hello // { sha256 = "0000000000000000000000000000000000000000000000000000000000000003"; }
    );
  };
}
