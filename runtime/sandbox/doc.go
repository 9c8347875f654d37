// Package sandbox runs metric modules, which are WebAssembly that nobody here
// wrote, without trusting them.
//
// Three fences stand one behind the other. Preflight reads the module with
// code of our own and refuses counts, sizes and nesting that would hurt a
// decoder, imports other than WASI's functions, which reach nothing here, and
// exports with wrong signatures. A worker process (this binary, re-executed) then adds an account
// of fuel to the code, compiles it and runs it under limits on memory and
// processor time that the operating system keeps; a clock and a random source
// that never change make its answer, and the fuel it takes, a function of its
// input. The host kills the worker at the wall deadline and checks every byte
// that comes back.
//
// A worker serves one module, each call in a fresh instance, and waits for
// further calls as long as nothing fails in it. Tables reach it, and large
// results come back, through memory it shares with the host where the system
// has such. What is not promised: that a module which broke out of wazero's
// machine code, and so ran as this user in the worker, could do nothing
// besides; the worker is limited, not confined.
package sandbox
