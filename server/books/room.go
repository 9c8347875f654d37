package books

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"triality/experiments"
)

// Away is how long after it was last heard of a page that has a notebook open is no longer there. Pages are heard of every
// three seconds.
const Away = 8 * time.Second

// Limits of what pages say of themselves.
const (
	MaxPresent = 500 // pages, of all notebooks
	maxCalled  = 200 // bytes of a name
)

// Present is a page that has a notebook open.
type Present struct {
	Window string `json:"window"` // its own, of its choice
	Name   string `json:"name"`   // of its user, as he calls himself: it proves nothing
	Colour int    `json:"colour"` // of a palette that the pages share
	Cell   string `json:"cell,omitempty"`
}

// Room knows which pages have which notebooks open. It is safe for concurrent use.
type Room struct {
	mu    sync.Mutex
	seats map[string]map[string]seat // notebook, window
	tell  func(book string, items []Present)
	away  time.Duration
	timer *time.Timer // the next look for pages that are gone; nil: nobody is there
	ended bool
}

type seat struct {
	Present
	heard time.Time
}

// NewRoom makes a room that nobody is in. tell is told of a notebook whose pages have changed; it may not call the room.
func NewRoom(tell func(book string, items []Present)) *Room {
	return &Room{seats: map[string]map[string]seat{}, tell: tell, away: Away}
}

func (p *Present) check() error {
	if len(p.Window) < 8 || len(p.Window) > 64 || strings.ContainsFunc(p.Window, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return experiments.Errorf(experiments.CodeInvalid, "window %.80q: want 8 to 64 letters and digits, the page's own", p.Window)
	}
	for what, v := range map[string]string{"name": p.Name, "cell": p.Cell} {
		if len(v) > maxCalled || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
			return experiments.Errorf(experiments.CodeInvalid, "%s %.60q: want at most %d bytes of text in one line", what, v, maxCalled)
		}
	}
	if p.Colour < 0 || p.Colour > 1000 {
		return experiments.Errorf(experiments.CodeInvalid, "colour %d: want 0 to 1000", p.Colour)
	}
	return nil
}

// Here says that a page has a notebook open, and gives all that have.
func (r *Room) Here(book string, p Present) ([]Present, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "the server is stopping")
	}
	r.clear()
	before, was := r.seats[book][p.Window]
	if !was && r.count() >= MaxPresent {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "%d pages have notebooks open, more are not told of", MaxPresent)
	}
	if r.seats[book] == nil {
		r.seats[book] = map[string]seat{}
	}
	r.seats[book][p.Window] = seat{p, time.Now()}
	if r.timer == nil {
		r.timer = time.AfterFunc(r.away, r.look)
	}
	items := r.items(book)
	if !was || before.Present != p {
		r.tell(book, items)
	}
	return items, nil
}

// Gone says that a page no longer has a notebook open.
func (r *Room) Gone(book, window string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, was := r.seats[book][window]; was {
		r.leave(book, window)
		r.tell(book, r.items(book))
	}
}

func (r *Room) leave(book, window string) {
	if delete(r.seats[book], window); len(r.seats[book]) == 0 {
		delete(r.seats, book)
	}
}

// look clears the room while someone is there.
func (r *Room) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	r.clear()
	var next time.Time
	for _, seats := range r.seats {
		for _, s := range seats {
			if end := s.heard.Add(r.away); next.IsZero() || end.Before(next) {
				next = end
			}
		}
	}
	if !next.IsZero() {
		r.timer = time.AfterFunc(max(time.Until(next), time.Millisecond), r.look)
	}
}

// clear takes away those that were not heard of for long.
func (r *Room) clear() {
	for book, seats := range r.seats {
		n := len(seats)
		for window, s := range seats {
			if time.Since(s.heard) >= r.away {
				r.leave(book, window)
			}
		}
		if len(seats) < n {
			r.tell(book, r.items(book))
		}
	}
}

func (r *Room) count() (n int) {
	for _, seats := range r.seats {
		n += len(seats)
	}
	return n
}

func (r *Room) items(book string) []Present {
	out := []Present{}
	for _, s := range r.seats[book] {
		out = append(out, s.Present)
	}
	slices.SortFunc(out, func(a, b Present) int { return cmp.Compare(a.Window, b.Window) })
	return out
}

// Close ends it.
func (r *Room) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.seats, r.ended = map[string]map[string]seat{}, true
}
