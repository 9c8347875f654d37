package atomicfile

import "triality/runtime/disk"

// SyncDir is disk.SyncDir.
func SyncDir(dir string) error { return disk.SyncDir(dir) }
