# Compressors and their libraries.
{ package, ... }:
self: {
  zlib = package "zlib" [ ] ''
    # Its own script, of a few lines.
    CC=gcc sh ./configure --prefix="$out"
    make testshared
    mkdir -p "$out/lib" "$out/include"
    cp -P libz.so* "$out/lib/"
    cp zlib.h zconf.h "$out/include/"
  '';

  bzip2 = package "bzip2" [ ] ''
    make libbz2.a bzip2 bzip2recover CFLAGS="$CFLAGS -fPIC -D_FILE_OFFSET_BITS=64" LDFLAGS="$LDFLAGS"
    make test install PREFIX="$out"
    # Links to $out/bin of another name.
    for link in bzcmp bzegrep bzfgrep bzless; do
      ln -sf "$(basename "$(readlink "$out/bin/$link")")" "$out/bin/$link"
    done
    shared bz2 1.0 blocksort.o huffman.o crctable.o randtable.o compress.o decompress.o bzlib.o
  '';

  xz = package "xz" [ ] ''
    configure --disable-static --disable-doc --disable-scripts --disable-lzmadec --disable-lzmainfo --disable-rpath
    make
    make install
    expect leaves "$(echo leaves | "$out/bin/xz" | "$out/bin/xz" -d)"
  '';

  lz4 = package "lz4" [ ] ''
    make -C lib install prefix="$out" BUILD_STATIC=no
    make -C programs install prefix="$out"
    expect leaves "$(echo leaves | "$out/bin/lz4" | "$out/bin/lz4" -d)"
  '';

  # Its program reads and writes what the other libraries know, too.
  zstd = package "zstd" [ self.zlib self.xz self.lz4 ] ''
    # Formats from before its first release are left out.
    export ZSTD_LEGACY_SUPPORT=0
    make -C lib install-shared install-includes install-pc PREFIX="$out"
    LDFLAGS="$LDFLAGS -L$out/lib -Wl,-rpath,$out/lib"
    # Sources of the library that its program wants, and the library keeps to itself.
    make -C programs zstd-dll HAVE_ZLIB=1 HAVE_LZMA=1 HAVE_LZ4=1 \
      ZSTDLIB_LOCAL_SRC='xxhash.c pool.c threading.c zstd_common.c error_private.c'
    mkdir -p "$out/bin"
    cp programs/zstd "$out/bin/"
    ln -s zstd "$out/bin/unzstd"
    for format in zstd gzip xz lz4; do
      expect leaves "$(echo leaves | "$out/bin/zstd" --format="$format" | "$out/bin/zstd" -d)"
    done
  '';

  gzip = package "gzip" [ ] ''
    configure
    make
    make install
    expect leaves "$(echo leaves | "$out/bin/gzip" | "$out/bin/gzip" -d)"
  '';
}
