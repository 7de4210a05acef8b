# What the builder of every package begins with, in an empty folder. $inputs are the packages it is built with.

export LC_ALL=C TZ=UTC
# There is no /bin/sh.
export SHELL="$toolchain/bin/sh" CONFIG_SHELL="$toolchain/bin/sh"
export MAKEFLAGS="SHELL=$SHELL"

# No debugging information: it holds the paths of the build. No more optimising than what a machine has the time for.
# What is linked names where its libraries are.
export CFLAGS=-O1 CPPFLAGS='' LDFLAGS=-s
for input in $inputs; do
    CPPFLAGS="$CPPFLAGS -I$input/include"
    LDFLAGS="$LDFLAGS -L$input/lib -Wl,-rpath,$input/lib"
    PATH="$PATH:$input/bin"
done

# Unpacks an archive, whose one folder gets the name FOLDER; its scripts get a shell that is there. All files have one
# time, which has gone by whatever the clock of the build says: `make` would make what is older than its source, and
# begin anew when that is its own makefile, for ever when the clock is older than both.
unpack() { # ARCHIVE FOLDER
    mkdir unpacked
    case $1 in
        *.gz) busybox gunzip -c "$1" ;;
        *.bz2) busybox bunzip2 -c "$1" ;;
        *.xz) busybox unxz -c "$1" ;;
    esac | tar -x --no-same-owner -C unpacked
    mv unpacked/* "$2"
    rmdir unpacked
    find "$2" -type f -perm -100 -exec grep -lIZ '^#! */bin/sh' {} + | xargs -0 -r sed -i "1s,^#! */bin/sh,#!$SHELL,"
    find "$2" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# A configure script of Autoconf.
configure() { # OPTION...
    sh ./configure --build="$triplet" --prefix="$out" --disable-dependency-tracking --disable-nls "$@"
}

# A shared library lib/libNAME.so.VERSION.
shared() { # NAME VERSION ARGUMENT...
    soname=lib$1.so.$2 link=lib$1.so
    shift 2
    mkdir -p "$out/lib"
    cc $CFLAGS $CPPFLAGS -fPIC -shared -Wl,-soname,"$soname" -o "$out/lib/$soname" "$@" $LDFLAGS
    ln -s "$soname" "$out/lib/$link"
}

# What a check expects. [ ... ] says nothing when it fails.
expect() { # EXPECTED FOUND
    [ "$1" = "$2" ] || { echo "expected '$1', found '$2'"; exit 1; }
}
