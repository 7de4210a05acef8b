# What there is to build, all of it with the toolchain of this folder.
{ system, pin }:
let
  toolchain = import ./toolchain.nix { inherit system pin; };
  debian = import ./debian.nix pin;

  # A derivation whose builder is a shell script, with the toolchain's programs at hand.
  script =
    name: text: attributes:
    derivation (
      {
        inherit name system;
        builder = "${toolchain}/bin/sh";
        args = [
          "-ec"
          text
        ];
        PATH = "${toolchain}/bin";
      }
      // attributes
    );

  # A program of one C file; `defines` is shell text that may set $flags first.
  program =
    name: source: defines:
    script name ''
      mkdir -p "$out/bin"
      flags=
      ${defines}
      cc -O2 -o "$out/bin/$name" $flags "$source"
    '' { inherit source; };

  told = name: value: program name ./programs/told.c ''flags="-DTOLD=\"${value}\""'';

  packages = {
    inherit toolchain;

    # GNU hello from its release tarball.
    hello =
      script "hello-2.10"
        ''
          tar -xzf "$src"
          cd hello-2.10
          # Its config.guess is older than riscv64, so say what this is.
          sh ./configure --build="$triplet" --prefix="$out" --disable-dependency-tracking --disable-nls
          make SHELL="$SHELL"
          make SHELL="$SHELL" install
        ''
        {
          src = debian.source "hello" pin.hello;
          inherit (pin) triplet;
          CONFIG_SHELL = "${toolchain}/bin/sh";
          SHELL = "${toolchain}/bin/sh";
        };

    # The quick one.
    greeting = program "greeting" ./programs/greeting.c "";

    # Each of these depends on one thing of the machine it is built in.
    dated = program "dated" ./programs/dated.c "";
    seeded = told "seeded" "$(od -An -N16 -tx8 /dev/urandom | tr -d ' ')";
    cores = told "cores" "$NIX_BUILD_CORES";
    hostnamed = told "hostnamed" "$(cat /proc/sys/kernel/hostname)";

    # Three outputs that know each other: `dev` names `out`, and `doc` names both.
    multi =
      script "multi"
        ''
          mkdir -p "$out/lib" "$dev/include" "$dev/lib/pkgconfig" "$doc"
          printf 'int answer(void) { return 42; }\n' > answer.c
          cc -O2 -shared -fPIC -o "$out/lib/libanswer.so" answer.c
          printf 'int answer(void);\n' > "$dev/include/answer.h"
          printf 'Libs: -L%s/lib -lanswer\nCflags: -I%s/include\n' "$out" "$dev" > "$dev/lib/pkgconfig/answer.pc"
          printf 'The library is %s, its header is in %s.\n' "$out/lib/libanswer.so" "$dev" > "$doc/README"
        ''
        {
          outputs = [
            "out"
            "dev"
            "doc"
          ];
        };

    # Two derivations of one, joined by a fourth.
    diamond =
      let
        tip = script "diamond-tip" ''printf 'tip\n' > "$out"'' { };
        side = name: script "diamond-${name}" ''{ cat "$tip"; echo "$name"; } > "$out"'' { inherit tip; };
      in
      script "diamond"
        ''
          mkdir "$out"
          ln -s "$left" "$out/left"
          cat "$left" "$right" > "$out/joined"
        ''
        {
          left = side "left";
          right = side "right";
        };

    # The date of one input comes through one side of a diamond and not through the other.
    stamped =
      let
        stamp = script "stamp" ''date > "$out"'' { };
        copied = script "stamp-copied" ''{ cat "$stamp"; echo copied; } > "$out"'' { inherit stamp; };
        lines = script "stamp-lines" ''while read -r line; do echo line; done < "$stamp" > "$out"'' {
          inherit stamp;
        };
      in
      script "stamped" ''cat "$copied" "$lines" > "$out"'' { inherit copied lines; };

    # Nothing of who builds it is in it.
    note = script "note" ''mkdir "$out"; printf 'the same everywhere\n' > "$out/note.txt"'' { };

    default = packages.greeting;
  };
in
packages
