package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

func TestAKeyHasTheKindTheEngineVersionAndEveryPartInIt(t *testing.T) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%q\n%q\n%d\n", "convert", EngineVersion, "a", 7))
	got, err := Key("convert", "a", 7)
	if err != nil || got != hex.EncodeToString(sum[:]) {
		t.Errorf("the key is %s, %v; want the SHA-256 of kind, engine version and parts as lines of JSON, %x", got, err, sum)
	}
	if _, err := Key("convert", func() {}); err == nil {
		t.Error("a part that JSON cannot say was left out")
	}
}
