# What reads and writes text.
{ package, ... }:
let
  # GNU packages that want nothing but their configure script.
  gnu =
    name: options: check:
    package name [ ] ''
      configure ${options}
      make
      make install
      ${check}
    '';
in
self: {
  hello = gnu "hello" "" ''expect 'Hello, world!' "$("$out/bin/hello")"'';
  sed = gnu "sed" "--disable-acl" ''expect leaf "$(echo leaves | "$out/bin/sed" 's/ves/f/')"'';
  m4 = gnu "m4" "" ''expect leaf "$(echo 'define(leaves, leaf)leaves' | "$out/bin/m4")"'';
  diffutils = gnu "diffutils" "" ''"$out/bin/cmp" README README'';
  patch = gnu "patch" "--disable-xattr" ''"$out/bin/patch" --version'';
  mawk = gnu "mawk" "" ''expect 42 "$("$out/bin/mawk" 'BEGIN { print 6 * 7 }')"'';

  # The script of ed is its author's own.
  ed = package "ed" [ ] ''
    sh ./configure --prefix="$out" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS"
    make
    make install-bin
    expect leaf "$(printf '%s\n' a leaves . s/ves/f/ p Q | "$out/bin/ed" -s)"
  '';

  # Its library of functions is written into C by `ed`.
  bc = package "bc" [ self.ed ] ''
    # A script that says of no shell that it is for it.
    sed -i "1i #!$SHELL" bc/fix-libmath_h
    # `ed` is run, and not linked with.
    LDFLAGS=-s
    configure MAKEINFO=true
    make MAKEINFO=true
    make install MAKEINFO=true
    expect 3.14159264 "$(echo 'scale=8; 4*a(1)' | "$out/bin/bc" -l)"
  '';

  # Without configure, as NON-AUTOTOOLS-BUILD has it.
  pcre2 = package "pcre2" [ ] ''
    cd src
    cp pcre2.h.generic pcre2.h
    cp pcre2_chartables.c.dist pcre2_chartables.c
    library=
    for part in auto_possess chartables compile config context convert dfa_match error extuni find_bracket \
      jit_compile maketables match match_data newline ord2utf pattern_info script_run serialize string_utils study \
      substitute substring tables ucd valid_utf xclass; do
      library="$library pcre2_$part.c"
    done
    cp config.h.generic config.h
    CPPFLAGS="$CPPFLAGS -DHAVE_CONFIG_H -DPCRE2_CODE_UNIT_WIDTH=8 -DSUPPORT_PCRE2_8 -DSUPPORT_UNICODE -I."
    shared pcre2-8 0 $library
    mkdir "$out/include"
    cp pcre2.h "$out/include/"
  '';

  grep = package "grep" [ self.pcre2 ] ''
    configure --enable-perl-regexp PCRE_CFLAGS="$CPPFLAGS" PCRE_LIBS=-lpcre2-8
    make
    make install
    expect leaf "$(echo leaf | "$out/bin/grep" -P '^(?=l)\w+(?<!x)$')"
  '';

  tree = package "tree" [ ] ''
    make CC=cc CFLAGS="$CFLAGS -std=c11 -D_LARGEFILE64_SOURCE -D_FILE_OFFSET_BITS=64" LDFLAGS="$LDFLAGS"
    make install PREFIX="$out"
    "$out/bin/tree" doc
  '';
}
