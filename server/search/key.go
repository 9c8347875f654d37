package search

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/server/search/query"
)

// Note says something of a search that is no error: a key that no run has, or that may mean several.
type Note struct {
	Kind    string   `json:"kind"` // unknown_key, ambiguous_key or no_direction
	Key     string   `json:"key"`
	Near    []string `json:"near,omitempty"` // keys that may be meant
	Message string   `json:"message"`
}

// Attributes that keys name, and their other names.
const (
	attrID           = "id"
	attrName         = "name"
	attrStatus       = "status"
	attrExperiment   = "experiment"
	attrExperimentID = "experiment_id"
	attrCreated      = "created"
	attrStarted      = "started"
	attrEnded        = "ended"
	attrDuration     = "duration"
	attrNotes        = "notes"
	attrError        = "error"
	attrArchived     = "archived"
	attrParent       = "parent"
	attrFolder       = "folder"
)

// Attributes are the names of what every run has, as keys give them.
var Attributes = []string{
	attrName, attrStatus, attrExperiment, attrStarted, attrDuration, attrCreated, attrEnded, attrID, attrExperimentID,
	attrNotes, attrError, attrArchived, attrParent, attrFolder,
}

var otherNames = map[string]string{
	"run_id": attrID, "run_name": attrName, "run name": attrName, "experiment_name": attrExperiment,
	"created_at": attrCreated, "started_at": attrStarted, "start_time": attrStarted,
	"ended_at": attrEnded, "end_time": attrEnded, "parent_id": attrParent, "note": attrNotes, "description": attrNotes,
}

func attribute(name string) (string, bool) {
	name = strings.ToLower(name)
	if other, ok := otherNames[name]; ok {
		return other, true
	}
	return name, slices.Contains(Attributes, name)
}

// abbreviations of parameters, as they are said and as they are named.
var abbreviations = map[string]string{
	"lr": "learning_rate", "wd": "weight_decay", "bs": "per_device_train_batch_size", "batch_size": "per_device_train_batch_size",
	"epochs": "num_train_epochs", "model": "base_model",
}

// column is what a key was found to name. One of the first three is set, or none: then no run has it.
type column struct {
	key    query.Key // in full, as answers name it
	metric *metricColumn
	text   *textColumn
	attr   string
}

func (c *column) none() bool { return c.metric == nil && c.text == nil && c.attr == "" }

// resolver finds the columns that keys name, among those of the runs in scope.
type resolver struct {
	x     *Index
	scope rowset
	now   time.Time
	notes []Note
	found map[query.Key]*column
}

func (x *Index) resolver(scope rowset, now time.Time) *resolver {
	return &resolver{x: x, scope: scope, now: now, found: map[query.Key]*column{}}
}

func (r *resolver) note(n Note) {
	if !slices.ContainsFunc(r.notes, func(o Note) bool { return o.Kind == n.Kind && o.Key == n.Key }) {
		r.notes = append(r.notes, n)
	}
}

// column finds what a key names, and notes where that is nothing or not plain.
func (r *resolver) column(k query.Key) *column {
	k.At = 0
	if c := r.found[k]; c != nil {
		return c
	}
	c := r.look(k)
	r.found[k] = c
	if c.metric != nil && k.Fold == query.Best && !r.directed(c.metric) {
		r.note(Note{Kind: "no_direction", Key: c.key.String(),
			Message: fmt.Sprintf("whether a greater or a lesser %s is better is not known, so it has no best: set its direction in the experiment", c.metric.name)})
	}
	return c
}

// directed says whether the metric has a direction in some run that has it.
func (r *resolver) directed(c *metricColumn) bool {
	for _, at := range c.rows {
		if r.scope.has(at) {
			if d := r.x.direction(c, at); d == Higher || d == Lower {
				return true
			}
		}
	}
	return len(c.rows) == 0
}

