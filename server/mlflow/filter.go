package mlflow

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"triality/server/search"
	"triality/server/search/query"
)

// value is a text or a whole number; a tag may be missing.
type value struct {
	text    string
	number  int64
	numeric bool
	missing bool
}

func compare(a, b value) int {
	if a.missing || b.missing {
		if a.missing == b.missing {
			return 0
		}
		if a.missing {
			return 1 // last
		}
		return -1
	}
	if a.numeric {
		return cmp.Compare(a.number, b.number)
	}
	return strings.Compare(a.text, b.text)
}

// property is what a key names of an experiment.
func property(e experimentInfo, k query.Key) (value, error) {
	if k.Kind == query.Tag {
		at := slices.IndexFunc(e.Tags, func(p pair) bool { return string(p.Key) == k.Name })
		if at < 0 {
			return value{missing: true}, nil
		}
		return value{text: string(e.Tags[at].Value)}, nil
	}
	if k.Kind == query.Attribute || k.Kind == query.Short {
		switch strings.ToLower(k.Name) {
		case "name":
			return value{text: e.Name}, nil
		case "experiment_id":
			return value{text: e.ID}, nil
		case "creation_time", "created":
			return value{number: e.Created, numeric: true}, nil
		case "last_update_time":
			return value{number: e.Updated, numeric: true}, nil
		}
	}
	return value{}, invalid("Invalid attribute key '%s' specified: of experiments there are name, creation_time, last_update_time, experiment_id and tags.KEY", k.Name)
}

// matches says whether a filter holds for an experiment.
func matches(e experimentInfo, n query.Node) (bool, error) {
	switch n := n.(type) {
	case nil:
		return true, nil
	case query.All:
		for _, part := range n.Of {
			if ok, err := matches(e, part); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	case query.Any:
		for _, part := range n.Of {
			if ok, err := matches(e, part); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case query.Not:
		ok, err := matches(e, n.Of)
		return !ok, err
	case query.Text:
		return strings.Contains(strings.ToLower(e.Name), strings.ToLower(n.Text)), nil
	case query.Compare:
		return holds(e, n)
	}
	return false, invalid("filter: a part that experiments do not have")
}

func holds(e experimentInfo, c query.Compare) (bool, error) {
	v, err := property(e, c.Key)
	if err != nil {
		return false, err
	}
	switch c.Op {
	case query.Null, query.NotNull:
		return v.missing == (c.Op == query.Null), nil
	}
	if v.missing {
		return false, nil
	}
	with := make([]value, len(c.Values))
	for i, w := range c.Values {
		with[i] = value{text: w.Text, numeric: v.numeric}
		if v.numeric {
			if with[i].number, err = strconv.ParseInt(w.Text, 10, 64); err != nil {
				return false, invalid("filter: %s is compared with a whole number, not with %.40q", c.Key, w.Text)
			}
		}
	}
	same := func(w value) bool { return compare(v, w) == 0 }
	switch c.Op {
	case query.Eq:
		return same(with[0]), nil
	case query.Ne:
		return !same(with[0]), nil
	case query.In:
		return slices.ContainsFunc(with, same), nil
	case query.NotIn:
		return !slices.ContainsFunc(with, same), nil
	case query.Like, query.NotLike:
		return search.Like(v.text, with[0].text, false) == (c.Op == query.Like), nil
	case query.ILike, query.NotILike:
		return search.Like(v.text, with[0].text, true) == (c.Op == query.ILike), nil
	}
	d := compare(v, with[0])
	return c.Op == query.Lt && d < 0 || c.Op == query.Le && d <= 0 || c.Op == query.Gt && d > 0 || c.Op == query.Ge && d >= 0, nil
}
