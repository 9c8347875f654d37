package filelock

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOneHoldsALockAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Try(path)
	if err != nil || unlock == nil {
		t.Fatalf("a free lock: %v", err)
	}
	if second, err := Try(path); err != nil || second != nil {
		t.Errorf("a held lock: taken %t, %v", second != nil, err)
	}
	unlock()
	again, err := Try(path)
	if err != nil || again == nil {
		t.Fatalf("a released lock: %v", err)
	}
	os.Remove(path) // as its holder may on release; Windows refuses
	again()
	last, err := Try(path)
	if err != nil || last == nil {
		t.Fatalf("after removal: %v", err)
	}
	last()
	if _, err := Try(filepath.Join(path, "below", "a", "file")); err == nil {
		t.Error("a lock where no file can be")
	}
}
