package wasmmetrics_test

import (
	"context"
	"testing"
	"time"
)

// BenchmarkAMillionRows measures three metrics, one a language, against Go
// counting the accuracy of one arm in the same run: ratio is the time in the
// module (instantiating and copying the table in included) over that, and
// wall-ms is the whole call with encoding, worker and compiling. The last two
// do two arms and more than count.
func BenchmarkAMillionRows(b *testing.B) {
	for _, name := range []string{"accuracy", "mcc", "false_allow"} {
		b.Run(name, func(b *testing.B) {
			wasm := module(b, name)
			s := draw(1, 1_000_000)
			table := s.table()
			var eval, wall, native time.Duration
			for b.Loop() {
				_, u, err := sandboxed.Evaluate(context.Background(), wasm, table, nil)
				if err != nil {
					b.Fatal(err)
				}
				eval += time.Duration(u.EvalSeconds * 1e9)
				wall += time.Duration(u.WallSeconds * 1e9)
				start := time.Now()
				label, prediction := &table.Columns[4], &table.Columns[5]
				right, all := 0, 0
				for i := range table.Rows {
					if label.Valid(i) {
						all++
						if prediction.Valid(i) && label.Int32[i] == prediction.Int32[i] {
							right++
						}
					}
				}
				native += time.Since(start)
				if right == 0 || right > all {
					b.Fatal(right, all)
				}
			}
			b.ReportMetric(float64(eval)/float64(native), "ratio")
			b.ReportMetric(wall.Seconds()*1e3/float64(b.N), "wall-ms")
			b.ReportMetric(eval.Seconds()*1e3/float64(b.N), "eval-ms")
		})
	}
}
