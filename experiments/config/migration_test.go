package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page for people who come from transformers and peft.
func migrationPage(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/from-transformers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestTheConfigurationOfTheMigrationPageIsOne(t *testing.T) {
	_, block, ok := strings.Cut(migrationPage(t), "```yaml\n")
	if !ok {
		t.Fatal("there is no YAML on the page")
	}
	block, _, _ = strings.Cut(block, "```")
	p, err := Parse("from-transformers.md", []byte(block))
	if err != nil {
		t.Fatal(err)
	}
	if p.Training.Optim != "paged_adamw_8bit" || !p.Model.LoadIn8bit {
		t.Errorf("%+v", p.Training)
	}
}

func TestTheMigrationPageNamesEveryKeyOfTraining(t *testing.T) {
	page := migrationPage(t)
	reference, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(string(reference), -1) {
		known[m[1]] = true
		if strings.HasPrefix(m[1], "training.") && !strings.Contains(page, "`"+m[1]+"`") && !strings.Contains(page, "`"+m[1]+": ") {
			t.Errorf("it says nothing of %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("`((?:training|data)\\.[a-z0-9_]+)`").FindAllStringSubmatch(page, -1) {
		if !known[m[1]] {
			t.Errorf("it has the key %s, which there is not", m[1])
		}
	}
}
