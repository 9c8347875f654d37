package fleet

import "time"

// clock gives the time since some moment of its own; it never jumps back, and knows nothing of the day.
type clock func() time.Duration

func sinceStart() clock {
	start := time.Now()
	return func() time.Duration { return time.Since(start) } // the monotonic reading
}
