package jinja

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestATemplateThatAsksForTooMuchIsRefusedSoon(t *testing.T) {
	nested := func(n int, s string) string { return strings.Repeat(s, n) }
	for name, c := range map[string]struct{ src, want string }{
		"an endless repetition":          {"{{ 'a' * 100000000000 }}", "more than"},
		"a list repeated":                {"{{ [1] * 100000000000 }}", "more than"},
		"a number too large":             {"{{ 9 ** 9 ** 9 }}", "64 bits"},
		"a text that doubles":            {"{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more than"},
		"a text that doubles by replace": {"{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aaaa') %}{% endfor %}", "more than"},
		"a text that doubles by join":    {"{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s.join([ns.s, ns.s]) %}{% endfor %}", "more than"},
		"a list that doubles":            {"{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more than"},
		"a list of itself, written":      {"{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}", "too much"},
		"a list of itself, as JSON":      {"{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}", "more than"},
		"a list of itself, compared":     {"{% set ns = namespace(s=[1], u=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.u = [ns.u, ns.u] %}{% endfor %}{{ ns.s == ns.u }}", "too much"},
		"a nest of a thousand lists":     {"{% set ns = namespace(s=[1]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}", "deep"},
		"loops in loops":                 {strings.Repeat("{% for i in range(10000) %}", 4) + "x" + strings.Repeat("{% endfor %}", 4), "too much"},
		"much output":                    {"{% for i in range(9999) %}{{ 'a' * 99999 }}{% endfor %}", "more than"},
		"a macro that calls itself":      {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "more than 50 deep"},
		"a range too long":               {"{{ range(1000000000) }}", "range of more than"},
		"a deep JSON indent":             {"{{ [[[[1]]]]|tojson(indent=100000) }}", "indent"},
		"an indent for each line":        {"{% set x = '\\n' * 1000000 %}{{ x|indent(1000, true, true) }}", "more than"},
		"a search in a search":           {"{% set x = 'a' * 1000000 %}{% for i in range(100000) %}{% if 'b' in x %}{% endif %}{% endfor %}", "too much"},
		"parentheses":                    {"{{ " + nested(100000, "(") + "1" + nested(100000, ")") + " }}", "nesting"},
		"nots":                           {"{{ " + nested(100000, "not ") + "1 }}", "nesting"},
		"signs":                          {"{{ " + nested(100000, "- ") + "1 }}", "nesting"},
		"tags":                           {nested(50000, "{% if 1 %}"), "nesting"},
		"a chain of attributes":          {"{{ a" + nested(300000, ".b") + " }}", "deep"},
		"a chain of sums":                {"{{ 1" + nested(300000, "+1") + " }}", "deep"},
		"a chain of ifs":                 {"{{ 1" + nested(80000, " if 1 else 2") + " }}", "nesting"},
		"a long template":                {nested(1<<20+1, "a"), "bytes, more than"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := render(c.src, []byte("{}"))
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			var located *Error
			if !errors.As(err, &located) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if took > 20*time.Second || after.TotalAlloc-before.TotalAlloc > 4<<30 {
				t.Errorf("took %v and %d MB", took, (after.TotalAlloc-before.TotalAlloc)>>20)
			}
		})
	}
}

func TestWhatIsNotSupportedIsNamedWithItsLine(t *testing.T) {
	for src, want := range map[string]string{
		"a\n{% include 'x' %}":                   "line 2: the tag {% include %} is not supported",
		"{% raw %}x{% endraw %}":                 "line 1: the tag {% raw %}",
		"{% call f() %}{% endcall %}":            "the tag {% call %}",
		"{% for a in b recursive %}{% endfor %}": "recursive",
		"\n\n{{ x|groupby('a') }}":               "line 3: the filter groupby",
		"{{ x is weird }}":                       "the test weird",
		"{{ '%s' % x }}":                         "formatting a string with %",
		"{{ 'a'.format(1) }}":                    "the string method format",
		"{{ 'a'.zfill(3) }}":                     "the string method zfill",
		"{{ f(*x) }}":                            "* in a call",
		"{{ [].append(1) }}":                     "append of a list is not allowed",
		"{{ {}.update({}) }}":                    "changes a dict",
		"{{ joiner() }}":                         "joiner is not supported",
		"{{ x.y.z }}":                            "'x', which is not defined",
		"{% set x|upper %}a{% endset %}":         "a filter on a set block",
		"{{ '\\N{BULLET}' }}":                    `the escape \N`,
		"{{ 99999999999999999999 }}":             "64 bits",
		"{% set x = {} %}{{ {x: 1} }}":           "a dict as a key",
		"{{ a ? b }}":                            "unexpected character '?'",
		"{% break %}":                            "break outside a loop",
	} {
		if _, err := render(src, []byte("{}")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", src, err, want)
		}
	}
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{"{% for m in ms %}{{ m.role|trim }}{% endfor %}", "{{ s[::-1] ~ d|tojson(indent=2) }}", "{%- macro f(a, b=1) -%}{{ a }}{% endmacro %}{{ f(n) }}",
		"{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x if n is odd else [1, (2,), {'a': none}] }}", "{# c -#} {{ ms|selectattr('a', 'in', [1])|map(attribute='b')|join }}", "{% set x %}{% if a not in b %}{% endif %}{% endset %}{{ 'a b'.split()[-1:] }}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		var located *Error
		text, err := render(src, []byte(`{"s": "Hello 日本", "n": 3, "l": [1, 2.5, "x"], "d": {"a": 1, "b": [null, true]}, "ms": [{"role": "user", "content": "a"}]}`))
		if err != nil && !errors.As(err, &located) {
			t.Fatalf("%v is not located", err)
		}
		if len(text) > maxString {
			t.Fatal("too long")
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	f.Add([]byte(`[{"role": "user", "content": "a\u00e9", "n": -1.5e3}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := FromJSON(raw)
		if err != nil {
			return
		}
		if _, err := render("{{ x|tojson }}{{ x }}", []byte(`{"x": `+string(raw)+`}`)); err != nil && !strings.Contains(err.Error(), "deep") && !strings.Contains(err.Error(), "nesting") {
			t.Fatalf("%v: %v", v, err)
		}
	})
}
