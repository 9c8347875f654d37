//go:build unix

package main

// switches is the file that a changed package gets. MUTANT is the number of the change that is on; MUTANTS_REACHED is
// a file with a byte for every change, that of each change that was reached becomes 1, in other processes too.
const switches = `package %s

import (
	mutantCmp "cmp"
	mutantOS "os"
	mutantStrconv "strconv"
	mutantSyscall "syscall"
)

var mutantOn, mutantReached = mutantStart()

func mutantStart() (int, []byte) {
	on, _ := mutantStrconv.Atoi(mutantOS.Getenv("MUTANT"))
	f, err := mutantOS.OpenFile(mutantOS.Getenv("MUTANTS_REACHED"), mutantOS.O_RDWR, 0)
	if err != nil {
		return on, nil
	}
	defer f.Close()
	m, err := mutantSyscall.Mmap(int(f.Fd()), 0, %d, mutantSyscall.PROT_READ|mutantSyscall.PROT_WRITE, mutantSyscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return on, m
}

func mutantIs(id int) bool {
	if mutantReached != nil {
		mutantReached[id] = 1
	}
	return id == mutantOn
}

func mutantNot(id int, b bool) bool { return b != mutantIs(id) }

func mutantLess[T mutantCmp.Ordered](over, not int, a, b T) bool {
	if mutantIs(over) {
		return a <= b
	}
	if mutantIs(not) {
		return a >= b
	}
	return a < b
}

func mutantAtMost[T mutantCmp.Ordered](over, not int, a, b T) bool {
	if mutantIs(over) {
		return a < b
	}
	if mutantIs(not) {
		return a > b
	}
	return a <= b
}

func mutantMore[T mutantCmp.Ordered](over, not int, a, b T) bool {
	if mutantIs(over) {
		return a >= b
	}
	if mutantIs(not) {
		return a <= b
	}
	return a > b
}

func mutantAtLeast[T mutantCmp.Ordered](over, not int, a, b T) bool {
	if mutantIs(over) {
		return a > b
	}
	if mutantIs(not) {
		return a < b
	}
	return a >= b
}

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

type mutantNumber interface {
	mutantInteger | ~float32 | ~float64 | ~complex64 | ~complex128
}

func mutantAdd[T mutantNumber](id int, a, b T) T {
	if mutantIs(id) {
		return a - b
	}
	return a + b
}

func mutantSub[T mutantNumber](id int, a, b T) T {
	if mutantIs(id) {
		return a + b
	}
	return a - b
}

func mutantMul[T mutantNumber](id int, a, b T) T {
	if mutantIs(id) {
		return a / b
	}
	return a * b
}

func mutantQuo[T mutantNumber](id int, a, b T) T {
	if mutantIs(id) {
		return a * b
	}
	return a / b
}

func mutantRem[T mutantInteger](id int, a, b T) T {
	if mutantIs(id) {
		return a * b
	}
	return a %% b
}

func mutantNeg[T mutantNumber](id int, a T) T {
	if mutantIs(id) {
		return a
	}
	return -a
}

func mutantOne[T mutantNumber](id int, _ T) T {
	if mutantIs(id) {
		var zero T
		return zero - 1
	}
	return 1
}

func mutantMinusOne[T mutantNumber](id int, _ T) T {
	if mutantIs(id) {
		return 1
	}
	var zero T
	return zero - 1
}
`
