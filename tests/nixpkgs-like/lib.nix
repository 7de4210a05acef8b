# The few functions that everything here, and a flake that gets this tree for Nixpkgs, needs.
let
  inherit (builtins)
    attrNames
    concatLists
    concatStringsSep
    filter
    functionArgs
    intersectAttrs
    isAttrs
    isList
    listToAttrs
    mapAttrs
    ;

  lib = {
    # Functions and sets
    isFunction =
      f: builtins.isFunction f || (isAttrs f && f ? __functor && lib.isFunction (f.__functor f));
    functionArgs = f: if f ? __functor then f.__functionArgs or { } else functionArgs f;
    id = x: x;
    optional = condition: x: if condition then [ x ] else [ ];
    optionals = condition: xs: if condition then xs else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    optionalString = condition: text: if condition then text else "";
    toList = x: if isList x then x else [ x ];
    mod = a: b: a - b * (a / b);
    range = from: to: if from > to then [ ] else builtins.genList (n: from + n) (to - from + 1);
    last = list: builtins.elemAt list (builtins.length list - 1);
    unique = builtins.foldl' (seen: x: if builtins.elem x seen then seen else seen ++ [ x ]) [ ];
    flatten = x: if isList x then builtins.concatMap lib.flatten x else [ x ];
    inherit (builtins)
      concatMap
      foldl'
      genList
      hasAttr
      head
      tail
      ;
    inherit
      attrNames
      concatLists
      concatStringsSep
      filter
      isAttrs
      isList
      listToAttrs
      mapAttrs
      ;
    nameValuePair = name: value: { inherit name value; };
    genAttrs = names: f: listToAttrs (map (name: lib.nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    recursiveUpdate =
      a: b:
      a
      // mapAttrs (
        name: value:
        if a ? ${name} && isAttrs a.${name} && isAttrs value then
          lib.recursiveUpdate a.${name} value
        else
          value
      ) b;

    # Fixpoints
    fix =
      f:
      let
        x = f x;
      in
      x;
    extends =
      overlay: f: final:
      let
        prev = f final;
      in
      prev // overlay final prev;
    composeManyExtensions = builtins.foldl' (
      f: g: final: prev:
      let
        applied = f final prev;
      in
      applied // g final (prev // applied)
    ) (final: prev: { });
    # `{ … }`, `old: { … }` or `final: old: { … }` as an overlay
    toExtension =
      f:
      if lib.isFunction f then
        final: prev:
        let
          once = f prev;
        in
        if lib.isFunction once then f final prev else once
      else
        final: prev: f;

    # Packages
    makeOverridable =
      f: arguments:
      let
        result = f arguments;
        override =
          new: lib.makeOverridable f (arguments // (if lib.isFunction new then new arguments else new));
      in
      if isAttrs result then
        result
        // {
          inherit override;
          overrideAttrs = change: lib.makeOverridable (a: (f a).overrideAttrs change) arguments;
        }
      else
        {
          __functor = _: result;
          __functionArgs = lib.functionArgs result;
          inherit override;
        };
    callPackageWith =
      scope: file: arguments:
      let
        f = if lib.isFunction file then file else import file;
      in
      lib.makeOverridable f (intersectAttrs (lib.functionArgs f) scope // arguments);
    getOutput = output: package: package.${output} or package.out or package;
    getDev = lib.getOutput "dev";
    getExe = package: "${lib.getOutput "bin" package}/bin/${package.meta.mainProgram or package.pname}";
    makeBinPath =
      packages: concatStringsSep ":" (map (package: "${lib.getOutput "bin" package}/bin") packages);

    # Text
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    removePrefix =
      prefix: text:
      if lib.hasPrefix prefix text then
        builtins.substring (builtins.stringLength prefix) (builtins.stringLength text) text
      else
        text;
    hasSuffix =
      suffix: text:
      let
        length = builtins.stringLength text;
        skipped = length - builtins.stringLength suffix;
      in
      skipped >= 0 && builtins.substring skipped length text == suffix;
    removeSuffix =
      suffix: text:
      if lib.hasSuffix suffix text then
        builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text
      else
        text;
    concatMapStringsSep =
      separator: f: xs:
      concatStringsSep separator (map f xs);
    escapeShellArg = word: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString word)}'";
    escapeShellArgs = words: concatStringsSep " " (map lib.escapeShellArg words);
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    importTOML = file: builtins.fromTOML (builtins.readFile file);

    # Modules: enough to see what one declares and what it gives
    mkOption = option: option // { _type = "option"; };
    mkEnableOption =
      name:
      lib.mkOption {
        default = false;
        description = "Whether to enable ${name}.";
      };
    mkIf = condition: content: if condition then content else { };
    literalExpression = text: text;
    types = {
      listOf = element: "list of ${element}";
      nullOr = element: "null or ${element}";
      ints.positive = "positive integer";
      package = "package";
      path = "path";
      str = "string";
    };

    licenses = {
      mit.spdxId = "MIT";
      asl20.spdxId = "Apache-2.0";
    };
    platforms.unix = [ ];
    platforms.linux = [ ];
  };
in
lib
