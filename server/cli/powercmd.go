package cli

import (
	"context"
	"fmt"
	"io"
	"math"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/inference"
	"triality/experiments/pipeline"
)

// powerPlan is what `abtest power` prints as JSON. What was not asked for, or none gives, is null.
type powerPlan struct {
	Discordant   float64          `json:"discordant"`
	DesignEffect float64          `json:"design_effect"`
	Alpha        float64          `json:"alpha"`
	Margin       float64          `json:"margin"`
	WantedPower  float64          `json:"wanted_power"`
	Rows         int              `json:"rows,omitempty"`
	Effect       experiments.Real `json:"effect"`
	RowsNeeded   int              `json:"rows_needed,omitempty"` // for the wanted power at the effect
	Power        experiments.Real `json:"power"`                 // of these rows at the effect
	Smallest     experiments.Real `json:"smallest_effect"`       // that these rows show with the wanted power
}

func setupPower(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	rows := fs.Int("rows", 0, "rows of the test: what they show")
	effect := fs.Float64("effect", math.NaN(), "difference B − A of the shares that is to be shown, such as 0.05: the rows that it takes")
	discordant := fs.Float64("discordant", 0.2, "share of the rows on which the arms will differ in being right, 0 to 1")
	design := fs.Float64("design-effect", 1, "variance over that of independent rows: rows over effective rows of an earlier test")
	results := fs.String("results", "", "take --discordant and --design-effect from an earlier test, by the `folder` of its results.json")
	cfgPath := fs.String("config", "", "pipeline `YAML`, whose test.design has alpha, power, candidates, claim and margin")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		cfg, err := optionalConfig(*cfgPath, fill("rows.jsonl", "base")...)
		if err != nil {
			return err
		}
		d := cfg.Test.Design
		if *results != "" {
			if fs.Changed("discordant") || fs.Changed("design-effect") {
				return usagef("--results says what --discordant and --design-effect are: give one or the other")
			}
			if *discordant, *design, err = earlier(*results); err != nil {
				return err
			}
		}
		p := powerPlan{Discordant: *discordant, DesignEffect: *design, Alpha: 1 - d.Level(), Margin: d.Margin, WantedPower: d.Power, Rows: *rows,
			Effect: experiments.Real(*effect), Power: experiments.Real(math.NaN()), Smallest: experiments.Real(math.NaN())}
		switch {
		case d.Claim == experiments.ClaimEquivalence:
			return usagef("test.design.claim: equivalence has no calculator; plan non_inferiority on both sides")
		case d.Claim == experiments.ClaimNonInferiority:
			p.Margin = -p.Margin
		}
		asked := fs.Changed("effect")
		switch {
		case *rows < 0 || *rows == 0 && !asked:
			return usagef("abtest power wants --rows of at least 1, --effect, or both")
		case !(p.Discordant > 0 && p.Discordant <= 1):
			return usagef("--discordant: %g: must be above 0 and at most 1", p.Discordant)
		case !(p.DesignEffect > 0) || math.IsInf(p.DesignEffect, 1):
			return usagef("--design-effect: %g: must be above 0", p.DesignEffect)
		case asked && (!(*effect > p.Margin) || *effect > p.Discordant):
			return usagef("--effect: %g: must be above %g, what is to be exceeded, and at most %g, the share of rows on which the arms differ", *effect, p.Margin, p.Discordant)
		}
		p.fill(asked)
		return e.result(p, p.print)
	}
}

// earlier reads of a result what is supposed before a test like it: the discordant share and the design effect of accuracy.
func earlier(path string) (discordant, design float64, err error) {
	r, err := pipeline.ReadABResult(path)
	if err != nil {
		return 0, 0, invalid(err)
	}
	design = 1
	if r.Inference != nil {
		if c := r.Inference.Of("accuracy"); c != nil && c.Effective > 0 {
			design = float64(c.Rows) / float64(c.Effective)
		}
	}
	if r.Rows == 0 || r.McNemar.OnlyA+r.McNemar.OnlyB == 0 {
		return 0, 0, usagef("%s: the arms do not differ on any of its %d rows: give --discordant instead", path, r.Rows)
	}
	return float64(r.McNemar.OnlyA+r.McNemar.OnlyB) / float64(r.Rows), design, nil
}

func (p *powerPlan) fill(asked bool) {
	plan := inference.Plan{Discordant: p.Discordant, DesignEffect: p.DesignEffect, Alpha: p.Alpha, Margin: p.Margin}
	if asked {
		p.RowsNeeded = plan.Rows(p.WantedPower, float64(p.Effect))
	}
	if p.Rows > 0 {
		p.Smallest = experiments.Real(plan.Smallest(p.Rows, p.WantedPower))
		if asked {
			p.Power = experiments.Real(plan.Power(p.Rows, float64(p.Effect)))
		}
	}
}

func (p *powerPlan) print(w io.Writer) {
	fmt.Fprintf(w, "arms that differ on %.3g %% of the rows, design effect %.3g, alpha %.3g (two-sided), to be exceeded: %+.3g points\n",
		100*p.Discordant, p.DesignEffect, p.Alpha, 100*p.Margin)
	switch {
	case math.IsNaN(float64(p.Effect)):
	case p.RowsNeeded == 0:
		fmt.Fprintf(w, "a difference of %+.3g points: more than ten million rows would be needed\n", 100*p.Effect)
	default:
		fmt.Fprintf(w, "a difference of %+.3g points is shown with a chance of %.3g on %d rows\n", 100*p.Effect, p.WantedPower, p.RowsNeeded)
	}
	if p.Rows == 0 {
		return
	}
	if v := float64(p.Power); !math.IsNaN(v) {
		fmt.Fprintf(w, "%d rows show it with a chance of %.3f\n", p.Rows, v)
	}
	if v := float64(p.Smallest); math.IsNaN(v) {
		fmt.Fprintf(w, "%d rows show no difference with a chance of %.3g\n", p.Rows, p.WantedPower)
	} else {
		fmt.Fprintf(w, "the smallest difference that %d rows show with a chance of %.3g is %+.3g points\n", p.Rows, p.WantedPower, 100*v)
	}
}
