package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"triality/experiments"
)

func TestAViewIsKeptByteForByteAndOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	body := " {\"b\" :1.0,\n\"a\":\"<\\u00e9\x7f>\"}\n"
	made, err := s.CreateView(ctx, View{Name: "v", Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir, Options{})
	v, err := s.View(ctx, made.ID)
	if err != nil || string(v.Body) != body || v.Revision != 1 || !v.Created.Equal(made.Created) {
		t.Errorf("%+v, body %q, %v", v, v.Body, err)
	}
	if all, err := s.Views(ctx, nil, nil); err != nil || len(all) != 1 || all[0].Body != nil {
		t.Errorf("%+v %v", all, err)
	}
}

func TestChangesOfAViewThatMeetAreNotLost(t *testing.T) {
	s, _ := fresh(t, Options{})
	v, err := s.CreateView(ctx, View{Name: "v", Body: []byte("0")})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				now, err := s.View(ctx, v.ID)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.UpdateView(ctx, v.ID, now.Revision, func(to *View) error {
					var n int
					err := json.Unmarshal(now.Body, &n)
					to.Body = fmt.Append(nil, n+1)
					return err
				})
				var stale *RevisionError
				switch {
				case err == nil:
					done++
				case !errors.As(err, &stale) || stale.Now <= stale.Asked:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if v, err = s.View(ctx, v.ID); err != nil || string(v.Body) != fmt.Sprint(writers*each) || v.Revision != writers*each+1 {
		t.Errorf("body %s, revision %d, %v", v.Body, v.Revision, err)
	}
}

func TestAViewThatIsWrongChangesNothing(t *testing.T) {
	s, e := fresh(t, Options{})
	v, err := s.CreateView(ctx, View{Name: "v", Experiment: e, Body: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.CreateView(ctx, View{Name: "v", Experiment: e, Folder: "f", Body: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*View){
		"no name": func(v *View) { v.Name = " " }, "no JSON": func(v *View) { v.Body = []byte("{") }, "nothing": func(v *View) { v.Body = nil },
		"a taken name": func(v *View) { v.Folder = "" }, "a missing experiment": func(v *View) { v.Experiment = "x" },
		"too large": func(v *View) { v.Body = []byte(strings.Repeat("1", MaxViewBody+1)) }, "an odd folder": func(v *View) { v.Folder = "/a" },
	} {
		if _, err := s.UpdateView(ctx, w.ID, 0, func(v *View) error { change(v); return nil }); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if now, err := s.View(ctx, w.ID); err != nil || now.Revision != 1 || now.Folder != "f" {
		t.Errorf("%+v %v", now, err)
	}
	if err := s.DeleteView(ctx, v.ID, 1); err != nil {
		t.Error(err)
	}
	_, err = s.View(ctx, v.ID)
	code(t, err, experiments.CodeNotFound)
}
