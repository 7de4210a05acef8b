# What is released: Go's names for each target. `arm` is for the generation of the processor that is the least.
let
  target = GOOS: GOARCH: { inherit GOOS GOARCH; };
in
{
  darwin-amd64 = target "darwin" "amd64";
  darwin-arm64 = target "darwin" "arm64";
  freebsd-amd64 = target "freebsd" "amd64";
  linux-386 = target "linux" "386";
  linux-amd64 = target "linux" "amd64";
  linux-arm64 = target "linux" "arm64";
  linux-armv6 = target "linux" "arm" // {
    GOARM = "6";
  };
  linux-armv7 = target "linux" "arm" // {
    GOARM = "7";
  };
  windows-amd64 = target "windows" "amd64";
}
