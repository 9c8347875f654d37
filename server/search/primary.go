package search

import (
	"cmp"
	"slices"
	"strings"

	"triality/server/search/query"
)

// telling are the last parts of names of metrics that runs are judged by, the most telling first.
var telling = []string{
	"macro_f1", "f1", "accuracy", "acc", "auc", "auroc", "map", "ndcg", "bleu", "rougel", "exact_match", "reward", "score", "r2",
	"val_loss", "eval_loss", "perplexity", "wer", "mae", "rmse", "loss",
}

// primary is the key of the metric by which the matched runs are judged: what the experiment says, where one is asked
// for and they have it, else by convention: the most telling name, of held-out rows before training ones, and of an A/B
// test's candidate before what it is to replace, which is the same in many runs. It is "" where none is known.
func (x *Index) primary(ids []string, metrics []Facet) string {
	if len(ids) == 1 {
		if e := x.experiments[ids[0]]; e != nil && e.primary != "" {
			if slices.ContainsFunc(metrics, func(f Facet) bool { return f.Name == e.primary }) {
				return query.Key{Kind: query.Metric, Name: e.primary}.String()
			}
		}
	}
	held := func(name string) int {
		for part := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("/._-", r) }) {
			switch part {
			case "test", "eval", "val", "valid", "validation", "dev", "abtest":
				return 0
			case "train", "training":
				return 2
			}
		}
		return 1
	}
	replaced := func(name string) int {
		if strings.HasPrefix(strings.ToLower(name), "abtest/a/") {
			return 1
		}
		return 0
	}
	best, found := Facet{}, -1
	for _, f := range metrics {
		rank := slices.Index(telling, strings.ToLower(lastPart(f.Name)))
		if rank < 0 {
			continue
		}
		if found < 0 || cmp.Or(cmp.Compare(replaced(f.Name), replaced(best.Name)), cmp.Compare(held(f.Name), held(best.Name)), cmp.Compare(rank, found), cmp.Compare(best.Runs, f.Runs),
			cmp.Compare(len(f.Name), len(best.Name)), cmp.Compare(f.Name, best.Name)) < 0 {
			best, found = f, rank
		}
	}
	if found < 0 {
		return ""
	}
	return query.Key{Kind: query.Metric, Name: best.Name}.String()
}
