// Package sandbox runs metric modules, which are WebAssembly that nobody here
// wrote, without trusting them.
//
// Three fences stand one behind the other. Preflight reads the module with
// code of our own and refuses counts, sizes and nesting that would hurt a
// decoder, imports beyond ten WASI functions, and exports with wrong
// signatures. A worker process (this binary, re-executed) then compiles and
// runs it under limits on memory and processor time that the operating system
// keeps; a clock and a random source that never change make its answer a
// function of its input. The host kills the worker at the wall deadline and
// checks every byte that comes back.
package sandbox
