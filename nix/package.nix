{
  lib,
  stdenv,
  rustPlatform,
  makeWrapper,
  installShellFiles,
  nix,
  qemu,
  git,
}:
let
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
  # Of the repository, what cargo wants to see; a change of a test or a page builds nothing anew.
  wanted = [
    "Cargo.lock"
    "Cargo.toml"
    "benches"
    "riscv"
    "src"
  ];
  top = toString ../.;
in
rustPlatform.buildRustPackage {
  pname = "reprove";
  inherit (manifest.package) version;

  src = builtins.path {
    name = "reprove-source";
    path = ../.;
    filter =
      path: _:
      let
        inside = lib.removePrefix "${top}/" (toString path);
      in
      builtins.elem (builtins.head (builtins.split "/" inside)) wanted;
  };
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [
    installShellFiles
    makeWrapper
  ];

  # The tests compare with two dozen other programs and boot machines: scripts/test runs them.
  doCheck = false;

  # It works with nix, QEMU and git: with the user's own where there are any.
  postInstall = ''
    wrapProgram $out/bin/reprove --suffix PATH : ${
      lib.makeBinPath [
        nix
        qemu
        git
      ]
    }
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash fish zsh; do
      installShellCompletion --cmd reprove --$shell <($out/bin/reprove completions $shell)
    done
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    $out/bin/reprove --version | grep -F ${manifest.package.version}
    $out/bin/reprove explain RP0210 > /dev/null
    runHook postInstallCheck
  '';

  meta = {
    inherit (manifest.package) description;
    license = [
      lib.licenses.mit
      lib.licenses.asl20
    ];
    mainProgram = "reprove";
    platforms = lib.platforms.linux;
  };
}
