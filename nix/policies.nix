# The policies that `reprove policy` ships, as functions from a derivation to a derivation. Each gives the
# derivation path that the rewrite of the same name gives (`reprove policy apply --policy NAME`), because both
# set the same attributes to the same words:
#
#   policies.<name>        derivation -> derivation
#   apply [ name… ]        the same for several, in this order
#   overlays.go-unpatched  `final: prev: { … }`: changes the toolchain wherever it is used
#
# A derivation is anything with `overrideAttrs`, or what the bare `derivation` gives. Needs no library.
let
  inherit (builtins)
    appendContext
    attrNames
    attrValues
    concatMap
    elem
    filter
    foldl'
    getContext
    head
    intersectAttrs
    isAttrs
    isList
    isString
    listToAttrs
    mapAttrs
    match
    split
    storeDir
    unsafeDiscardStringContext
    ;

  # What a derivation is made of, after its own functions have had their say.
  attributesOf = drv: drv.drvAttrs;
  isFixedOutput = drv: (attributesOf drv).outputHash or null != null;
  isStructured = drv: (attributesOf drv).__structuredAttrs or false;

  # An attribute of the derivation; null for none. Nixpkgs keeps those of structured derivations that are
  # environment variables below `env`.
  get =
    drv: name:
    let
      attributes = attributesOf drv;
      env = attributes.env or { };
    in
    attributes.${name} or (if isStructured drv && isAttrs env then env.${name} or null else null);

  # The derivation with these attributes: below `env` what is there already (Nixpkgs wants each name in one
  # place only), beside it what is new.
  set =
    changes: drv:
    if changes == { } then
      drv
    else if drv ? overrideAttrs then
      drv.overrideAttrs (
        old:
        let
          below = intersectAttrs (old.env or { }) changes;
        in
        removeAttrs changes (attrNames below) // (if below == { } then { } else { env = old.env // below; })
      )
    else
      derivation (attributesOf drv // changes);

  # The same for variables that the builder's programs are to see. With structured attributes Nixpkgs exports what is
  # in `env`, as text, and nothing else.
  setVariables =
    changes: drv:
    let
      attributes = attributesOf drv;
      beside = intersectAttrs attributes changes;
      below = removeAttrs changes (attrNames beside);
    in
    if below != { } && isStructured drv && isAttrs (attributes.env or null) then
      set (beside // { env = attributes.env // mapAttrs (_: toString) below; }) drv
    else
      set changes drv;

  # Words of an attribute
  wordsIn = text: filter (word: isString word && word != "") (split "[ \t\n]+" text);
  append =
    value: words:
    let
      text = if value == null then "" else toString value;
      missing = filter (word: !elem word (wordsIn text)) words;
    in
    if missing == [ ] then
      value
    else if text == "" then
      missing
    else if isList value then
      value ++ missing
    else
      toString ([ text ] ++ missing);
  # `{ name = …; }` if words are missing there, nothing otherwise.
  appending =
    drv: name: words:
    let
      before = get drv name;
      after = append before words;
    in
    if after == before then { } else { ${name} = after; };

  # A Go build says so by one of these attributes.
  isGoBuild = drv: get drv "GOFLAGS" != null || get drv "ldflags" != null;
  unlessFixed = f: drv: if isFixedOutput drv then drv else f drv;
  ofGoBuilds = f: unlessFixed (drv: if isGoBuild drv then f drv else drv);

  isGo = name: match "go-[0-9].*" name != null;
  isToolchain = name: match "(go|gcc|rustc|clang)-[0-9].*|toolchain" name != null;

  # The texts that a derivation is made of.
  textsOf =
    value:
    if isString value then
      [ value ]
    else if isList value then
      concatMap textsOf value
    else if isAttrs value then
      (
        if value ? outPath || value ? __toString then
          [ (toString value) ]
        else
          concatMap textsOf (attrValues value)
      )
    else
      [ ];
  storePath = "(${storeDir}/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]+)";
  # The name in a store path
  nameIn = path: head (match "${storeDir}/[0-9a-z]{32}-(.*)" path);
  nameInDrv = path: head (match "(.*)[.]drv" (nameIn path));

  # The output paths among the inputs of a derivation, of derivations whose name `wanted` accepts, in the order of
  # these derivations' paths. A text's context says which outputs of which derivations it names, but not which
  # path is whose: the names do. (`import` of a .drv would tell, but not in every kind of store.)
  inputsOf =
    wanted: drv:
    let
      inputs = concatMap (
        text:
        let
          context = getContext text;
          paths = concatMap (part: if isList part then part else [ ]) (
            split storePath (unsafeDiscardStringContext text)
          );
          of =
            path:
            concatMap (
              output:
              let
                name = nameInDrv path + (if output == "out" then "" else "-${output}");
              in
              map (found: {
                name = "${path}!${output}";
                value = appendContext found { ${path}.outputs = [ output ]; };
              }) (filter (found: nameIn found == name) paths)
            ) context.${path}.outputs or [ ];
        in
        concatMap of (
          filter (path: context.${path} ? outputs && wanted (nameInDrv path)) (attrNames context)
        )
      ) (textsOf (attributesOf drv));
    in
    # Sorted by derivation and output, each once.
    attrValues (listToAttrs inputs);

  policies = {
    # No strip after the link.
    dont-strip = unlessFixed (set {
      dontStrip = true;
    });

    # Upstream's toolchain: no store paths in its library, and its own programs as they were linked.
    go-unpatched = unlessFixed (
      drv:
      let
        attributes = attributesOf drv;
        patches = attributes.patches or null;
      in
      if isGo attributes.name && patches != null && toString patches != "" then
        set {
          patches = [ ];
          dontStrip = true;
        } drv
      else
        drv
    );

    # What a release needs to come out the same for everybody.
    go-release-flags = ofGoBuilds (
      drv:
      set (appending drv "ldflags" [ "-buildid=" ]) (
        setVariables (
          {
            CGO_ENABLED = "0";
            GOAMD64 = "v1";
          }
          // appending drv "GOFLAGS" [ "-trimpath" ]
        ) drv
      )
    );

    # No symbol table and no debugging information, by the linker and not by strip.
    go-omit-symbols = ofGoBuilds (
      drv:
      set (appending drv "ldflags" [
        "-s"
        "-w"
      ]) drv
    );

    # 1980-01-01, where a derivation does not say otherwise: the first day that zip knows.
    source-date-epoch = unlessFixed (
      drv:
      let
        epoch = get drv "SOURCE_DATE_EPOCH";
      in
      if epoch == null || toString epoch == "" then
        setVariables { SOURCE_DATE_EPOCH = "315532800"; } drv
      else
        drv
    );

    # What was built may not name the toolchain that built it.
    no-references-to = unlessFixed (
      drv:
      let
        attributes = attributesOf drv;
        forbidden = inputsOf isToolchain drv;
        checks = attributes.outputChecks or { };
        checked = foldl' (
          checks: output:
          let
            before = checks.${output}.disallowedReferences or [ ];
            there = map toString before;
            missing = filter (path: !elem path there) forbidden;
          in
          if missing == [ ] then
            checks
          else
            checks
            // {
              ${output} = checks.${output} or { } // {
                disallowedReferences = before ++ missing;
              };
            }
        ) checks (attributes.outputs or [ "out" ]);
      in
      if forbidden == [ ] then
        drv
      else if isStructured drv then
        (if checked == checks then drv else set { outputChecks = checked; } drv)
      else
        set (appending drv "disallowedReferences" forbidden) drv
    );

    single-core = unlessFixed (setVariables {
      NIX_BUILD_CORES = 1;
    });

    # Archives without the order, the owners and the dates that files happen to have.
    normalized-archives = unlessFixed (setVariables {
      TAR_OPTIONS = "--sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner --format=gnu";
      GZIP = "-n";
      ZERO_AR_DATE = "1";
    });
  };
in
{
  inherit policies;

  apply = names: drv: foldl' (drv: name: policies.${name} drv) drv names;

  overlays = {
    # Nixpkgs has a toolchain for each release of Go, and its builders use these and not the alias `go`.
    go-unpatched =
      final: prev:
      listToAttrs (
        map (name: {
          inherit name;
          value = policies.go-unpatched prev.${name};
        }) (filter (name: match "go_[0-9_]+" name != null) (attrNames prev))
      );
  };
}
