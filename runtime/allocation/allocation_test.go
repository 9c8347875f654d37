package allocation

import "testing"

var sink []byte

func TestBytesCountsWhatIsFreedToo(t *testing.T) {
	got := Bytes(func() {
		for range 4 {
			sink = make([]byte, 1<<20)
		}
		sink = nil
	})
	if got < 4<<20 || got > Bound(0) {
		t.Errorf("four MiB counted as %d bytes", got)
	}
}
