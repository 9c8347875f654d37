package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// uploadStep is how many bytes of an upload are read at a time. A larger module
// waits for its turn after them: reading many at once, and holding them, would
// hold up all else.
const uploadStep = 1 << 20

var wasmMagic = []byte("\x00asm")

// newUploads has a place for each large module that may be read at once: reading and holding many would hold up all
// else. While they wait to be validated the sandbox bounds them.
func newUploads() chan struct{} { return make(chan struct{}, max(2, runtime.GOMAXPROCS(0)/2)) }

// uploadedModule reads the bytes from the body, or from the field "file" of a form. done, which is never
// nil, ends the module's turn. A client has Options.UploadTime for each step of the way.
func (s *Server) uploadedModule(c echo.Context) (wasm []byte, done func(), err error) {
	done = func() {}
	control := http.NewResponseController(c.Response())
	wait := func() { _ = control.SetReadDeadline(time.Now().Add(s.opts.UploadTime)) } // what is no connection has no deadline
	wait()
	body, err := s.moduleBody(c)
	if err != nil {
		return nil, done, err
	}
	defer func() {
		// What failed keeps its deadline: the rest of a body is read before the
		// answer goes out, and may never come.
		if err == nil {
			_ = control.SetReadDeadline(time.Time{}) // it fails where it could not be set before
		}
	}()
	wasm = make([]byte, 0, uploadStep)
	for {
		wait()
		n, ended := readAsMuch(body, wasm[len(wasm):len(wasm)+uploadStep])
		wasm = wasm[:len(wasm)+n]
		switch {
		case len(wasm) == 0 && ended == io.EOF:
			return nil, done, invalid("body: it is empty; want a WebAssembly module")
		case !bytes.HasPrefix(wasm, wasmMagic):
			// Of what is no module at all the head is enough to be refused by.
			// The rest is read, or the client would lose the answer with the
			// connection.
			_, _ = io.Copy(io.Discard, body) // however it ends, the answer is the same
			return wasm[:min(len(wasm), len(wasmMagic))], done, nil
		case ended == io.EOF:
			return wasm, done, nil
		case ended != nil:
			return nil, done, s.cutShort(ended, len(wasm))
		}
		if len(wasm) == uploadStep {
			select {
			case s.uploads <- struct{}{}:
				done = func() { <-s.uploads }
			case <-c.Request().Context().Done():
				return nil, done, c.Request().Context().Err()
			case <-time.After(s.opts.UploadTime):
				return nil, done, experiments.Errorf(experiments.CodeUnavailable, "%d large modules are being uploaded, and none came to its end within %v; send it again later", cap(s.uploads), s.opts.UploadTime)
			}
		}
		if cap(wasm) < len(wasm)+uploadStep {
			// Room for all that was announced, which moduleBody has checked.
			wasm = slices.Grow(wasm, uploadStep+int(max(c.Request().ContentLength-int64(len(wasm)), int64(len(wasm)))))
		}
	}
}

// readAsMuch fills b as far as r goes. Unlike io.ReadFull it leaves r's own error as it is: a body that
// was cut off is not one that ended.
func readAsMuch(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// cutShort says why a body ended before its end.
func (s *Server) cutShort(err error, n int) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return experiments.Errorf(codeTimeout, "body: %d bytes came, and within %v not enough of the rest; send it again", n, s.opts.UploadTime)
	}
	return invalid("body: it was cut off after %d bytes: %w", n, err)
}

// moduleBody finds the module in the request.
func (s *Server) moduleBody(c echo.Context) (io.Reader, error) {
	req := c.Request()
	if coding := req.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, experiments.Errorf(codeMedia, "Content-Encoding %q: want the module as it is, not compressed", coding)
	}
	if req.ContentLength > s.opts.MaxModuleBytes {
		return nil, &http.MaxBytesError{Limit: s.opts.MaxModuleBytes}
	}
	req.Body = http.MaxBytesReader(c.Response(), req.Body, s.opts.MaxModuleBytes)
	mt, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case err == nil && (mt == "application/wasm" || mt == "application/octet-stream"):
		return req.Body, nil
	case err != nil || mt != "multipart/form-data":
		return nil, experiments.Errorf(codeMedia, "Content-Type %q: want application/wasm, or multipart/form-data with a field \"file\"", req.Header.Get("Content-Type"))
	}
	parts, err := req.MultipartReader()
	if err != nil {
		return nil, invalid("body: %w", err)
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, invalid("body: the form has no field \"file\"")
		}
		if err != nil {
			return nil, s.cutShort(err, 0)
		}
		if part.FormName() == "file" {
			return part, nil
		}
	}
}
