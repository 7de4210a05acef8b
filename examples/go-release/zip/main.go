// Zip packs one folder into an archive that says nothing of when, where or by whom: names sorted, 1980-01-01,
// regular files and folders of 0644 and 0755.
//
//	zip ARCHIVE FOLDER NAME
package main

import (
	"archive/zip"
	"compress/flate"
	"io"
	"io/fs"
	"log"
	"os"
	"path"
	"path/filepath"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: zip ARCHIVE FOLDER NAME")
	}
	if err := pack(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func pack(archive, folder, name string) error {
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	out := zip.NewWriter(file)
	out.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(to, flate.BestCompression)
	})
	// WalkDir goes in the order of names.
	err = filepath.WalkDir(folder, func(place string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, place)
		if err != nil {
			return err
		}
		return add(out, place, path.Join(name, filepath.ToSlash(inside)), entry)
	})
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return file.Close()
}

func add(out *zip.Writer, place, name string, entry fs.DirEntry) error {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	if entry.IsDir() {
		header.Name += "/"
		header.Method = zip.Store
		header.SetMode(fs.ModeDir | 0o755)
		_, err := out.CreateHeader(header)
		return err
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header.SetMode(0o644 | info.Mode()&0o111)
	to, err := out.CreateHeader(header)
	if err != nil {
		return err
	}
	from, err := os.Open(place)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, from)
	return err
}
