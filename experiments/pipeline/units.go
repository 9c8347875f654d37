package pipeline

import (
	"triality/experiments"
	"triality/experiments/dataset"
)

// unitsOf is what each row belongs to by a design: its source_sample, itself (empty), or its value of a field.
func unitsOf(rows []dataset.Row, unit string) ([]string, error) {
	samples := make([]experiments.Sample, len(rows))
	for i := range rows {
		samples[i] = experiments.Sample{Label: rows[i].Label, Language: rows[i].Language, Domain: rows[i].Domain, Group: rows[i].Group}
		if unit != experiments.UnitRow && unit != experiments.UnitSource {
			samples[i].Columns = ownColumns(&rows[i])
		}
	}
	return unitsOfSamples(samples, unit)
}

// unitsOfSamples is unitsOf for the rows of a result.
func unitsOfSamples(samples []experiments.Sample, unit string) ([]string, error) {
	out := make([]string, len(samples))
	switch unit {
	case experiments.UnitRow:
		return out, nil
	case experiments.UnitSource:
		for i := range samples {
			out[i] = samples[i].Group
		}
		return out, nil
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
