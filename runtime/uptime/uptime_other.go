//go:build !linux

package uptime

import "time"

// Now is the time since some moment that is the same within a process.
func Now() time.Duration { return sinceStart() }
