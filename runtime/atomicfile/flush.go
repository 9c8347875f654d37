//go:build !windows

package atomicfile

import "os"

// flushFlag opens a file for Sync: reading is enough, so that read-only files can be flushed.
const flushFlag = os.O_RDONLY
