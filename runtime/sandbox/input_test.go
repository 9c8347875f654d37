package sandbox_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// summing adds up the 32-bit words of its table, and puts the table at an
// address: x = the sum, as f64.
func summing(at int32) []byte {
	m := wasmtest.Good()
	m.Pages, m.Alloc.Body = 64, wasmtest.I32c(at)
	m.Eval.Locals = wasmtest.Vec([]byte{1, wasmtest.TI64}, []byte{1, wasmtest.TI32})
	m.Eval.Body = wasmtest.Cat(
		// do sum += load(ptr), ptr += 4 while (i += 4) < len
		[]byte{0x03, 0x40, 0x20, 2, 0x20, 0, 0x35, 2, 0, 0x7c, 0x21, 2, 0x20, 0}, wasmtest.I32c(4), []byte{0x6a, 0x21, 0},
		[]byte{0x20, 3}, wasmtest.I32c(4), []byte{0x6a, 0x22, 3, 0x20, 1, 0x49, 0x0d, 0, 0x0b},
		wasmtest.I32c(wasmtest.ResultAt+49), []byte{0x20, 2, 0xba, 0x39, 0, 0}, m.Eval.Body)
	return m.Bytes()
}

func TestATableArrivesWhateverItsWay(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for name, at := range map[string]int32{"on a page": wasmtest.TableAt, "off a page": wasmtest.TableAt + 48, "elsewhere": 3*wasmtest.TableAt + 4096 - 16} {
		t.Run(name, func(t *testing.T) {
			shared := host(t, func(o *sandbox.Options) { o.Timeout = 20 * time.Second })
			piped := host(t, func(o *sandbox.Options) { o.Timeout, o.PipeInput = 20*time.Second, true })
			wasm := summing(at)
			// Growing and shrinking, so that what is left of a longer table
			// would be seen.
			for _, rows := range []int{3, 5000, 700_000, 20_000, 1, 0, 300_000} {
				labels := make([]int32, rows)
				for i := range labels {
					labels[i] = int32(rng.Uint32() >> 1)
				}
				tab := metricabi.Table{Rows: rows, Columns: []metricabi.Column{metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", labels)}}
				block, err := metricabi.Encode(tab)
				if err != nil {
					t.Fatal(err)
				}
				want := uint64(0)
				for i := 0; i < len(block); i += 4 {
					want += uint64(block[i]) | uint64(block[i+1])<<8 | uint64(block[i+2])<<16 | uint64(block[i+3])<<24
				}
				for way, h := range map[string]*sandbox.Host{"shared": shared, "piped": piped} {
					for range 2 { // the second call knows where the table will be
						got, _, err := h.Evaluate(context.Background(), wasm, tab, nil)
						if err != nil {
							t.Fatalf("%s, %d rows: %v", way, rows, err)
						}
						if got[0].Values[0] != float64(want) {
							t.Errorf("%s, %d rows: %v, want %v", way, rows, got[0].Values[0], want)
						}
					}
				}
			}
		})
	}
}
