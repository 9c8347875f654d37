package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// DefaultEndpoint is the public Hub.
const DefaultEndpoint = "https://huggingface.co"

// Options says how a Client works. The zero value of each field is explained at it.
type Options struct {
	Endpoint   string         // base URL; empty: DefaultEndpoint
	Token      string         // sent to the endpoint's host and to no other; empty: none
	CacheDir   string         // folder of models--org--name/…; needed
	HTTP       *http.Client   // transport and cookies; nil: one of the package's own
	Offline    bool           // answer from the cache or fail; no request is made
	NoSymlinks bool           // put files into snapshots/ itself, as where the system refuses links
	Parallel   int            // files under way at once; 0: 4
	Progress   func(Progress) // called often; nil: nobody
	Note       func(string)   // lines for the reader: a retry, the cache used instead; nil: nobody. The two are never called at once
}

// Progress of a download or an upload.
type Progress struct {
	Ref        Ref
	File       string // the file that moved last
	Bytes      int64  // done, what was there before included
	TotalBytes int64
	Files      int // done
	TotalFiles int
}

// FromEnv reads the variables that huggingface_hub reads: HF_ENDPOINT; HF_TOKEN, or the file at
// HF_TOKEN_PATH or HF_HOME/token (unless HF_HUB_DISABLE_IMPLICIT_TOKEN); HF_HUB_CACHE (before it
// HUGGINGFACE_HUB_CACHE) or HF_HOME/hub; HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE;
// HF_HUB_DISABLE_SYMLINKS. HF_HOME defaults to huggingface under XDG_CACHE_HOME or ~/.cache. getenv is
// os.Getenv.
func FromEnv(getenv func(string) string) (Options, error) {
	home, homeErr := os.UserHomeDir()
	if h := getenv("HOME"); h != "" {
		home, homeErr = h, nil
	}
	// expand resolves a leading ~ and $VARIABLES, as huggingface_hub does.
	expand := func(s string) string {
		if s == "~" || strings.HasPrefix(s, "~/") || strings.HasPrefix(s, `~\`) {
			s = filepath.Join(home, s[1:])
		}
		return os.Expand(s, getenv)
	}
	hfHome := getenv("HF_HOME")
	if hfHome == "" {
		hfHome = filepath.Join(or(getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache")), "huggingface")
	}
	hfHome = expand(hfHome)
	o := Options{
		Endpoint:   or(getenv("HF_ENDPOINT"), DefaultEndpoint),
		Token:      strings.TrimSpace(getenv("HF_TOKEN")),
		CacheDir:   expand(or(getenv("HF_HUB_CACHE"), or(getenv("HUGGINGFACE_HUB_CACHE"), filepath.Join(hfHome, "hub")))),
		Offline:    isTrue(or(getenv("HF_HUB_OFFLINE"), getenv("TRANSFORMERS_OFFLINE"))),
		NoSymlinks: isTrue(getenv("HF_HUB_DISABLE_SYMLINKS")),
	}
	if homeErr != nil && !filepath.IsAbs(o.CacheDir) {
		return o, fmt.Errorf("cache folder: %w; set HF_HOME or HF_HUB_CACHE", homeErr)
	}
	if o.Token == "" && !isTrue(getenv("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		text, err := os.ReadFile(expand(or(getenv("HF_TOKEN_PATH"), filepath.Join(hfHome, "token"))))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return o, fmt.Errorf("token file: %w", err)
		}
		o.Token = strings.TrimSpace(string(text))
	}
	return o, nil
}

func isTrue(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
