# A Go program released for nine targets, in three variants that differ in what two causes of different bytes do:
# a toolchain with store paths in its library, and a strip after the link.
#
# No inputs: the tools are those of examples/hello, and Go is pinned by hash.
{
  description = "Release binaries of a Go program: as Nixpkgs builds them, without strip, and by policies";

  outputs =
    { self }:
    let
      pins = builtins.fromJSON (builtins.readFile ../hello/pins.json);
      inherit (import ../../nix/policies.nix) apply;

      scripts = builtins.mapAttrs (system: pin: import ../hello/script.nix { inherit system pin; }) pins;
      goFor =
        system: _:
        import ./go.nix {
          inherit system;
          scriptFor = system: scripts.${system};
        };
      gos = builtins.mapAttrs goFor scripts;

      variantsFor =
        system: native:
        let
          go = gos.${system};
          release = arguments: import ./release.nix ({ inherit go native; } // arguments);
          same = drv: drv;
        in
        {
          # What two maintainers on different hosts have.
          nixpkgs = release {
            program = same;
            archive = same;
          };
          dont-strip = release {
            program = apply [ "dont-strip" ];
            archive = same;
          };
          policies = release {
            go = go // {
              toolchain = apply [ "go-unpatched" ] go.toolchain;
            };
            program = apply [
              "dont-strip"
              "go-release-flags"
              "go-omit-symbols"
            ];
            archive = apply [ "normalized-archives" ];
          };
        };
      releases = builtins.mapAttrs variantsFor scripts;

      # `policies-linux-amd64`, for all variants and targets of a system.
      flat =
        variants:
        builtins.listToAttrs (
          builtins.concatMap (
            variant:
            map (target: {
              name = "${variant}-${target}";
              value = variants.${variant}.binaries.${target};
            }) (builtins.attrNames variants.${variant}.binaries)
            ++ [
              {
                name = "${variant}-release";
                value = variants.${variant}.release;
              }
            ]
          ) (builtins.attrNames variants)
        );
    in
    {
      packages = builtins.mapAttrs (
        system: variants:
        let
          go = gos.${system};
        in
        flat variants
        // {
          default = variants.policies.release;
          # A second program: Go's own `go`, to be compared with the one in the wheel, below `share/go/bin`.
          cmd-go = import ./cmd-go.nix {
            inherit go;
            native = scripts.${system};
          };
          go-upstream = go.upstream;
        }
      ) releases;
      # The parts: `.#policies.archives.linux-amd64`, `.#policies.source`, `.#nixpkgs.vendor`.
      legacyPackages = releases;
    };
}
