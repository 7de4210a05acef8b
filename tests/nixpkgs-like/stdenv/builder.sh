# Nothing here is built. A build would begin with this.
if [ -e "${NIX_ATTRS_SH_FILE:-}" ]; then . "$NIX_ATTRS_SH_FILE"; fi
. "$stdenv/setup"
genericBuild
