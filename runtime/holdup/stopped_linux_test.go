package holdup

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAMachineThatKeepsAProgramWaitingIsSeen(t *testing.T) {
	const stopped = 300 * time.Millisecond
	got := During(t, func() {
		child := children(t)
		time.Sleep(50 * time.Millisecond)
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := syscall.Kill(child, sig); err != nil {
				t.Error(err)
			}
			time.Sleep(stopped)
		}
	})
	if got < stopped/2 {
		t.Errorf("the slowest answer took %v, though the program stood still for %v", got, stopped)
	}
}

// children gives the one child of this process.
func children(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/children")
	if err != nil {
		t.Skip("children are found through /proc:", err)
	}
	for _, dir := range tasks(t) {
		if more, err := os.ReadFile("/proc/self/task/" + dir + "/children"); err == nil {
			text = append(text, more...)
		}
	}
	for _, word := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			return pid
		}
	}
	t.Fatal("no child")
	return 0
}

func tasks(t *testing.T) (names []string) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}
