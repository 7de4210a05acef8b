# A source fetched by curl: by a good hash, or by one of those that old packages still have.
{
  lib,
  stdenv,
  curl,
}:
{
  url,
  name ? baseNameOf url,
  sha256 ? null,
  sha1 ? null,
  md5 ? null,
}:
stdenv.mkDerivation {
  inherit name;
  urls = [ url ];
  nativeBuildInputs = [ curl ];
  preferLocalBuild = true;
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
    "NIX_CURL_FLAGS"
  ];
  outputHashMode = "flat";
  outputHashAlgo =
    if sha256 != null then
      "sha256"
    else if sha1 != null then
      "sha1"
    else
      "md5";
  outputHash = lib.head (
    lib.filter (hash: hash != null) [
      sha256
      sha1
      md5
    ]
  );
}
