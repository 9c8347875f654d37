package experiments

import (
	"encoding/json"
	"math"
	"time"
)

// Real is a figure that may be undefined or unbounded: NaN or infinite here, null in JSON.
type Real float64

// MarshalJSON writes what is not finite as null.
func (r Real) MarshalJSON() ([]byte, error) {
	if v := float64(r); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(r))
}

// UnmarshalJSON reads null as NaN.
func (r *Real) UnmarshalJSON(text []byte) error {
	v := math.NaN()
	if string(text) != "null" {
		if err := json.Unmarshal(text, &v); err != nil {
			return err
		}
	}
	*r = Real(v)
	return nil
}

// Estimate is a figure with its interval; an end that nothing bounds is null.
type Estimate struct {
	Value Real `json:"value"`
	Low   Real `json:"low"`
	High  Real `json:"high"`
}

// Bounded says whether both ends are known.
func (e Estimate) Bounded() bool {
	return !math.IsNaN(float64(e.Low)) && !math.IsInf(float64(e.Low), 0) && !math.IsNaN(float64(e.High)) && !math.IsInf(float64(e.High), 0)
}

// Inference is what an A/B test's rows show, by the design that it was given. docs/verdict.md has the methods.
type Inference struct {
	Design     Design  `json:"design"`
	DesignHash string  `json:"design_hash"`
	Level      float64 `json:"level"`    // of the intervals
	Rows       int     `json:"rows"`     // that each training answered
	Clusters   int     `json:"clusters"` // units of independence
	// Seeds are those of the arms' trainings where there were several: figures are means over them, and intervals are over
	// seeds, rows and units together. Empty: one training, of whose seed the intervals say nothing.
	Seeds   []uint64 `json:"seeds,omitempty"`
	Largest int      `json:"largest_cluster"`
	Tainted int      `json:"tainted_rows"` // rows known to be in the training data
	// Comparisons are the primary metric's, the guardrails', then the others', whose p-values are corrected together.
	Comparisons []Comparison `json:"comparisons"`
	// Contrasts are how arms beside A and B stand to each of the two. They decide nothing; their p-values are corrected together.
	Contrasts []Contrast `json:"contrasts,omitempty"`
	Looks     *Looks     `json:"looks,omitempty"`
	Verdict   Verdict    `json:"verdict"`
}

// Roles of a comparison, findings and readings.
const (
	RolePrimary, RoleGuardrail, RoleSecondary    = "primary", "guardrail", "secondary"
	FindingShown, FindingRefuted, FindingOpen    = "shown", "refuted", "open"
	ReadingBetter, ReadingWorse, ReadingNoClear  = "better", "worse", "unclear"
	DecisionShip, DecisionKeep, DecisionNotKnown = "ship", "do_not_ship", "cannot_tell"
)

// Comparison is one metric of both arms.
type Comparison struct {
	Metric    string   `json:"metric"`
	Role      string   `json:"role"`
	Better    string   `json:"better"` // "higher" or "lower"
	Rows      int      `json:"rows"`   // that the metric looks at
	Clusters  int      `json:"clusters"`
	Effective Real     `json:"effective_rows"` // independent rows that these are worth; null where that has no meaning
	A         Estimate `json:"a"`
	B         Estimate `json:"b"`
	Delta     Estimate `json:"delta"` // B − A
	Error     Real     `json:"standard_error"`
	// P is two-sided and of no difference; Adjusted is Holm's over the secondary metrics, P itself of the others.
	P        float64 `json:"p_value"`
	Adjusted float64 `json:"p_adjusted"`
	Exact    bool    `json:"exact"` // every assignment was counted
	Method   string  `json:"method"`
	// Claim and Margin are what the design wants of it, Finding what its interval says of that; empty of a secondary one.
	Claim   string  `json:"claim,omitempty"`
	Margin  float64 `json:"margin"`
	Finding string  `json:"finding,omitempty"`
	// Reading is whether B is better or worse than A: by the interval of a metric that decides, by Adjusted of another.
	Reading string `json:"reading"`
	// MoreRows is about how many more rows would show the claim if the difference is what it looks like; 0: none would, or
	// it is shown or refuted. Smallest is the least difference that these rows show with the design's power.
	MoreRows int  `json:"more_rows"`
	Smallest Real `json:"smallest_effect"`
	// Trainings is what the seeds change; nil where the arms were trained once.
	Trainings *Trainings `json:"trainings,omitempty"`
}

