#!/bin/sh
# Process 1 of every guest, on every architecture and engine; docs/guest-protocol.md says what it owes to whom.
# It runs under Debian's static busybox. Nothing here may depend on anything but the drives and the clock of the
# machine: no random names, no host, no network.

export PATH=/bin
# Names are never patterns: `?` is legal in a store path, and the builder names files beside its outputs.
set -f
readonly OUTPUT=/dev/pmem1 ROOT=/root GROUP=/sys/fs/cgroup/build RECORD=4096

# --- inside: process 1 of the builder's own namespaces -------------------------------------------------------

if [ "${1-}" = inside ]; then
  . /in/job
  echo 0 >/proc/self/oom_score_adj
  hostname "$hostname"
  ip link set lo up
  mount -t proc proc "$ROOT/proc"
  ulimit -c 0
  ulimit -u unlimited # processes are counted by the cgroup, which says when it refused one
  umask 022
  cd /
  exec /in/enter
fi

# --- helpers --------------------------------------------------------------------------------------------------

# A line of ours on the console. The run's token is in it: a builder that prints such lines does not know it.
note() { printf '\n@reprove %s\n' "$run $*"; }

# Virtual nanoseconds since the machine started: the only count of work every kernel shows to the shell.
nanoseconds() {
  while read -r now at count unit; do
    if [ "$now $at" = 'now at' ]; then echo "$count"; return; fi
  done </proc/timer_list
}

# Writes the record (after the tar stream is on the drive) and switches the machine off. Never returns.
finish() {
  sync
  {
    echo reprove-result/2
    echo "run=$run"
    echo "stopped=$stopped"
    echo "status=$status"
    echo "processes_refused=$processes_refused"
    echo "memory_killed=$memory_killed"
    echo "root_full=$root_full"
    echo "special=$special"
    echo "tar=$tar"
    echo "observed=$observed"
    echo "nanoseconds=$(nanoseconds)"
    echo end
  } | dd of="$OUTPUT" bs="$RECORD" conv=notrunc,fsync status=none
  sync
  poweroff -nf
}

run=- status=0 processes_refused=0 memory_killed=0 root_full=0 special='' tar=none observed=none stopped=setup

# What must work before the builder can start; says what did not on the console.
must() {
  if ! "$@"; then
    note "setup failed: $*"
    finish
  fi
}

# Kills what is left of the build; a second later nothing of it runs.
kill_build() { echo 1 >"$GROUP/cgroup.kill"; }

# The first field after $2 on a line of $1.
field() { sed -n "s/^$2 //p" "$1"; }

# --- 1. the machine -------------------------------------------------------------------------------------------

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/console 2>&1
stty -F /dev/console raw -echo
echo -1000 >/proc/self/oom_score_adj
umask 022

# From here on the drives are looked at; up to here every run with the same settings is the same, and an engine may keep it.
note attach
while read -r module; do must insmod "/modules/$module"; done </modules/order
echo 1 >/proc/sys/kernel/printk # the console belongs to the builder from here on
tries=0
until [ -b /dev/pmem0 ] && [ -b "$OUTPUT" ]; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ]; then note 'setup failed: no drives'; poweroff -nf; fi
  sleep 0.1
done
must mount -t erofs -o ro,nosuid,nodev,dax=always /dev/pmem0 /in
must test -r /in/job
. /in/job
must test "$protocol" = 2

# --- 2. the settings ------------------------------------------------------------------------------------------

must date -u -s "@$clock" >/dev/null
must hostname "$hostname"
must /in/entropy

# --- 3. the build root ----------------------------------------------------------------------------------------

must mount -t tmpfs -o "size=$root_bytes,mode=0750" tmpfs "$ROOT"
mkdir -p "$ROOT/nix/store" "$ROOT/dev/pts" "$ROOT/dev/shm" "$ROOT/proc" "$ROOT/bin" "$ROOT/tmp"
chmod 1775 "$ROOT/nix/store"
chmod 1777 "$ROOT/tmp"
must cp -a /in/root/. "$ROOT/"
must cp /bin/busybox "$ROOT/bin/sh"
device() { mknod -m 666 "$ROOT/dev/$1" c "$2" "$3"; }
device null 1 3
device zero 1 5
device full 1 7
device random 1 8
device urandom 1 9
device tty 5 0
ln -s /dev/pts/ptmx "$ROOT/dev/ptmx"
ln -s /proc/self/fd "$ROOT/dev/fd"
ln -s /proc/self/fd/0 "$ROOT/dev/stdin"
ln -s /proc/self/fd/1 "$ROOT/dev/stdout"
ln -s /proc/self/fd/2 "$ROOT/dev/stderr"
must mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts"
must mount -t tmpfs -o "size=$root_bytes,mode=1777" shm "$ROOT/dev/shm"

# Held from before the build on: the builder owns what is above it, and could put a link in its place.
cd "$ROOT/nix/store" || exit 1

# --- 4. the build ---------------------------------------------------------------------------------------------

must mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo '+cpu +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
must mkdir "$GROUP"
must sh -c "echo $limit_processes >$GROUP/pids.max"
# The shell, the log and the tar stream need memory of their own when the builder takes all it can get.
available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
must sh -c "echo $(((available - 65536) * 1024 - limit_observed)) >$GROUP/memory.max"

