# A file in which `@name@` stands for a value: how store paths get into patches.
{ lib, stdenv }:
file: values:
stdenv.mkDerivation {
  name = baseNameOf (toString file);
  src = file;
  preferLocalBuild = true;
  allowSubstitutes = false;
  substitutions = lib.concatLists (
    lib.mapAttrsToList (name: value: [
      "--subst-var-by"
      name
      value
    ]) values
  );
}
