package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFromEnv(t *testing.T) {
	home := t.TempDir()
	token := filepath.Join(home, ".cache", "huggingface", "token")
	if err := os.MkdirAll(filepath.Dir(token), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := func(parts ...string) string { return filepath.Join(append([]string{home}, parts...)...) }
	for name, tt := range map[string]struct {
		env  map[string]string
		want Options
	}{
		"nothing set": {nil, Options{Endpoint: DefaultEndpoint, Token: "hf_file", CacheDir: at(".cache", "huggingface", "hub")}},
		"HF_HOME moves cache and token": {
			map[string]string{"HF_HOME": at("hf")}, Options{Endpoint: DefaultEndpoint, CacheDir: at("hf", "hub")},
		},
		"XDG_CACHE_HOME moves both": {
			map[string]string{"XDG_CACHE_HOME": at("xdg")}, Options{Endpoint: DefaultEndpoint, CacheDir: at("xdg", "huggingface", "hub")},
		},
		"HF_HUB_CACHE wins": {
			map[string]string{"HF_HOME": at("hf"), "HUGGINGFACE_HUB_CACHE": at("old"), "HF_HUB_CACHE": "~/mine/$NAME", "NAME": "x"},
			Options{Endpoint: DefaultEndpoint, CacheDir: at("mine", "x")},
		},
		"the rest": {
			map[string]string{"HF_ENDPOINT": "http://mirror:8080/", "HF_TOKEN": " hf_env\n", "HF_HUB_OFFLINE": "yes", "HF_HUB_DISABLE_SYMLINKS": "1"},
			Options{Endpoint: "http://mirror:8080/", Token: "hf_env", CacheDir: at(".cache", "huggingface", "hub"), Offline: true, NoSymlinks: true},
		},
		"TRANSFORMERS_OFFLINE, and a token file elsewhere": {
			map[string]string{"TRANSFORMERS_OFFLINE": "1", "HF_TOKEN_PATH": token, "HF_HOME": at("hf")},
			Options{Endpoint: DefaultEndpoint, Token: "hf_file", CacheDir: at("hf", "hub"), Offline: true},
		},
		"no implicit token": {
			map[string]string{"HF_HUB_DISABLE_IMPLICIT_TOKEN": "true"}, Options{Endpoint: DefaultEndpoint, CacheDir: at(".cache", "huggingface", "hub")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromEnv(func(k string) string {
				if k == "HOME" {
					return home
				}
				return tt.env[k]
			})
			if err != nil || got.Endpoint != tt.want.Endpoint || got.Token != tt.want.Token || got.CacheDir != tt.want.CacheDir ||
				got.Offline != tt.want.Offline || got.NoSymlinks != tt.want.NoSymlinks {
				t.Errorf("%+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		o    Options
		says string
	}{
		"an endpoint without a scheme": {Options{Endpoint: "hub.example", CacheDir: "x"}, "HF_ENDPOINT"},
		"a file as an endpoint":        {Options{Endpoint: "file:///etc", CacheDir: "x"}, "HF_ENDPOINT"},
		"no cache folder":              {Options{}, "HF_HUB_CACHE"},
		"a token of two lines":         {Options{CacheDir: "x", Token: "a\nb"}, "HF_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "a\nb") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestListShowsTheCache(t *testing.T) {
	w := newWorld(t, nil)
	w.snapshot(t)
	w.retries = 0
	old := w.commit
	w.commit = w.Put(repoName, "main", map[string][]byte{"config.json": []byte(`{}`)})
	w.files["config.json"] = []byte(`{}`)
	w.snapshot(t)
	if err := os.WriteFile(w.cache.blob(repoName, strings.Repeat("a", 64)+incomplete), make([]byte, 77), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := List(w.CacheDir())
	if err != nil || len(list) != 1 || len(list[0].Commits) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	var want int64
	for _, name := range wanted {
		want += int64(len(w.files[name]))
	}
	r := list[0]
	if r.Repo != repoName || r.Incomplete != 77 || r.Bytes != want+int64(len(modelFiles()["config.json"]))-int64(len("{}")) {
		t.Errorf("%+v, want %d bytes and the old config.json", r, want) // generation_config.json is {} too: one blob
	}
	for _, c := range r.Commits {
		isNew := c.Commit == w.commit
		if !isNew && c.Commit != old || c.Files != len(wanted) || isNew != (len(c.Refs) == 1 && c.Refs[0] == "main") || c.Modified.IsZero() {
			t.Errorf("%+v", c)
		}
		if isNew && c.Bytes != want {
			t.Errorf("%d bytes, want %d", c.Bytes, want)
		}
	}
	if list, err := List(filepath.Join(t.TempDir(), "none")); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}
