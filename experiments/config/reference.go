package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Reference is the configuration's reference page in Markdown, made from the struct's doc tags and
// the defaults.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Pipeline configuration\n\nMade from the code by `triality config reference`; a test holds this page to it.\n\n")
	b.WriteString("| key | default | meaning |\n| --- | --- | --- |\n")
	defaults := reflect.ValueOf(Default())
	walk(defaults.Type(), "", func(key string, f reflect.StructField) {
		meaning := f.Tag.Get("doc")
		if tag, ok := f.Tag.Lookup("range"); ok {
			meaning += " (" + strings.NewReplacer("..", " to ", ">", "over ", "<", "below ").Replace(tag) + ")"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, defaultText(defaults, key), meaning)
	})
	return b.String()
}

func defaultText(root reflect.Value, key string) string {
	if strings.Contains(key, "[]") {
		return ""
	}
	v := root
	for part := range strings.SplitSeq(key, ".") {
		v, _ = fieldByKey(v, part)
	}
	if v.Kind() == reflect.Struct || (v.Kind() == reflect.Slice && v.Len() == 0) || (v.Kind() == reflect.String && v.Len() == 0) {
		return ""
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return "`" + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", " ") + "`"
}
