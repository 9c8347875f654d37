package pipeline

import (
	"triality/experiments"
	"triality/experiments/dataset"
)

// unitsOf is what each row belongs to by a design: its source_sample, itself (empty), or its value of a field.
func unitsOf(rows []dataset.Row, unit string) ([]string, error) {
	out := make([]string, len(rows))
	switch unit {
	case experiments.UnitRow:
		return out, nil
	case experiments.UnitSource:
		for i := range rows {
			out[i] = rows[i].Group
		}
		return out, nil
	}
	samples := make([]experiments.Sample, len(rows))
	for i := range rows {
		samples[i] = experiments.Sample{Label: rows[i].Label, Language: rows[i].Language, Domain: rows[i].Domain, Group: rows[i].Group, Columns: ownColumns(&rows[i])}
	}
	of, err := sliceValue(samples, unit)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "test.design.unit: %w", err)
	}
	for i := range samples {
		if out[i], err = of(&samples[i]); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "test.design.unit: row %d: %w", i, err)
		}
	}
	return out, nil
}
