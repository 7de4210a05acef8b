# Go's own `go` for linux/amd64, built from the source in the wheel with the flags that it was built with: the same bits as
# the one in the wheel, `upstream`.
{ go, native }:
native.run "cmd-go-${go.version}"
  ''
    ${go.buildSettings}
    # The source of the commands is in one tree only; the programs that compile it are this system's.
    export GOROOT="$PWD/go" GOOS=linux GOARCH=amd64 CGO_ENABLED=0
    mkdir -p go/pkg
    ln -s "$tree/share/go/bin" go/bin
    ln -s "$tree/share/go/pkg/tool" go/pkg/tool
    ln -s "$upstream/share/go/pkg/include" go/pkg/include
    cp -r "$upstream/share/go/src" "$upstream/share/go/go.env" "$upstream/share/go/VERSION" go/
    go/bin/go build -trimpath -ldflags=-w -gcflags=cmd/...=-dwarf=false -pgo=off -o "$out/bin/go" cmd/go
  ''
  {
    inherit (go) tree upstream;
  }
