# Formats of files.
{ package, ... }:
self: {
  # Three files. The archive is of the repository, with no configure script in it: this is what that would say.
  expat = package "expat" [ ] ''
    cd expat/lib
    printf '#define %s\n' HAVE_GETRANDOM HAVE_UNISTD_H XML_NS XML_DTD 'XML_CONTEXT_BYTES 1024' 'BYTEORDER 1234' \
      > expat_config.h
    CPPFLAGS="$CPPFLAGS -I."
    shared expat 1 xmlparse.c xmltok.c xmlrole.c
    mkdir "$out/include" "$out/bin"
    cp expat.h expat_external.h "$out/include/"
    cd ../xmlwf
    cc $CFLAGS $CPPFLAGS -I../lib -o "$out/bin/xmlwf" xmlwf.c xmlfile.c codepage.c readfilemap.c \
      $LDFLAGS -L"$out/lib" -Wl,-rpath,"$out/lib" -lexpat
    echo '<leaf/>' > leaf.xml
    expect "" "$("$out/bin/xmlwf" leaf.xml)"
  '';

  libpng = package "libpng" [ self.zlib ] ''
    cp scripts/pnglibconf.h.prebuilt pnglibconf.h
    CPPFLAGS="$CPPFLAGS -DPNG_INTEL_SSE_OPT=0"
    shared png16 16 png.c pngerror.c pngget.c pngmem.c pngpread.c pngread.c pngrio.c pngrtran.c pngrutil.c \
      pngset.c pngtrans.c pngwio.c pngwrite.c pngwtran.c pngwutil.c -lz -lm
    mkdir "$out/include"
    cp png.h pngconf.h pnglibconf.h "$out/include/"
    cc $CFLAGS $CPPFLAGS -o pngtest pngtest.c $LDFLAGS -L"$out/lib" -Wl,-rpath,"$out/lib" -lpng16 -lz
    ./pngtest
  '';

  # Its table of magic numbers is compiled by the program that was built before.
  file =
    package "file"
      [
        self.zlib
        self.bzip2
        self.xz
      ]
      ''
        configure --disable-static --disable-libseccomp
        make
        make install
        "$out/bin/file" -b "$out/bin/file" | grep ELF
      '';
}
