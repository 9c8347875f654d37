package experiments

import "testing"

func TestAReasonSaysWhatIsWaitedFor(t *testing.T) {
	for want, r := range map[string]Reason{
		"waits for the processor (run r: n)":                         {Code: WaitsForDevice, Args: map[string]string{"device": "cpu", "run": "r", "name": "n"}},
		"waits for cuda:1 (run r: n)":                                {Code: WaitsForDevice, Args: map[string]string{"device": "cuda:1", "run": "r", "name": "n"}},
		"waits for a worker":                                         {Code: WaitsForWorker},
		"waits for a worker with a GPU":                              {Code: WaitsForWorker, Args: map[string]string{"gpu": "0"}},
		"waits for a worker with a GPU of 24 GB and 64 GB of memory": {Code: WaitsForWorker, Args: map[string]string{"gpu": "24", "memory": "64"}},
		"waits until a worker with 8 GB of memory is free":           {Code: WaitsForSlot, Args: map[string]string{"memory": "8"}},
		"waits: unheard of":                                          {Code: "unheard of"},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
