package jinja

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/realdata"
)

// TestTemplatesGiveWhatJinja2Gives holds the engine to jinja2 itself (testdata/make.py).
func TestTemplatesGiveWhatJinja2Gives(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Vars  []json.RawMessage `json:"vars"`
		Cases []struct {
			Template, Shared string
			Vars             int
			Want             *string
			Error            string
		} `json:"cases"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 1000 {
		t.Fatalf("%d cases", len(f.Cases))
	}
	for _, c := range f.Cases {
		src := c.Template
		if c.Shared != "" {
			raw, err := os.ReadFile(realdata.Path(t, c.Shared+"/tokenizer_config.json"))
			if err != nil {
				t.Fatal(err)
			}
			var config struct {
				Template string `json:"chat_template"`
			}
			if err := json.Unmarshal(raw, &config); err != nil {
				t.Fatal(err)
			}
			src = config.Template
		}
		got, err := render(src, f.Vars[c.Vars])
		switch {
		case c.Want == nil && err == nil:
			t.Errorf("%s\ngives %q, jinja2 raises %s", src, got, c.Error)
		case c.Want != nil && err != nil:
			// jinja2 computes constant expressions beforehand, where a slice of a number is undefined.
			if !refused[strings.TrimSpace(strings.Trim(src, "{}"))] && !strings.Contains(err.Error(), "cannot take a slice of") {
				t.Errorf("%s\n%v, jinja2 gives %q", src, err, *c.Want)
			}
		case c.Want != nil && got != *c.Want:
			t.Errorf("%s\ngives %q\njinja2 %q", src, got, *c.Want)
		}
	}
}

// refused is what jinja2 gives and this engine does not; each is an error.
var refused = map[string]bool{"2 ** 70": true, "self": true, "s.__class__": true, "s['__class__']": true}

func render(src string, vars []byte) (string, error) {
	tmpl, err := Parse(src)
	if err != nil {
		return "", err
	}
	v, err := FromJSON(vars)
	if err != nil {
		return "", err
	}
	in := map[string]any{"raise_exception": Func("raise_exception", func(args []any) (any, error) { return nil, fail(0, "raised %v", args) })}
	d := v.(*Dict)
	for _, k := range d.keys {
		in[k.(string)], _ = d.Get(k)
	}
	return tmpl.Render(in)
}
