# Archivers.
{ package, source, ... }:
self: {
  tar = package "tar" [ ] ''
    configure --without-selinux --disable-acl --without-xattrs
    make
    make install
    expect README "$("$out/bin/tar" -cf - README | "$out/bin/tar" -tf -)"
  '';

  # bsdtar, bsdcpio and the library below them.
  libarchive =
    package "libarchive"
      [
        self.zlib
        self.bzip2
        self.xz
        self.lz4
        self.zstd
        self.expat
      ]
      ''
        configure --disable-static --disable-acl --disable-xattr --without-xml2 --without-openssl --without-iconv
        make
        make install
        for filter in gzip bzip2 xz lz4 zstd; do
          "$out/bin/bsdtar" -c --"$filter" -f packed README.md
          expect README.md "$("$out/bin/bsdtar" -tf packed)"
        done
      '';

  minizip = package "minizip" [ self.zlib ] ''
    # What newer compilers do not let pass: a table of numbers of half the size, a header that is missing.
    sed -i 's/const unsigned long\* *pcrc_32_tab/const z_crc_t* pcrc_32_tab/' crypt.h unzip.c zip.c
    sed -i '1i #include <sys/stat.h>' miniunz.c
    for program in zip unz; do
      cc $CFLAGS $CPPFLAGS -o "mini$program" "mini$program.c" zip.c unzip.c ioapi.c mztools.c $LDFLAGS -lz
    done
    shared minizip 1 zip.c unzip.c ioapi.c mztools.c -lz
    mkdir -p "$out/bin" "$out/include/minizip"
    cp minizip miniunz "$out/bin/"
    cp zip.h unzip.h ioapi.h mztools.h "$out/include/minizip/"
    mkdir there
    "$out/bin/minizip" -o packed zip.h
    "$out/bin/miniunz" -o packed.zip -d there
    cmp zip.h there/zip.h
  '';

  # Ten years of mended holes are in Debian's patches, and one against the date of its build: they are unpacked by the
  # archiver of this folder, and applied by its `patch`.
  unzip =
    package "unzip"
      [
        self.bzip2
        self.libarchive
        self.patch
      ]
      ''
        bsdtar -xf ${source "unzip-patches"}
        for patch in $(cat debian/patches/series); do
          "${self.patch}/bin/patch" -p1 < "debian/patches/$patch"
        done
        # Those two are run, and not linked with.
        LDFLAGS="-s -L${self.bzip2}/lib -Wl,-rpath,${self.bzip2}/lib"
        make -f unix/Makefile unzips CC=cc LD=cc LF2="$LDFLAGS" D_USE_BZ2=-DUSE_BZIP2 L_BZ2=-lbz2 \
          CF="$CFLAGS $CPPFLAGS -I. -DUNIX -DLARGE_FILE_SUPPORT -DUNICODE_SUPPORT -DUTF8_MAYBE_NATIVE -DUSE_BZIP2"
        make -f unix/Makefile install prefix="$out" MANDIR="$out/share/man/man1"
      '';
}
