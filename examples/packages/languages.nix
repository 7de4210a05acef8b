# Interpreters, what they load, and what is made with them.
{ package, ... }:
let
  # A module in C.
  module =
    lua: name: text:
    package name [ lua ] ''
      modules=$out/lib/lua/5.4
      mkdir -p "$modules"
      module() { # NAME ARGUMENT...
        target=$1
        shift
        cc $CFLAGS $CPPFLAGS -fPIC -shared -o "$modules/$target.so" "$@" $LDFLAGS
      }
      export LUA_CPATH="$modules/?.so"
      ${text}
    '';
in
self: {
  lua = package "lua" [ ] ''
    # Where it looks for modules.
    sed -i "s,^#define LUA_ROOT.*,#define LUA_ROOT \"$out/\"," src/luaconf.h
    make linux CC=cc MYCFLAGS="$CFLAGS" MYLDFLAGS="$LDFLAGS"
    make install INSTALL_TOP="$out"
    expect 42 "$("$out/bin/lua" -e 'print(6 * 7)')"
  '';

  lua-lpeg = module self.lua "lua-lpeg" ''
    module lpeg lpvm.c lpcap.c lptree.c lpcode.c lpprint.c
    mkdir -p "$out/share/lua/5.4"
    cp re.lua "$out/share/lua/5.4/"
    lua test.lua
  '';
  lua-filesystem = module self.lua "lua-filesystem" ''
    module lfs src/lfs.c
    expect directory "$(lua -e 'print(require("lfs").attributes(".", "mode"))')"
  '';
  lua-cjson = module self.lua "lua-cjson" ''
    module cjson lua_cjson.c strbuf.c fpconv.c
    expect '[1,2]' "$(lua -e 'print(require("cjson").encode({1, 2}))')"
  '';

  # Debian's archive of it has no configure script; ./make-config.h is what that would have found.
  make = package "make" [ ] ''
    cp ${./make-config.h} src/config.h
    sources=$(sed -n 's/^make_SOURCES = //p' Basic.mk | sed 's,$(src),src/,g')
    mkdir -p "$out/bin" "$out/include"
    cc $CFLAGS -DHAVE_CONFIG_H -D_GNU_SOURCE -DMAKE_HOST="\"$triplet\"" -DLOCALEDIR="\"$out/share/locale\"" \
      -DLIBDIR="\"$out/lib\"" -DINCLUDEDIR="\"$out/include\"" -Isrc -Ilib -o "$out/bin/make" \
      $sources src/posixos.c src/remote-stub.c $LDFLAGS
    cp src/gnumake.h "$out/include/"
    expect leaves "$(printf 'all: ; @echo leaves' | "$out/bin/make" -f -)"
  '';

  # A small Tcl.
  jimtcl = package "jimtcl" [ ] ''
    sh ./configure --prefix="$out" --disable-docs --disable-ssl
    make
    make install
    expect 42 "$("$out/bin/jimsh" -e 'expr {6 * 7}')"
  '';

  # Its source is put together by scripts in Tcl.
  sqlite =
    package "sqlite"
      [
        self.jimtcl
        self.zlib
      ]
      ''
        mkdir ../bin ../build
        ln -s "${self.jimtcl}/bin/jimsh" ../bin/tclsh
        PATH=$PWD/../bin:$PATH
        # jimsh is run, and not linked with.
        LDFLAGS="-s -L${self.zlib}/lib -Wl,-rpath,${self.zlib}/lib"
        cd ../build
        make -f ../source/main.mk TOP=../source BCC=cc TCC=cc TCCX=cc sqlite3.c shell.c
        CPPFLAGS="$CPPFLAGS -DSQLITE_HAVE_ZLIB -DSQLITE_THREADSAFE=1 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE"
        shared sqlite3 0 sqlite3.c -lz -lm
        mkdir "$out/bin" "$out/include"
        cp sqlite3.h sqlite3ext.h "$out/include/"
        cc $CFLAGS $CPPFLAGS -o "$out/bin/sqlite3" shell.c \
          $LDFLAGS -L"$out/lib" -Wl,-rpath,"$out/lib" -lsqlite3 -lz -lm
        expect 42 "$("$out/bin/sqlite3" :memory: 'SELECT 6 * 7')"
      '';
}
