package report

import (
	"strings"
	"testing"

	"triality/experiments"
)

func TestTheHeadlineSaysWhetherTheRowsAreHeldOut(t *testing.T) {
	for name, c := range map[string]struct {
		set      *experiments.TestSet
		says     [2]string // English, Japanese
		held     bool
		verdicts [2]string
	}{
		"compared and held out": {&experiments.TestSet{Rows: 480, Checked: true, TrainRows: 900},
			[2]string{"No test row is among the 900 training rows", "学習用の 900 行に含まれていません"}, true, [2]string{"480 held-out rows", "評価用データ 480 行"}},
		"some in the training data": {&experiments.TestSet{Rows: 480, Checked: true, TrainRows: 900, InTraining: 470, SameGroup: 460, NearDuplicates: 31, Skipped: 2, Problems: []string{"t.jsonl:3: is not a JSON object"}},
			[2]string{"Warning: 470 of the 480 test rows are in the training data (460 by source_sample, 31 as near-duplicates)", "480 行のうち 470 行が学習データに含まれています（source_sample で 460 行、ほぼ同一の文として 31 行）"}, false,
			[2]string{"480 rows, of which 470 are in the training data", "480 行（うち 470 行）"}},
		"of what a client stored, without the lines": {&experiments.TestSet{Rows: 480, Checked: true, TrainRows: 900, Skipped: 2},
			[2]string{"2 bad lines of the test data were skipped", "不正な行 2 行"}, true, [2]string{"480 held-out rows", "評価用データ 480 行"}},
		"not compared": {&experiments.TestSet{Rows: 480},
			[2]string{"not compared with the training data, so they may be in it", "学習データと比較されていない"}, false, [2]string{"480 rows that were not compared", "比較していない 480 行"}},
		"a result from before": {nil,
			[2]string{"not compared with the training data, so they may be in it", "学習データと比較されていない"}, false, [2]string{"480 rows that were not compared", "比較していない 480 行"}},
		"too many to compare": {&experiments.TestSet{Rows: 480, Checked: true, Unproven: 7},
			[2]string{"7 test rows may be in the training data", "評価に使った 7 行は"}, false, [2]string{"of which 7 may be", "うち 7 行"}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, lang := range []string{"en", "ja"} {
				in := full(lang)
				in.AB.TestSet = c.set
				page := render(t, in, "0")
				for _, want := range []string{c.says[i], c.verdicts[i]} {
					if !strings.Contains(page, want) {
						t.Errorf("%s: the page lacks %q", lang, want)
					}
				}
				if held := strings.Contains(page, "480 held-out rows") || strings.Contains(page, "評価用データ 480 行"); held != c.held {
					t.Errorf("%s: the page says held out: %v", lang, held)
				}
				if c.set != nil && len(c.set.Problems) > 0 && !strings.Contains(page, "t.jsonl:3: is not a JSON object") {
					t.Errorf("%s: the skipped lines are not said", lang)
				}
			}
		})
	}
}
