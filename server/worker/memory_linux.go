package worker

import "os"

// offerMemory makes this process the one that the system ends when memory runs out. Raising one's own score
// needs no right; where /proc is missing the system chooses by size, which is the worker too.
func offerMemory() { _ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o644) }