# The builder writes to the slave of a terminal of this, the outer world, as Nix's does: the first of its kind, so its
# number is known. Descriptor 3 is the master, and the builder never has it.
mkdir /dev/pts /stop
must mount -t devpts -o mode=620 devpts /dev/pts
exec 3<>/dev/ptmx
must /in/terminal <&3
{
  # A master whose slaves are all closed says so with an error, which ends the log.
  dd bs=64k iflag=count_bytes count="$limit_log" status=none 2>/dev/null
  if [ "$(dd bs=1 count=1 status=none 2>/dev/null | wc -c)" -gt 0 ]; then
    mkdir /stop/log
    kill_build
  fi
} <&3 &
log=$!

# Who looks on, when that is asked for: before every other process, so that nothing happens between what they see and their
# seeing it. What they write is out of the builder's reach, below one of the places that it is taken out of.
if [ "$observe" = 1 ]; then
  while read -r module; do must insmod "/modules/$module"; done </modules/observing
  echo -1 >/proc/sys/kernel/sched_rt_runtime_us
  must mkdir /dev/observed
  must mount -t tmpfs -o "size=$limit_observed,mode=0700" tmpfs /dev/observed
  /in/watch-processes 3<&- 2>/dev/observed/processes-errors &
  watch_processes=$!
  /in/watch-files 3<&- 2>/dev/observed/files-errors &
  watch_files=$!
  tries=0
  until [ -d /dev/observed/processes-ready ] && [ -d /dev/observed/files-ready ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
      note "setup failed: $(cat /dev/observed/processes-errors /dev/observed/files-errors)"
      finish
    fi
    sleep 0.1
  done
fi

echo "@reprove $run begin"
(
  echo 0 >"$GROUP/cgroup.procs" || exit 125
  exec unshare -f -p -m -i -u -n /init inside 3<&-
) 0<>/dev/null 1<>/dev/pts/0 2>&1 &
builder=$!

{
  passed=0
  while [ "$passed" -lt "$limit_seconds" ]; do
    step=$((limit_seconds - passed))
    [ "$step" -gt 10 ] && step=10
    sleep "$step"
    passed=$((passed + step))
    note "beat $passed"
  done
  mkdir /stop/seconds
  kill_build
} &
beat=$!

# Without the shell's own words about a job that was killed: the console is the builder's.
wait "$builder" 2>/dev/null
status=$?
kill -9 "$beat"
kill_build
until [ "$(field "$GROUP/cgroup.events" populated)" = 0 ]; do sleep 0.1; done
wait "$log" 2>/dev/null
exec 3<&-
note end
if [ "$observe" = 1 ]; then
  kill -9 "$watch_processes" "$watch_files"
  # One that ended before said why, and has missed something.
  [ -s /dev/observed/processes-errors ] || [ -s /dev/observed/files-errors ] && observed=failed
fi

# --- 5. what it left ------------------------------------------------------------------------------------------

stopped=exited
[ -d /stop/seconds ] && stopped=seconds
[ -d /stop/log ] && stopped=log
processes_refused=$(field "$GROUP/pids.events" max)
memory_killed=$(field "$GROUP/memory.events" oom_kill)
set -- $(stat -f -c '%a %S %d' "$ROOT")
[ $(($1 * $2)) -lt 1048576 ] || [ "$3" -eq 0 ] && root_full=1

# Writes an archive of what is named behind a folder to the output drive, behind what is there; says in `archived` how many
# bytes it has, or what became of it.
archive() {
  read -r pos start </proc/self/fdinfo/3
  archived=failed
  if tar -c -f - -C "$@" >&3 2>/dev/null; then archived=''; fi
  read -r pos end </proc/self/fdinfo/3
  if [ "$end" -ge $(($(cat "/sys/block/${OUTPUT#/dev/}/size") * 512)) ]; then
    archived=overflow
  elif [ -z "$archived" ]; then
    archived=$((end - start))
  fi
}
exec 3<>"$OUTPUT"
dd bs="$RECORD" count=1 status=none <&3 >/dev/null

present=''
for path in $outputs; do
  name=${path##*/}
  if [ -e "$name" ] || [ -L "$name" ]; then present="$present $name"; fi
done
if [ -n "$present" ]; then
  # Bytes of the name outside the plain ones as %XX, so that the record stays text whatever the builder did.
  special=$(find $present ! -type f ! -type d ! -type l -print0 | head -c 512 | od -An -v -tx1 | awk '
    { for (i = 1; i <= NF; i++) {
        if ($i == "00") exit
        code = index("0123456789abcdef", substr($i, 1, 1)) * 16 + index("0123456789abcdef", substr($i, 2)) - 17
        character = sprintf("%c", code)
        if (character ~ /^[A-Za-z0-9+._?=\/-]$/) printf "%s", character; else printf "%%%s", toupper($i)
    } }')
  # Times are no part of an output, and differ from engine to engine; without them equal outputs are equal archives.
  find $present -exec touch -h -c -d @1 {} + 2>/dev/null
  archive . $present
  tar=$archived
fi
if [ "$observe" = 1 ] && [ "$observed" = none ]; then
  case $tar in
  overflow | failed) ;;
  *)
    archive /dev/observed processes files
    observed=$archived
    ;;
  esac
fi
exec 3>&-
finish
