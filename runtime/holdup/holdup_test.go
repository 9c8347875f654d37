package holdup

import (
	"testing"
	"time"
)

func TestAnAnswerIsMeasuredWhileTheWorkGoesOn(t *testing.T) {
	if got := During(t, func() { time.Sleep(100 * time.Millisecond) }); got <= 0 || got > time.Minute {
		t.Errorf("the slowest answer took %v", got)
	}
}
