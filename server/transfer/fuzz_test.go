package transfer

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// What a manifest may name lies below the folder that it is put under, each file once.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{
		`{"name":"run1","files":[{"path":"work/convert/0123456789ab/step.json","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"mode":420}]}`,
		`{"name":"run1","files":[{"path":"../x"}]}`, `{"files":[{"path":"a"},{"path":"A"}]}`, `{"files":[{"path":"a/b"},{"path":"a"}]}`, `{}`, `null`, `[`, "{}{}",
		`{"files":[{"path":"\u0000"}]}`, `{"files":[{"path":"ß"},{"path":"ss"}]}`, `{"files":[{"path":"a//b"},{"path":"C:/x"},{"path":"a\\b"}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, file := range m.Files {
			at := filepath.Join("/folder/of", filepath.FromSlash(file.Path))
			if !strings.HasPrefix(at, "/folder/of/") || strings.ContainsAny(file.Path, "\\\x00") {
				t.Errorf("%q leads to %q", file.Path, at)
			}
			if lower := strings.ToLower(file.Path); seen[lower] {
				t.Errorf("%q is there twice but for its case", file.Path)
			} else {
				seen[lower] = true
			}
			if file.ID.Check() != nil || file.Mode > 0o777 {
				t.Errorf("%+v", file)
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseManifest(again); err != nil {
			t.Errorf("what was accepted is refused once written: %v", err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	whole, err := Marshal(&writeArgs{Pieces: []piece{{Length: 1}}, Data: []byte("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte{255, 255, 255, 255, '{'})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		var a writeArgs
		if Unmarshal(text, &a) != nil {
			return
		}
		if len(a.Data) > len(text) {
			t.Error("more bytes than came")
		}
		if check(a.Pieces) == nil {
			for _, p := range a.Pieces {
				if p.Offset < 0 || p.Length < 0 || p.Offset+int64(p.Length) > p.Size {
					t.Errorf("%+v was let through", p)
				}
			}
		}
	})
}
