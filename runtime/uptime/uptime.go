// Package uptime measures how long something lasts, the machine's suspension included: what holds for a minute must
// not hold on after a night's sleep.
package uptime

import "time"

var start = time.Now()

// sinceStart knows nothing of suspension, and never jumps.
func sinceStart() time.Duration { return time.Since(start) }
