# What the builder of every package begins with, in an empty folder. $inputs are the packages it is built with.

export LC_ALL=C TZ=UTC
# There is no /bin/sh.
export SHELL="$toolchain/bin/sh" CONFIG_SHELL="$toolchain/bin/sh"
export MAKEFLAGS="SHELL=$SHELL"

# No debugging information: it holds the paths of the build. What is linked names where its libraries are.
export CFLAGS=-O2 CPPFLAGS='' LDFLAGS=-s
for input in $inputs; do
    CPPFLAGS="$CPPFLAGS -I$input/include"
    LDFLAGS="$LDFLAGS -L$input/lib -Wl,-rpath,$input/lib"
    PATH="$PATH:$input/bin"
done

# Unpacks an archive, whose one folder gets the name FOLDER; its scripts get a shell that is there. Their times stay
# as they were, or `make` would make them anew with tools that are not there.
unpack() { # ARCHIVE FOLDER
    mkdir unpacked
    case $1 in
        *.gz) busybox gunzip -c "$1" ;;
        *.bz2) busybox bunzip2 -c "$1" ;;
        *.xz) busybox unxz -c "$1" ;;
    esac | tar -x --no-same-owner -C unpacked
    mv unpacked/* "$2"
    rmdir unpacked
    for script in $(find "$2" -type f -perm -100 -exec grep -lI '^#! */bin/sh' {} +); do
        busybox cp -p "$script" timed
        sed -i "1s,^#! */bin/sh,#!$SHELL," "$script"
        touch -r timed "$script"
    done
    rm -f timed
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
