package inferencebench

import (
	"context"
	"math/rand/v2"

	"triality/experiments/inference"
)

// Power is how often a difference that is there was shown, beside what the calculator says.
type Power struct {
	Rows         int     `json:"rows"`
	ClusterSize  int     `json:"cluster_size"`
	Discordant   float64 `json:"discordant"`
	Delta        float64 `json:"delta"`
	DesignEffect float64 `json:"design_effect"`
	Calculated   float64 `json:"calculated"`
	Of           Share   `json:"of"`
}

// Stopping is what a test that may stop after every cluster needs of the rows of one that looks once, where the
// difference is twice what that shows with a power of 0.8.
type Stopping struct {
	Fixed       int     `json:"fixed_rows"` // of the test that looks once
	ClusterSize int     `json:"cluster_size"`
	Discordant  float64 `json:"discordant"`
	Delta       float64 `json:"delta"`
	Mean        float64 `json:"mean_rows"` // those that did not stop count as all rows
	Ratio       float64 `json:"ratio"`
	Stopped     Share   `json:"stopped"`
}

// discordants are rows that only B, only A, or neither has right alone.
type discordants struct{ onlyB, onlyA, copied float64 }

// sums draws clusters; a cluster is one row copied with the chance of copied.
func (d discordants) sum(rng *rand.Rand, k int) (sum float64) {
	same, row := rng.Float64() < d.copied, 0.0
	for j := range k {
		if j == 0 || !same {
			row = 0
			switch u := rng.Float64(); {
			case u < d.onlyB:
				row = 1
			case u < d.onlyB+d.onlyA:
				row = -1
			}
		}
		sum += row
	}
	return sum
}

// shares are n rows in clusters of k whose differences add up as sum draws them.
func (d discordants) shares(rng *rand.Rand, n, k int) (s inference.Shares) {
	s.Clusters.Count = n / k
	for c := range n / k {
		same := rng.Float64() < d.copied
		row := 0.0
		for j := range k {
			if j == 0 || !same {
				row = discordants{d.onlyB, d.onlyA, 0}.sum(rng, 1)
			}
			s.Clusters.Of = append(s.Clusters.Of, c)
			s.A, s.B = append(s.A, row < 0), append(s.B, row > 0)
		}
	}
	return s
}

func (s *simulator) power(ctx context.Context) (out []Power, err error) {
	for _, p := range []Power{
		{Rows: 100, ClusterSize: 1, Discordant: 0.3, Delta: 0.15},
		{Rows: 200, ClusterSize: 1, Discordant: 0.3, Delta: 0.1},
		{Rows: 200, ClusterSize: 2, Discordant: 0.4, Delta: 0.15},
		{Rows: 264, ClusterSize: 1, Discordant: 0.5, Delta: 0.12},
		{Rows: 500, ClusterSize: 5, Discordant: 0.3, Delta: 0.1},
		{Rows: 1000, ClusterSize: 1, Discordant: 0.2, Delta: 0.04},
		{Rows: 1000, ClusterSize: 2, Discordant: 0.2, Delta: 0.05},
	} {
		copied := 0.3
		if p.ClusterSize == 1 {
			copied = 0
		}
		p.DesignEffect = 1 + copied*float64(p.ClusterSize-1)
		p.Calculated = inference.Plan{Discordant: p.Discordant, DesignEffect: p.DesignEffect, Alpha: alpha}.Power(p.Rows, p.Delta)
		d := discordants{(p.Discordant + p.Delta) / 2, (p.Discordant - p.Delta) / 2, copied}
		hits, err := s.each(ctx, s.Simulations, 1, func(rng *rand.Rand, counts []float64) {
			if inference.Judge(inference.Superiority, d.shares(rng, p.Rows, p.ClusterSize).Difference(level, 1).Interval, 0, true) == inference.Shown {
				counts[0]++
			}
		})
		if err != nil {
			return nil, err
		}
		p.Of = shareOf(int64(hits[0]), s.Simulations)
		out = append(out, p)
	}
	return out, nil
}

func (s *simulator) stopping(ctx context.Context) (out []Stopping, err error) {
	for _, of := range []struct {
		k                  int
		discordant, effect float64
	}{{1, 0.3, 0.08}, {1, 0.4, 0.15}, {2, 0.3, 0.08}, {5, 0.3, 0.08}} {
		copied := 0.3
		if of.k == 1 {
			copied = 0
		}
		plan := inference.Plan{Discordant: of.discordant, DesignEffect: 1 + copied*float64(of.k-1), Alpha: alpha}
		r := Stopping{Fixed: plan.Rows(0.8, of.effect), ClusterSize: of.k, Discordant: of.discordant, Delta: 2 * of.effect}
		d := discordants{(of.discordant + r.Delta) / 2, (of.discordant - r.Delta) / 2, copied}
		sums, err := s.each(ctx, s.Simulations, 2, func(rng *rand.Rand, counts []float64) {
			seq, rows := inference.NewSequence(of.k, 0), 0
			for rows+of.k <= r.Fixed {
				seq.Observe(d.sum(rng, of.k), of.k)
				rows += of.k
				if seq.P() < alpha {
					counts[0]++
					counts[1] += float64(rows)
					return
				}
			}
			counts[1] += float64(r.Fixed)
		})
		if err != nil {
			return nil, err
		}
		r.Stopped, r.Mean = shareOf(int64(sums[0]), s.Simulations), sums[1]/float64(s.Simulations)
		r.Ratio = r.Mean / float64(r.Fixed)
		out = append(out, r)
	}
	return out, nil
}
