package hfdataset

import (
	"math"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
)

// A record batch's table: its buffers (16 bytes each) and the counts of buffers of its columns of views.
func batchTable(buffers int, counts ...int64) flatbuffers.Table {
	b := flatbuffers.NewBuilder(0)
	b.StartVector(16, buffers, 8)
	for range 2 * buffers {
		b.PrependInt64(0)
	}
	bufferVector := b.EndVector(buffers)
	b.StartVector(8, len(counts), 8)
	for i := len(counts) - 1; i >= 0; i-- {
		b.PrependInt64(counts[i])
	}
	countVector := b.EndVector(len(counts))
	b.StartObject(5)
	b.PrependUOffsetTSlot(2, bufferVector, 0)
	b.PrependUOffsetTSlot(4, countVector, 0)
	b.Finish(b.EndObject())
	return root(b.FinishedBytes())
}

func TestABatchCannotCountMoreBuffersThanItHas(t *testing.T) {
	for name, tt := range map[string]struct {
		buffers int
		counts  []int64
		ok      bool
	}{
		"no views":            {2, nil, true},
		"one each":            {4, []int64{1, 1}, true},
		"more than there are": {4, []int64{1, 4}, false},
		"a negative count":    {4, []int64{1, -1}, false},
		"the largest counts":  {4, []int64{math.MaxInt64, math.MaxInt64}, false},
	} {
		if err := checkVariadic(batchTable(tt.buffers, tt.counts...)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
