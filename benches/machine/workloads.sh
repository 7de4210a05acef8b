#!/bin/sh
# The workloads of the bench, the same in both machines (where this is process 1) and on the host. Before and after each
# stands a mark on the console; what is printed between them must be the same everywhere.
[ -n "$BENCH_ROOT" ] || exec </dev/null
PATH=$BENCH_ROOT/bin:/bin
cd "$BENCH_ROOT/bench" || exit 1

# On the host somebody looks at the clock and answers; in a machine nobody does, and nothing is waited for.
mark() {
  echo "@bench $1"
  echo "@bench-mark"
  read -r _
}

workload() {
  case $1 in
    xorshift) ./work xorshift 100000000 ;;
    sha256) ./work sha256 67108864 ;;
    sha256sum) busybox sha256sum <text ;;
    gzip) busybox gzip -c <text >text.gz && busybox sha256sum <text.gz ;;
    spawn) ./work spawn 2000 ./true ;;
    cc1)
      ./loader --library-path . ./cc1 -quiet -O2 -fno-ident -nostdinc -I. -DZ_SOLO deflate.c -o deflate.s && busybox sha256sum <deflate.s
      ;;
  esac
}

mark ready
for name in $(busybox cat workloads); do
  case $name in
    sha256sum | gzip) [ -e text ] || ./work text 16777216 >text ;;
  esac
  mark "begin $name"
  workload "$name"
  mark "end $name"
done
mark done
[ -n "$BENCH_ROOT" ] || busybox poweroff -nf
