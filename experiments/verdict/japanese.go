package verdict

import (
	"strings"

	"triality/experiments"
)

var japanese = language{
	metrics: map[string]string{
		"accuracy": "正解率", "macro_f1": "マクロ F1", "log_loss": "対数損失", "false_allow": "誤許可率", "over_refusal": "過剰拒否率",
		"recall": "{class} の再現率", "precision": "{class} の適合率", "comma": "、",
	},
	and: "と", points: " ポイント",
	evidence: "B {b}、A {a}、差 {delta}、{level}% 区間 {low}～{high}",
	brief:    "差 {delta}、{low}～{high}",
	shown: map[string]string{
		"superiority":     "B を採用できます。{metric}は A より良いです（{evidence}）{tail}。",
		"superiority_by":  "B を採用できます。{metric}は {margin}を超えて A より良いです（{evidence}）{tail}。",
		"non_inferiority": "B を採用できます。{metric}は A より {margin}以上悪くはありません（{evidence}）{tail}。",
		"equivalence":     "B を採用できます。{metric}の差は {margin}以内です（{evidence}）{tail}。",
	},
	kept: "。{guardrails}も設計の許容幅に収まることが示されました",
	refuted: map[string]string{
		"superiority":     "B を採用してはいけません。{metric}は A より悪いです（{evidence}）。",
		"superiority_by":  "B を採用してはいけません。{metric}は A より {margin}良くはなっていません（{evidence}）。",
		"non_inferiority": "B を採用してはいけません。{metric}は {margin}を超えて A より悪いです（{evidence}）。",
		"equivalence":     "B を採用してはいけません。{metric}の差は {margin}を超えています（{evidence}）。",
	},
	open: map[string]string{
		"superiority":     "判定できません。B の{metric}が A より良いかどうかは、この行数ではわかりません（{evidence}）",
		"superiority_by":  "判定できません。B の{metric}が {margin}を超えて A より良いかどうかは、この行数ではわかりません（{evidence}）",
		"non_inferiority": "判定できません。B の{metric}が A より {margin}以上悪くはないとは、この行数では言えません（{evidence}）",
		"equivalence":     "判定できません。{metric}の差が {margin}以内だとは、この行数では言えません（{evidence}）",
		"guardrail":       "B を採用してよいかどうか判定できません",
	},
	also: map[string]string{
		"superiority.shown":       "{metric}は A より良いです（{brief}）",
		"superiority.refuted":     "{metric}も A より悪いです（{brief}）",
		"superiority.open":        "{metric}が A より良いかどうかは、この行数ではわかりません（{brief}）",
		"superiority_by.shown":    "{metric}は {margin}を超えて A より良いです（{brief}）",
		"superiority_by.refuted":  "{metric}は A より {margin}良くはなっていません（{brief}）",
		"superiority_by.open":     "{metric}が {margin}を超えて A より良いかどうかは、この行数ではわかりません（{brief}）",
		"non_inferiority.shown":   "{metric}は A より {margin}以上悪くはありません（{brief}）",
		"non_inferiority.refuted": "{metric}は {margin}を超えて A より悪いです（{brief}）",
		"non_inferiority.open":    "{metric}が A より {margin}以上悪くはないとは、この行数では言えません（{brief}）",
		"equivalence.shown":       "{metric}の差は {margin}以内です（{brief}）",
		"equivalence.refuted":     "{metric}の差は {margin}を超えています（{brief}）",
		"equivalence.open":        "{metric}の差が {margin}以内だとは、この行数では言えません（{brief}）",
	},
	broken:     "B を採用してはいけません。{metric}は、設計が許す {margin}を超えて悪いです（{evidence}）",
	moreBroken: "{metric}も、許容幅 {margin}を超えて悪いです（{evidence}）",
	mayBe:      "{metric}は {worst}まで変わりうるところ、設計が許す悪化は {margin}です",
	unbounded:  "{metric}については、この行からは何もわかりません",
	tainted:    "判定できません。評価用の {rows} 行のうち {tainted} 行が学習データに含まれているため、未学習の行での数値ではありません。",
	more:       "差が見かけどおりなら、あと約 {more} 行で判定できます",
	noMore:     "差が見かけどおりなら、同じような行を増やしても変わりません",

	moreEither:      "差が見かけどおりなら、あと約 {more} 行、または各アームあと {trainings} 回の学習で判定できます",
	moreTrainings:   "差が見かけどおりなら、各アームあと約 {trainings} 回の学習で判定できます。行を増やすだけでは判定できません",
	noMoreTrainings: "差が見かけどおりなら、同じような行や学習の回数を増やしても変わりません",

	join: func(parts ...string) string { return strings.Join(parts, "。") + "。" },

	clusters:      "{rows} 行は、{unit} による互いに独立な {clusters} グループに属します（1 グループ最大 {largest} 行）。同じグループの行はまとめて数えます。",
	rows:          "{rows} 行は、{unit} により互いに独立です。",
	candidates:    "B は、これらの行で試した {candidates} 通りの設定のうち最も良いものです。そのため区間の水準を {level}% にしています。",
	first:         "これらの評価用の行を見るのは初めてです。",
	looks:         "これらの評価用の行を見るのは {count} 回目です（最初は {first}）。計画にない確認を重ねるほど、偶然の差が出やすくなります。",
	changed:       "設計は、これらの評価用の行を最初に見た後で変更されました。示された結果は、事前に決めた計画によるものではありません。",
	trainings:     "学習するアームは、シード {seeds} で {count} 回学習しました。数値はその平均で、区間は別のシード・行・グループをまとめて数えたものです。",
	seedShare:     "{metric}の差の分散のうち {share}% は、別のシードで変わる分です。残りは別の行で変わる分です。",
	twoTrainings:  "2 回の学習では、3 回目がどれだけ離れるかはほとんどわかりません。そのため区間は広くなります。95% ではシードの分を標準誤差の 12.7 倍と数えます（5 回なら 2.8 倍）。",
	firstTraining: "個々の行、グループ、レイテンシ、メトリクスモジュールの値は、最初の学習のものです。",
	arms: map[string]string{
		experiments.ArmBase: "ベースモデル", experiments.ArmFinetuned: "ファインチューニング済みモデル", experiments.ArmSO8T: "SO8T モデル",
		experiments.ArmIdentity: "学習前の SO8T モデル", experiments.ArmBurnedIn: "焼き込み済みモデル", experiments.Arm8bit: "8 ビットの B",
		experiments.FloorMajority: "最多クラスの下限", experiments.FloorBayes: "ナイーブベイズの下限", experiments.FloorLinear: "線形モデルの下限",
	},
	contrast: "{to}は、{from}と比べて: {said}。",
	reads: map[string]string{
		experiments.ReadingBetter: "{metric}は良いです（{brief}）", experiments.ReadingWorse: "{metric}は悪いです（{brief}）", experiments.ReadingNoClear: "{metric}の違いは明確ではありません（{brief}）",
	},
	and2:       "、",
	corrected:  "A と B 以外のアームは判定に使いません。それらについての記述は、{count} 個の比較すべてをまとめて補正しています（Holm）。",
	notCounted: "これらの評価用の行を何回見たかは数えられていません: {reason}",
}
