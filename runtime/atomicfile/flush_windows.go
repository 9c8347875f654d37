package atomicfile

import "os"

// flushFlag opens a file for Sync: FlushFileBuffers wants a handle that may write.
const flushFlag = os.O_RDWR
