# A release of one variant: a program for each target, an archive of each, of the source and of the vendored
# dependencies, and the manifest. Every part is a derivation of its own, so each has a verdict of its own.
{
  go,
  native,
  # From a derivation to a derivation: what the variant's policies make of a program and of an archive
  program,
  archive,
}:
let
  name = "almanac";
  version = "1.0.0";
  targets = import ./targets.nix;

  binary =
    what: target:
    program (
      native.run "${name}-${what}-${version}"
        ''
          cp -r "$src" source
          chmod -R u+w source
          cd source
          ${go.buildSettings}
          export GOROOT="$go/share/go" GOFLAGS
          program=$out/bin/${name}
          if [ "$GOOS" = windows ]; then program=$program.exe; fi
          "$go/bin/go" build -buildvcs=false -ldflags="$ldflags" -o "$program" .

          # As Nixpkgs' fixup phase does, which goes on where the tool does not know the format.
          if [ -z "$dontStrip" ]; then
            strip -S "$program" || echo "not stripped: $program"
          fi
        ''
        (
          target
          // {
            go = go.toolchain;
            src = ./program;
            CGO_ENABLED = "0";
            GOFLAGS = [
              "-mod=vendor"
              "-trimpath"
            ];
            ldflags = [
              "-s"
              "-w"
              "-buildid="
              "-X"
              "main.version=${version}"
            ];
            dontStrip = false;
          }
        )
    );

  # GNU tar and gzip with nothing in their output but names and bytes; the date is that of the release.
  pack = ''
    pack() { # ARCHIVE FOLDER NAME
      tar --create --directory "$2" --transform "s,^\.,$3," --sort=name --mtime=@1767225600 \
        --owner=0 --group=0 --numeric-owner --mode=u+w,go-w --format=gnu . | gzip -9n > "$1"
    }
  '';
  packed =
    what: folder:
    archive (
      native.run "${name}-${what}-${version}.tar.gz" ''
        ${pack}
        pack "$out" "$folder" "${name}-${what}-${version}"
      '' { inherit folder; }
    );

  # Info-ZIP is not among the tools, and Go has a writer of zip archives.
  zip =
    native.run "zip"
      ''
        cp -r "$src" source
        chmod -R u+w source
        cd source
        ${go.buildSettings}
        export GOROOT="$go/share/go"
        "$go/bin/go" build -buildvcs=false -trimpath -ldflags=-buildid= -o "$out/bin/zip" .
      ''
      {
        go = go.toolchain;
        src = ./zip;
        CGO_ENABLED = "0";
      };
  zipped =
    what: folder:
    archive (
      native.run "${name}-${what}-${version}.zip"
        ''"$zip/bin/zip" "$out" "$folder" "${name}-${what}-${version}"''
        {
          inherit zip folder;
        }
    );
in
rec {
  binaries = builtins.mapAttrs binary targets;
  archives = builtins.mapAttrs (
    what: target: (if target.GOOS == "windows" then zipped else packed) what "${binaries.${what}}/bin"
  ) targets;
  source = packed "source" ./program;
  vendor = packed "vendor" ./program/vendor;

  # Everything that is published, and what `sha256sum -c` checks it with.
  release =
    native.run "${name}-${version}"
      ''
        mkdir "$out"
        cd "$out"
        for file in $files; do
          published=''${file##*/}
          cp "$file" "''${published#*-}"
        done
        for target in $targets; do
          eval "binary=\$$target"
          for program in "$binary"/bin/*; do
            extension=''${program##*/${name}}
            cp "$program" "${name}-$(echo "$target" | tr _ -)-${version}$extension"
          done
        done
        sha256sum -- * | sort -k 2 > "$NIX_BUILD_TOP/manifest"
        mv "$NIX_BUILD_TOP/manifest" "manifest-${version}.txt"
        cat "manifest-${version}.txt"
      ''
      (
        {
          targets = map (builtins.replaceStrings [ "-" ] [ "_" ]) (builtins.attrNames targets);
          files = builtins.attrValues archives ++ [
            source
            vendor
          ];
        }
        // builtins.listToAttrs (
          map (what: {
            name = builtins.replaceStrings [ "-" ] [ "_" ] what;
            value = binaries.${what};
          }) (builtins.attrNames targets)
        )
      );
}
