# A service that verifies flake outputs on a schedule. The unit fails when bits differ, or could not be compared.
packages:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.reprove;
  reprove = "${cfg.package}/bin/reprove";
  found = "${cfg.stateDir}/verify.json";
  statements = "${cfg.stateDir}/verify.jsonl";
  arguments = [
    "--state"
    cfg.stateDir
    "--json"
    found
    "--html"
    "${cfg.stateDir}/verify.html"
    "--rounds"
    (toString cfg.rounds)
  ]
  ++ lib.concatMap (reference: [
    "--against"
    reference
  ]) cfg.against
  ++ lib.concatMap (key: [
    "--trusted-public-keys"
    key
  ]) cfg.trustedPublicKeys
  ++ lib.concatMap (policy: [
    "--policy"
    policy
  ]) cfg.policies
  ++ cfg.extraArguments
  ++ [ "--" ]
  ++ cfg.installables;
  verify = "${reprove} verify ${lib.escapeShellArgs arguments}";
  attest = lib.escapeShellArgs [
    "--state"
    cfg.stateDir
    "--to"
    statements
    found
  ];
  isSigned = cfg.signingKeyFile != null;
  # What differs is worth a statement as much as what does not. An older result is not signed again.
  verifyAndSign = ''
    rm -f ${lib.escapeShellArgs [ found statements ]}
    status=0
    ${verify} || status=$?
    if [ -e ${lib.escapeShellArg found} ]; then
      ${reprove} attest make --key "$CREDENTIALS_DIRECTORY/signing-key" ${attest}
    fi
    exit "$status"
  '';
in
{
  options.services.reprove = {
    enable = lib.mkEnableOption "verification of flake outputs in deterministic machines";
    package = lib.mkOption {
      type = lib.types.package;
      default = packages.${pkgs.stdenv.hostPlatform.system}.reprove;
      defaultText = lib.literalExpression "the flake's own";
      description = "The package that has `reprove`.";
    };
    installables = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      example = [ "github:owner/project#default" ];
      description = "What to verify, as `nix build` spells it.";
    };
    schedule = lib.mkOption {
      type = lib.types.str;
      default = "weekly";
      description = "When, as a calendar event of systemd.time(7).";
    };
    stateDir = lib.mkOption {
      type = lib.types.path;
      default = "/var/lib/reprove";
      description = "Where builds, run records and the report (verify.json, verify.html) are kept.";
    };
    rounds = lib.mkOption {
      type = lib.types.ints.positive;
      default = 2;
      description = "How many times each output is built, each time under other machine settings.";
    };
    against = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "https://cache.example.org" ];
      description = "What else to compare with: `nix`, a store path, or the address of a binary cache.";
    };
    trustedPublicKeys = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Keys that a binary cache's signatures must be of, as nix.conf spells them.";
    };
    policies = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "go-unpatched" ];
      description = "Policies that the derivations are made to follow before they are built, see `reprove policy list`.";
    };
    signingKeyFile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/run/keys/reprove";
      description = "A secret key of `nix key generate-secret`, readable by root only: what is found is then written as signed statements too (verify.jsonl, see `reprove attest`).";
    };
    extraArguments = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [
        "--depth"
        "0"
        "--trust-substitutes"
      ];
      description = "More arguments for `reprove verify`.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.reprove = {
      isSystemUser = true;
      group = "reprove";
      home = cfg.stateDir;
    };
    users.groups.reprove = { };
    systemd.tmpfiles.rules = [ "d ${cfg.stateDir} 0750 reprove reprove - -" ];

    systemd.services.reprove = {
      description = "Verification of flake outputs";
      after = [ "network-online.target" ];
      wants = [ "network-online.target" ];
      startAt = cfg.schedule;
      environment.HOME = cfg.stateDir;
      script = if isSigned then verifyAndSign else "exec ${verify}";
      serviceConfig = {
        Type = "oneshot";
        User = "reprove";
        LoadCredential = lib.optional isSigned "signing-key:${cfg.signingKeyFile}";
        Group = "reprove";
        ReadWritePaths = [ cfg.stateDir ];
        Nice = 19;
        IOSchedulingClass = "idle";
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectHome = true;
        ProtectSystem = "strict";
      };
    };
    # One that was missed while the machine was off is made up for.
    systemd.timers.reprove.timerConfig.Persistent = true;
  };
}