func (r *resolver) look(k query.Key) *column {
	c := &column{key: k}
	switch k.Kind {
	case query.Attribute:
		if name, ok := attribute(k.Name); ok {
			c.attr, c.key.Name = name, name
			return c
		}
	case query.Short:
		if name, ok := attribute(k.Name); ok && k.Fold == query.NoFold {
			c.attr, c.key = name, query.Key{Kind: query.Attribute, Name: name}
			return c
		}
	}
	if c := r.exactly(k); c != nil {
		return c
	}
	for _, same := range []func(name string) bool{
		func(name string) bool { return name == k.Name },
		func(name string) bool { return strings.EqualFold(name, k.Name) },
		func(name string) bool { return strings.EqualFold(lastPart(name), k.Name) },
		func(name string) bool {
			long, ok := abbreviations[strings.ToLower(k.Name)]
			return ok && strings.EqualFold(lastPart(name), long)
		},
	} {
		if all := r.candidates(k, same); len(all) > 0 {
			if len(all) > 1 {
				r.note(Note{Kind: "ambiguous_key", Key: k.String(), Near: names(all[1:]),
					Message: fmt.Sprintf("%s is taken for %s; it may also mean %s", k, all[0].key, list(names(all[1:])))})
			}
			return all[0]
		}
	}
	if k.Kind != query.Short { // a parameter may be named run.x
		plain := query.Key{Kind: query.Short, Name: string(k.Kind) + "." + k.Name, Fold: k.Fold}
		if all := r.candidates(plain, func(name string) bool { return name == plain.Name }); len(all) > 0 {
			return all[0]
		}
	}
	near := r.near(k)
	message := fmt.Sprintf("no run here has %s", k)
	if len(near) > 0 {
		message += "; did you mean " + list(near) + "?"
	}
	r.note(Note{Kind: "unknown_key", Key: k.String(), Near: near, Message: message})
	return c
}

// exactly finds the column of a key that says its kind, without a search through thousands.
func (r *resolver) exactly(k query.Key) *column {
	switch k.Kind {
	case query.Metric:
		if c := r.x.metrics[k.Name]; c != nil && r.scope.any(c.rows) {
			return &column{key: k, metric: c}
		}
	case query.Param, query.Tag:
		if c := r.x.texts[textName{k.Kind, k.Name}]; c != nil && r.scope.any(c.rows) {
			return &column{key: k, text: c}
		}
	}
	return nil
}

// list is words with commas and, before the last, "or".
func list(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " or " + words[n]
	}
	return strings.Join(words, "")
}

func names(all []*column) (out []string) {
	for _, c := range all[:min(len(all), 3)] {
		out = append(out, c.key.String())
	}
	return out
}

func lastPart(name string) string { return name[strings.LastIndexAny(name, "/.")+1:] }

// candidates are the columns of runs in scope that a key may mean: metrics before parameters and tags, the more
// used before the less.
func (r *resolver) candidates(k query.Key, same func(string) bool) (out []*column) {
	if k.Kind == query.Short || k.Kind == query.Metric {
		for _, c := range r.x.metrics {
			if same(c.name) && r.scope.any(c.rows) {
				out = append(out, &column{key: query.Key{Kind: query.Metric, Name: c.name, Fold: k.Fold}, metric: c})
			}
		}
	}
	if k.Fold == query.NoFold && k.Kind != query.Metric && k.Kind != query.Attribute {
		for _, c := range r.x.texts {
			if (k.Kind == query.Short || k.Kind == c.kind) && same(c.name) && r.scope.any(c.rows) {
				out = append(out, &column{key: query.Key{Kind: c.kind, Name: c.name}, text: c})
			}
		}
	}
	rank := map[query.Kind]int{query.Metric: 0, query.Param: 1, query.Tag: 2}
	used := func(c *column) int {
		if c.metric != nil {
			return len(c.metric.rows)
		}
		return len(c.text.rows)
	}
	slices.SortFunc(out, func(a, b *column) int {
		return cmp.Or(cmp.Compare(rank[a.key.Kind], rank[b.key.Kind]), cmp.Compare(used(b), used(a)), cmp.Compare(a.key.Name, b.key.Name))
	})
	return out
}

