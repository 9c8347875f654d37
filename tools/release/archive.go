package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// file is one entry of an archive: the file at path, or content where path is empty.
type file struct {
	name, path string
	content    []byte
	mode       int64
}

func (f file) bytes() ([]byte, error) {
	if f.path == "" {
		return f.content, nil
	}
	return os.ReadFile(f.path)
}

// writeArchive writes the files below folder, in the order of their names and with one date, as a zip or a
// compressed tar, as the name of the archive says.
func writeArchive(name, folder string, files []file, modified time.Time) (err error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return strings.Compare(a.name, b.name) })
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if closing := out.Close(); err == nil {
			err = closing
		}
	}()
	if strings.HasSuffix(name, ".zip") {
		return writeZip(out, folder, files, modified)
	}
	return writeTar(out, folder, files, modified)
}

func writeTar(out io.Writer, folder string, files []file, modified time.Time) error {
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(compressed)
	for _, f := range files {
		data, err := f.bytes()
		if err != nil {
			return err
		}
		header := &tar.Header{Name: path.Join(folder, f.name), Mode: f.mode, Size: int64(len(data)), ModTime: modified, Format: tar.FormatPAX}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func writeZip(out io.Writer, folder string, files []file, modified time.Time) error {
	w := zip.NewWriter(out)
	for _, f := range files {
		data, err := f.bytes()
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: path.Join(folder, f.name), Method: zip.Deflate, Modified: modified}
		header.SetMode(os.FileMode(f.mode))
		entry, err := w.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(data); err != nil {
			return err
		}
	}
	return w.Close()
}
