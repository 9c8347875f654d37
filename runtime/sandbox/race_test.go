//go:build race

package sandbox_test

// stackRoom is the address space for a module's stack to overflow in. The race
// detector keeps its heap, with gaps, in a range of addresses, and a worker
// under it needs a multiple.
const stackRoom = 8 << 30

// raced says that the race detector is on.
const raced = true
