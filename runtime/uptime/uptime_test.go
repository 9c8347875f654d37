package uptime

import (
	"testing"
	"time"
)

func TestItGoesOnAtTheClocksPace(t *testing.T) {
	began, from := Now(), time.Now()
	time.Sleep(20 * time.Millisecond)
	took := Now() - began
	if most := time.Since(from); took < 20*time.Millisecond || took > most+time.Second {
		t.Errorf("%v passed, and %v on the clock", took, most)
	}
}
