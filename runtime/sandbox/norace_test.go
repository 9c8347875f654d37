//go:build !race

package sandbox_test

// stackRoom is the address space for a module's stack to overflow in.
const stackRoom = 1 << 30

const raced = false
