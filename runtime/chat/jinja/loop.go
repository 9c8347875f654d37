package jinja

// loopState is the variable loop.
type loopState struct {
	items   []any
	i       int
	changed []any
}

func (r *run) loop(n loop, s *scope) error {
	v, err := r.eval(n.over, s)
	if err != nil {
		return err
	}
	items, err := r.iterate(n.at(), v)
	if err != nil {
		return err
	}
	if n.only != nil {
		var kept []any
		for _, v := range items {
			in := s.inner()
			if err := r.bind(n.at(), n.target, v, in); err != nil {
				return err
			}
			ok, err := r.eval(n.only, in)
			if err != nil {
				return err
			}
			if truth(ok) {
				kept = append(kept, v)
			}
		}
		items = kept
	}
	if len(items) == 0 {
		return r.body(n.other, s.inner())
	}
	state := &loopState{items: items}
	for i, v := range items {
		state.i = i
		in := s.inner()
		if err := r.bind(n.at(), n.target, v, in); err != nil {
			return err
		}
		in.vars["loop"] = state
		switch err := r.body(n.body, in); err {
		case nil, errContinue:
		case errBreak:
			return nil
		default:
			return err
		}
	}
	return nil
}

func (l *loopState) get(id string) any {
	at := func(i int) any {
		if i < 0 || i >= len(l.items) {
			return undefined("the item beyond the loop's ends")
		}
		return l.items[i]
	}
	n := len(l.items)
	switch id {
	case "index":
		return int64(l.i + 1)
	case "index0":
		return int64(l.i)
	case "revindex":
		return int64(n - l.i)
	case "revindex0":
		return int64(n - l.i - 1)
	case "first":
		return l.i == 0
	case "last":
		return l.i == n-1
	case "length":
		return int64(n)
	case "depth":
		return int64(1) // of recursive loops, which there are none of
	case "depth0":
		return int64(0)
	case "previtem":
		return at(l.i - 1)
	case "nextitem":
		return at(l.i + 1)
	case "cycle":
		return callable{"cycle", func(_ *run, line int, a args) (any, error) {
			if len(a.list) == 0 {
				return nil, fail(line, "loop.cycle wants something to cycle through")
			}
			return a.list[l.i%len(a.list)], a.none(line, "loop.cycle")
		}}
	case "changed":
		return callable{"changed", func(r *run, line int, a args) (any, error) {
			same := false
			if l.changed != nil {
				var err error
				if same, err = r.equal(line, List(l.changed), List(a.list)); err != nil {
					return nil, err
				}
			}
			l.changed = append([]any{}, a.list...)
			return !same, a.none(line, "loop.changed")
		}}
	}
	return undefined("loop." + id)
}