// Trainings is what each training of a comparison's arms gave, in the order of Inference.Seeds.
type Trainings struct {
	A     []Real `json:"a"`
	B     []Real `json:"b"`
	Delta []Real `json:"delta"`
	// SeedError and RowError are the parts of the standard error: of other seeds, and of other rows and units. Their squares add
	// up to its square. SeedShare is the first's share of that.
	SeedError Real `json:"seed_error"`
	RowError  Real `json:"row_error"`
	SeedShare Real `json:"seed_share"`
	// MoreTrainings is about how many more trainings of each arm would show the claim on these rows, as MoreRows of rows with
	// these trainings; 0: none would.
	MoreTrainings int `json:"more_trainings"`
}

// Contrast compares two arms of which one at least is neither A nor B: in its comparisons From stands as A, To as B.
type Contrast struct {
	From        string       `json:"from"`
	To          string       `json:"to"`
	Comparisons []Comparison `json:"comparisons"`
}

// Names of arms that a pipeline has beside A and B: what steps of a run make, and floors.
const (
	ArmBase                                = "base"
	ArmFinetuned                           = "finetuned"
	ArmSO8T                                = "so8t"
	ArmIdentity                            = "identity"  // the SO8T model as it was before its rotations and heads were trained
	ArmBurnedIn                            = "burned_in" // the SO8T model as a plain one
	Arm8bit                                = "8bit"      // model B held in int8
	FloorMajority, FloorBayes, FloorLinear = "majority", "naive_bayes", "linear"
)

// OtherArms are the names of arms that a pipeline may have beside A and B.
func OtherArms() []string {
	return []string{ArmBase, ArmFinetuned, ArmSO8T, ArmIdentity, ArmBurnedIn, Arm8bit, FloorMajority, FloorBayes, FloorLinear}
}

// NeedsModel says whether an arm of a name is a model of its own, rather than a floor or model B in another form.
func NeedsModel(name string) bool {
	switch name {
	case Arm8bit, FloorMajority, FloorBayes, FloorLinear:
		return false
	}
	return true
}

// Of is the comparison of a metric, nil where there is none.
func (i *Inference) Of(metric string) *Comparison {
	for k := range i.Comparisons {
		if i.Comparisons[k].Metric == metric {
			return &i.Comparisons[k]
		}
	}
	return nil
}

// Verdict is what follows for B. Text is the one sentence that pages, reports and terminals show, by language.
type Verdict struct {
	Decision string `json:"decision"`
	// Code says why: "shown"; "guardrail_broken", "refuted"; "tainted", "guardrail_open", "open".
	Code string `json:"code"`
	// Args are the comparisons that the sentence is about: the primary metric and the guardrails that are not kept.
	Args []string          `json:"args"`
	Text map[string]string `json:"text"`
	// Notes are what a reader must know beside it, by language: what counts as independent, how often the rows were looked at.
	Notes map[string][]string `json:"notes"`
}

// Ships says whether B may take A's place.
func (v Verdict) Ships() bool { return v.Decision == DecisionShip }

// Looks counts how often the test rows were looked at.
type Looks struct {
	Count  int       `json:"count"` // this one included
	First  time.Time `json:"first"`
	Reason string    `json:"reason,omitempty"` // why it is not counted
	// Changed is whether the design differs from that of the first look.
	Changed     bool   `json:"design_changed"`
	FirstDesign string `json:"first_design_hash,omitempty"`
}

// Look is an A/B test that came to its figures on a test set.
type Look struct {
	// ID is of the test: a run and a step's key. Counted again under it, as after the death of a worker that had counted and
	// not yet finished, it is the same look. Empty: each is another.
	ID         string    `json:"id,omitempty"`
	Time       time.Time `json:"time"`
	DesignHash string    `json:"design_hash"`
	Design     Design    `json:"design"`
	ModelA     string    `json:"model_a"`
	ModelB     string    `json:"model_b"`
	Rows       int       `json:"rows"`
}
