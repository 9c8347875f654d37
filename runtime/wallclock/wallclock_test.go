package wallclock

import (
	"testing"
	"time"
)

func TestTheClockThatIsFollowedIsAheadByThatMuch(t *testing.T) {
	defer Follow(0)
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour, 87600 * time.Hour} {
		Follow(ahead)
		before := time.Now()
		got := Now()
		after := time.Now()
		if d := got.Round(0).Sub(before.Round(0)); d < ahead || got.Round(0).Sub(after.Round(0)) > ahead {
			t.Errorf("%v ahead of this machine's clock, want %v", d, ahead)
		}
		if d := Now().Sub(got); d < 0 || d > time.Minute {
			t.Errorf("two readings differ by %v", d)
		}
	}
}
