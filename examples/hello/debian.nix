# Files of Debian's archive as fixed-output derivations. Their `apt:` addresses are for `reprove`,
# whose package client finds them; `nix` itself only ever sees them already in its store.
{ suite, arch, ... }:
let
  # Store path names know no `~` and no `:`.
  nameOf = builtins.replaceStrings [ "~" ":" "%3a" ] [ "-" "-" "-" ];

  fetch =
    attributes:
    derivation (
      {
        builder = "builtin:fetchurl";
        system = "builtin";
        outputHashAlgo = "sha256";
        outputHashMode = "flat";
        preferLocalBuild = true;
        unpack = "";
        executable = "";
      }
      // attributes
    );
in
{
  # A .deb file as it is in the archive.
  package =
    name:
    { version, sha256 }:
    fetch {
      name = nameOf "${name}_${version}.deb";
      url = "apt:${suite}/${arch}/${name}=${version}";
      outputHash = sha256;
    };

  # One executable member of a .deb, at the same place in a tree of its own.
  member =
    name:
    {
      version,
      member,
      sha256,
    }:
    fetch {
      name = nameOf name;
      url = "apt:${suite}/${arch}/${name}=${version}#${member}";
      outputHashMode = "recursive";
      outputHash = sha256;
    };

  # A file of a source package.
  source =
    name:
    {
      suite,
      version,
      file,
      sha256,
    }:
    fetch {
      name = nameOf file;
      url = "apt:${suite}/source/${name}=${version}/${file}";
      outputHash = sha256;
    };
}
