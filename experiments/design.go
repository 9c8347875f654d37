package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Design says what an A/B test is to show. It is stated before the data is seen, and its hash is kept with the result.
type Design struct {
	Primary    string      `json:"primary" yaml:"primary" doc:"metric that decides: accuracy, macro_f1, log_loss, false_allow, over_refusal, recall.CLASS or precision.CLASS; which direction is better follows from it"`
	Claim      string      `json:"claim" yaml:"claim" doc:"what is to be shown of B: superiority (better by more than the margin), non_inferiority (not worse by the margin) or equivalence (neither)"`
	Margin     float64     `json:"margin" yaml:"margin" range:"0..1000" doc:"of the claim, in units of the metric: 0.02 is two percentage points of accuracy"`
	Guardrails []Guardrail `json:"guardrails" yaml:"guardrails" doc:"metrics of which B must be shown not to be worse by their margin; [] for none"`
	Alpha      float64     `json:"alpha" yaml:"alpha" range:">0..0.5" doc:"two-sided chance of error; intervals have the level 1 − alpha / candidates"`
	Power      float64     `json:"power" yaml:"power" range:"0.5..<1" doc:"chance of showing what is there, by which the rows that are still needed are counted"`
	Unit       string      `json:"unit" yaml:"unit" doc:"what is independent of each other: source_sample, row, or a field of the rows; rows of one unit count together"`
	Looks      string      `json:"looks" yaml:"looks" doc:"once: the test is looked at when all rows are there; any: also before, as often as one likes, which intervals of shares then allow for (confidence sequences)"`
	Candidates int         `json:"candidates" yaml:"candidates" range:"1..1000000" doc:"configurations that B was chosen from on these rows; alpha is shared among them"`
}

// Guardrail is a metric that must not get worse.
type Guardrail struct {
	Metric string  `json:"metric" yaml:"metric" doc:"as test.design.primary"`
	Margin float64 `json:"margin" yaml:"margin" range:">0..1000" doc:"by how much B must be shown not to be worse"`
}

// Kinds of claims and looks.
const (
	LooksOnce, LooksAny = "once", "any"
	UnitSource, UnitRow = "source_sample", "row"
	ClaimSuperiority    = "superiority"
	ClaimNonInferiority = "non_inferiority"
	ClaimEquivalence    = "equivalence"
)

// DefaultDesign is that of a test that says nothing else: B is to be more accurate, and neither lets more through nor
// turns more away.
func DefaultDesign() Design {
	return Design{
		Primary: "accuracy", Claim: ClaimSuperiority,
		Guardrails: []Guardrail{{"false_allow", 0.02}, {"over_refusal", 0.05}},
		Alpha:      0.05, Power: 0.8, Unit: UnitSource, Looks: LooksOnce, Candidates: 1,
	}
}

// Level is that of the intervals that decide.
func (d Design) Level() float64 { return 1 - d.Alpha/float64(max(1, d.Candidates)) }

// Hash is the SHA-256 of the design.
func (d Design) Hash() string {
	d.Guardrails = append([]Guardrail{}, d.Guardrails...) // none and [] are one design
	text, err := json.Marshal(d)
	if err != nil { // a margin that is no number, which a configuration refuses
		text = []byte(err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// InferenceMetrics are what a design may name.
func InferenceMetrics() []string {
	out := []string{"accuracy", "macro_f1", "log_loss", "false_allow", "over_refusal"}
	for _, of := range []string{"recall.", "precision."} {
		for _, label := range Labels {
			out = append(out, of+label)
		}
	}
	return out
}

// LowerIsBetter says which way a metric of InferenceMetrics is better.
func LowerIsBetter(metric string) bool {
	return slices.Contains([]string{"log_loss", "false_allow", "over_refusal"}, metric)
}

// IsShare says whether a metric is a share of one, told in percentage points.
func IsShare(metric string) bool {
	return metric != "log_loss" && !strings.HasPrefix(metric, "latency")
}
