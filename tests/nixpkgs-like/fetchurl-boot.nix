# A source that Nix itself would fetch. Its hash is of its seed: nobody will ever have these bytes.
{
  name,
  seed,
  executable ? false,
}:
derivation {
  inherit name executable;
  builder = "builtin:fetchurl";
  system = "builtin";
  url = "https://sources.invalid/${name}";
  urls = [ "https://sources.invalid/${name}" ];
  unpack = false;
  preferLocalBuild = true;
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
  ];
  outputHashAlgo = "sha256";
  outputHashMode = if executable then "recursive" else "flat";
  outputHash = builtins.hashString "sha256" seed;
}