// direction of a metric in a run: what its experiment says, then the module that gave it, then its name.
func (x *Index) direction(c *metricColumn, r uint32) Direction {
	if d, ok := x.rows[r].experiment.directions[c.name]; ok {
		return d
	}
	return x.defaultDirection(c)
}

func (x *Index) defaultDirection(c *metricColumn) Direction {
	if rest, ok := strings.CutPrefix(c.name, "abtest/metric/"); ok {
		module, rest, _ := strings.Cut(rest, "/")
		_, output, _ := strings.Cut(rest, "/")
		if d, ok := x.modules[module][output]; ok {
			return d
		}
	}
	return c.natural
}

// value is what a run has in a column.
func (r *resolver) value(c *column, at uint32) Value {
	switch {
	case c.metric != nil:
		i, there := slices.BinarySearch(c.metric.rows, at)
		if !there {
			return none
		}
		return r.folded(c, i)
	case c.text != nil:
		i, there := slices.BinarySearch(c.text.rows, at)
		if !there {
			return none
		}
		return c.text.parsed[c.text.codes[i]]
	case c.attr != "":
		return r.attribute(c.attr, at)
	}
	return none
}

func (r *resolver) folded(c *column, i int) Value {
	d := Unknown
	if c.key.Fold == query.Best {
		d = r.x.direction(c.metric, c.metric.rows[i])
	}
	v, ok := c.metric.stats[i].fold(c.key.Fold, d)
	if !ok {
		return none
	}
	return number(v)
}

// attribute is a run's attribute as it compares; times are microseconds since 1970.
func (r *resolver) attribute(name string, at uint32) Value {
	run := &r.x.rows[at]
	switch name {
	case attrName:
		return Value{class: textual, text: run.name, key: run.order}
	case attrID:
		return Value{class: textual, text: run.id, key: run.id}
	case attrStatus:
		return Value{class: textual, text: string(run.status), key: string(run.status)}
	case attrExperiment:
		return words(run.experiment.name)
	case attrExperimentID:
		return Value{class: textual, text: run.experiment.id, key: run.experiment.id}
	case attrParent:
		if run.parent == "" {
			return none
		}
		return Value{class: textual, text: run.parent, key: run.parent}
	case attrFolder:
		return textOrNone(run.experiment.folder)
	case attrNotes:
		return textOrNone(run.notes)
	case attrError:
		return textOrNone(run.failure)
	case attrArchived:
		if run.archived || run.experiment.archived {
			return words("true")
		}
		return words("false")
	case attrCreated:
		return instant(run.created)
	case attrStarted:
		return instant(run.started)
	case attrEnded:
		return instant(run.ended)
	case attrDuration:
		switch end := run.ended; {
		case run.started == 0, end == 0 && run.status.Done():
			return none
		case end == 0:
			return number(max(0, float64(r.now.UnixMicro()-run.started)/1e6))
		default:
			return number(float64(end-run.started) / 1e6)
		}
	}
	return none
}

func textOrNone(text string) Value {
	if text == "" {
		return none
	}
	return words(text)
}

func instant(us int64) Value {
	if us == 0 {
		return none
	}
	return number(float64(us))
}

// json is a column's value of a run as answers carry it.
func (r *resolver) json(c *column, at uint32) any {
	v := r.value(c, at)
	if v.class != missing && (c.attr == attrCreated || c.attr == attrStarted || c.attr == attrEnded) {
		return time.UnixMicro(int64(v.num)).UTC()
	}
	if c.attr == attrArchived {
		return v.text == "true"
	}
	return v.JSON()
}

var statuses = []experiments.Status{
	experiments.Queued, experiments.Running, experiments.Finished, experiments.Failed, experiments.Interrupted, experiments.Reused,
}

// statusOf reads a status in any case, by MLflow's names too.
func statusOf(text string) (experiments.Status, bool) {
	text = strings.ToLower(text)
	switch text {
	case "scheduled":
		return experiments.Queued, true
	case "killed":
		return experiments.Interrupted, true
	}
	s := experiments.Status(text)
	return s, slices.Contains(statuses, s)
}
