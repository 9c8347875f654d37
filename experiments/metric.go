package experiments

// Point is one value of a metric series. Value may be NaN or infinite: it is stored as it is and
// leaves the API as null.
type Point struct {
	Step  int64   `json:"step"`
	Time  int64   `json:"time"` // Unix milliseconds
	Value float64 `json:"value"`
}

// MetricBatch is what one log call carries: points of several series of one run.
type MetricBatch map[string][]Point
