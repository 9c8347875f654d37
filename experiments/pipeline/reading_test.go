package pipeline

import (
	"testing"

	"triality/experiments"
	"triality/runtime/model"
)

type progressSink struct {
	Sink
	last experiments.Progress
	told int
}

func (s *progressSink) Progress(p experiments.Progress) { s.last, s.told = p, s.told+1 }

func TestReadingALargeModelIsTold(t *testing.T) {
	data := make([]float32, 3_000_000)
	p, err := model.NewParams(model.Param{Name: "a", Shape: []int{3000, 1000}, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	sink := &progressSink{}
	w := reading(t.Context(), sink, "loading", p).(*watched)
	if err := w.ReadAt("a", data[:1000], 0); err != nil || sink.told != 0 {
		t.Errorf("told at once: %v, %v", sink.last, err)
	}
	w.told = w.told.Add(-tellEvery)
	if err := w.ReadAt("a", data[:1_999_000], 1000); err != nil {
		t.Fatal(err)
	}
	if l := sink.last; sink.told != 1 || l.Done != 2 || l.Total != 3 || l.Note != "loading" || l.Rate <= 0 {
		t.Errorf("%+v", l)
	}
}
