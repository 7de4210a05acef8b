# Unpacks the packages into $out and makes their programs run from there:
# interpreter and library path of every executable point into $out, and so do gcc's own defaults.
busybox=$builder
lib=usr/lib/$triplet

# Debian's merged layout: /bin, /lib and /lib64 are links into /usr.
"$busybox" mkdir -p "$out/usr/bin" "$out/usr/lib" "$out/usr/lib64"
for dir in bin lib lib64; do "$busybox" ln -s "usr/$dir" "$out/$dir"; done

private=$out/usr/lib/gcc/$triplet/$gcc
programs=$out/usr/lib*/gcc/$triplet/$gcc
# What building C programs does not need: documentation, link-time optimisation, sanitizers, profilers,
# static libraries, character sets. Removed package by package: memory is what the build root is made of.
unwanted="
    $out/usr/share $out/etc $out/var $out/sbin $out/usr/sbin
    $out/bin/*lto-dump* $out/bin/*gcov* $out/bin/*gprof* $out/bin/*gp-* $out/bin/*-dwp $out/bin/*ld.gold
    $programs/lto1 $programs/g++-mapper-server $programs/plugin
    $private/lib*san* $private/libgomp* $private/libitm* $private/libquadmath*
    $private/libcc1* $private/libbacktrace.a
    $out/$lib/gconv $out/$lib/audit $out/$lib/libc.a $out/$lib/libm.a $out/$lib/libm-*.a
    $out/$lib/libmvec.a $out/$lib/libresolv*.a $out/$lib/libg.a $out/usr/lib/bfd-plugins
"
unpack() { # PACKAGE INTO
    "$busybox" ar p "$1" data.tar.xz | "$busybox" tar -xJ -C "$2"
}
for package in $packages; do
    unpack "$package" "$out"
    "$busybox" rm -rf $unwanted
done
"$busybox" mkdir patching
for package in $patching; do unpack "$package" patching; done

# Newer releases hold the kernel's headers of every architecture: keep our own.
if [ -d "$out/usr/lib/linux/uapi" ]; then
    own=$("$busybox" readlink -f "$out/usr/include/$triplet/asm/unistd.h")
    foreign=
    for dir in "$out"/usr/lib/linux/uapi/* "$out"/usr/include/*-linux-*; do
        case $dir in
            "${own%/asm/*}" | "$out/usr/include/$triplet") ;;
            *) foreign="$foreign $dir" ;;
        esac
    done
    "$busybox" rm -rf $foreign
fi

# Links that Debian makes at installation, or that lead out of the tree.
"$busybox" ln -s mawk "$out/bin/awk"
"$busybox" ln -sf "../lib/$triplet/${loader##*/}" "$out/$loader"
"$busybox" ln -s "gcc-$gcc" "$out/bin/gcc"
"$busybox" ln -s gcc "$out/bin/cc"

# `gcc` knows where it is; this tells it that its system is there too. Its libraries are looked for last: it has some of
# its own, as zlib and zstd, which are not to take the place of those that a program names by a path of its own.
ld="$out/$lib/${loader##*/}"
"$busybox" ln -s ../../../../bin/as ../../../../bin/ld "$private/"
"$busybox" cat > "$private/specs" <<SPECS
*self_spec:
+ --sysroot=$out -B$out/$lib/

*link:
+ --sysroot=$out %{!static:%{!static-pie:%{!shared:-dynamic-linker $ld}}}

*endfile:
+ %{!static:%{!static-pie:-rpath $out/$lib}}

SPECS

# Scripts name their shell; programs their loader. Read four bytes of each in the shell itself: a
# process for each file is what takes long.
scripts= executables=
for file in $out/bin/* $programs/*; do
    case $file in *.so) continue ;; esac
    [ -f "$file" ] && [ -x "$file" ] && ! [ -L "$file" ] || continue
    magic=
    IFS= read -r -n 4 magic < "$file" || true
    case $magic in
        ?ELF) executables="$executables $file" ;;
        '#!'*) scripts="$scripts $file" ;;
    esac
done
"$busybox" sed -i "1s,^#! */bin/,#!$out/bin/," $scripts
"$busybox" chmod u+w $executables

run() { # PROGRAM ARGUMENT...: one that is not patched yet
    "$ld" --library-path "$out/$lib:patching/$lib" "$@"
}
# patchelf puts what it adds below a program of fixed addresses, and may find no room there (gcc's own
# programs on riscv64 begin where a process's memory begins). It adds behind a shared object, so
# call them that while it works: byte 16 is ET_EXEC, 2, or ET_DYN, 3.
fixed=$(run "$out/bin/readelf" -h $executables | while read -r field value rest; do
    case $field in
        File:) file=$value ;;
        Type:) [ "$value" = DYN ] || echo "$file" ;;
    esac
done)
set_type() { # OCTAL
    for file in $fixed; do
        printf "\\$1" | "$busybox" dd of="$file" bs=1 seek=16 conv=notrunc 2> /dev/null
    done
}
set_type 003
run patching/usr/bin/patchelf --set-interpreter "$ld" --force-rpath --set-rpath "$out/$lib" $executables
set_type 002
