package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

func TestACommentIsKeptWithItsCellAndADeletionIsUndone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	watch, err := s.Watch(ctx, WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := s.AddComment(ctx, Comment{ID: "other", Book: "team/a.md", Cell: "tune", Author: "Mika", Text: "Try 64?\n二行", Revision: 7})
	if err != nil {
		t.Fatal(err)
	}
	if ev, err := watch.Next(ctx); err != nil || ev.Type != experiments.EventComments || string(ev.Data) != `{"book":"team/a.md"}` {
		t.Errorf("%+v %s %v", ev, ev.Data, err)
	}
	watch.Close()
	if _, err := s.AddComment(ctx, Comment{Book: "team/a.mdx", Cell: "tune", Author: "Y", Text: "of another"}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	if _, err := s.UpdateComment(ctx, made.ID, 1, func(c *Comment) {
		c.ResolvedAt, c.ResolvedBy, c.Author, c.Book, c.Revision = at, "Yuta", "nobody", "x.md", 99
	}); err != nil {
		t.Fatal(err)
	}
	var stale *RevisionError
	if err := s.DeleteComment(ctx, made.ID, 1); !errors.As(err, &stale) || stale.Now != 2 {
		t.Errorf("deleted at an old revision: %v", err)
	}
	if err := s.DeleteComment(ctx, made.ID, 2); err != nil {
		t.Fatal(err)
	}
	code(t, s.DeleteComment(ctx, made.ID, 0), experiments.CodeNotFound)
	if items, err := s.Comments(ctx, "team/a.md", false); err != nil || len(items) != 0 {
		t.Errorf("%+v %v", items, err)
	}
	s.Close()
	s = open(t, dir, Options{})
	if gone, err := s.Comments(ctx, "team/a.md", true); err != nil || len(gone) != 1 || gone[0].Deleted.IsZero() {
		t.Errorf("%+v %v", gone, err)
	}
	if _, err := s.RestoreComment(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = s.RestoreComment(ctx, made.ID)
	code(t, err, experiments.CodeNotFound)
	items, err := s.Comments(ctx, "team/a.md", false)
	if err != nil || len(items) != 1 {
		t.Fatalf("%+v %v", items, err)
	}
	if c := items[0]; c.ID != made.ID || c.Author != "Mika" || c.Text != "Try 64?\n二行" || c.Cell != "tune" || c.ResolvedBy != "Yuta" || !c.ResolvedAt.Equal(at) || !c.Created.Equal(made.Created) || c.Revision != 4 {
		t.Errorf("%+v", c)
	}
	if problems, err := s.Check(ctx); err != nil || len(problems) > 0 {
		t.Errorf("%q %v", problems, err)
	}
}

func TestACommentOfTwoRequestsWithOneKeyIsMadeOnce(t *testing.T) {
	s, _ := fresh(t, Options{})
	c := Comment{Book: "a.md", Cell: "x", Author: "M", Text: "once"}
	r := Request{Key: "k", Of: "POST /api/v1/comments"}
	first, err := s.AddComment(WithRequest(ctx, &r), c)
	if err != nil {
		t.Fatal(err)
	}
	again := r
	second, err := s.AddComment(WithRequest(context.Background(), &again), c)
	if err != nil || second.ID != first.ID || !again.Replayed {
		t.Errorf("%+v %v", second, err)
	}
}

func TestMistakesOfCommentsAreSaid(t *testing.T) {
	s, _ := fresh(t, Options{KeepDeleted: time.Millisecond})
	sound := Comment{Book: "a.md", Cell: "x", Author: "M", Text: "t"}
	for name, change := range map[string]func(*Comment){
		"no cell":          func(c *Comment) { c.Cell = " " },
		"no author":        func(c *Comment) { c.Author = "" },
		"a long author":    func(c *Comment) { c.Author = strings.Repeat("x", MaxCommentName+1) },
		"lines in a name":  func(c *Comment) { c.Author = "a\nb" },
		"no text":          func(c *Comment) { c.Text = "\n" },
		"text of no UTF-8": func(c *Comment) { c.Text = "\xff" },
	} {
		c := sound
		change(&c)
		if _, err := s.AddComment(ctx, c); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	long := sound
	long.Text = strings.Repeat("x", MaxComment+1)
	_, err := s.AddComment(ctx, long)
	code(t, err, experiments.CodeTooLarge)
	_, err = s.UpdateComment(ctx, "a\x00b", 0, func(*Comment) {})
	code(t, err, experiments.CodeNotFound)

	old, err := s.AddComment(ctx, sound)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteComment(ctx, old.ID, 0); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Millisecond)
	if _, err := s.AddComment(ctx, sound); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Comments(ctx, "a.md", true); err != nil || len(gone) != 0 {
		t.Errorf("one deleted long ago is kept: %+v %v", gone, err)
	}
}
