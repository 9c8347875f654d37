package enginebench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"triality/runtime/device"
)

// Product is a float32 product of two square matrices.
type Product struct {
	Size        int    `json:"size"`
	Seconds     Times  `json:"seconds"`
	GFLOPS      Rate   `json:"gflops"`
	PeerSeconds *Times `json:"openblas_seconds,omitempty"`
	PeerGFLOPS  *Rate  `json:"openblas_gflops,omitempty"`
	Ratio       *Ratio `json:"ratio,omitempty"` // over OpenBLAS
	// Difference is the largest difference to OpenBLAS's result, over the largest absolute value.
	Difference float64 `json:"relative_difference,omitempty"`
}

// sgemm computes c = a·b of n×n matrices, row-major.
type sgemm func(n int, a, b, c []float32)

func (o *Options) products(ctx context.Context, dev device.Device, rep *Report) error {
	peer, name, err := openBLAS(o.OpenBLAS, o.Threads)
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		rep.Missing = append(rep.Missing, missing.Error())
	case err != nil:
		return err
	}
	rep.BLAS = name
	for _, n := range o.Sizes {
		o.Progress(fmt.Sprintf("product of %d", n))
		p, err := o.product(ctx, dev, n, peer)
		if err != nil {
			return fmt.Errorf("product of %d: %w", n, err)
		}
		rep.Products = append(rep.Products, p)
	}
	return nil
}

func (o *Options) product(ctx context.Context, dev device.Device, n int, peer sgemm) (Product, error) {
	a, b, c := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	for i := range a {
		a[i], b[i] = float32(i%113)/56-1, float32(i%127)/63-1
	}
	bufs := make([]device.Buffer, 3)
	for i, v := range [][]float32{a, b, c} {
		buf, err := dev.Alloc(device.Float, n*n)
		if err != nil {
			return Product{}, err
		}
		defer dev.Free(buf)
		if err := dev.Upload(buf, v); err != nil {
			return Product{}, err
		}
		bufs[i] = buf
	}
	ours := func() { dev.MatMul(bufs[2], bufs[0], bufs[1], n, n, n, false, false, false) }
	theirs := func() { peer(n, a, b, c) }

	var seconds, peerSeconds []float64
	for round := range 1 + o.Repeat {
		for _, side := range []struct {
			call func()
			to   *[]float64
		}{{ours, &seconds}, {theirs, &peerSeconds}} {
			if side.to == &peerSeconds && peer == nil {
				continue
			}
			if err := o.rest(ctx); err != nil {
				return Product{}, err
			}
			// The first calls of a turn wake the threads; the first round only warms up.
			side.call()
			if round > 0 {
				*side.to = append(*side.to, o.turn(side.call)...)
			}
		}
	}
	if err := dev.Sync(); err != nil {
		return Product{}, err
	}
	work := 2 * math.Pow(float64(n), 3) / 1e9
	p := Product{Size: n, Seconds: summarise(seconds)}
	p.GFLOPS = rate(work, p.Seconds)
	if peer == nil {
		return p, nil
	}
	t := summarise(peerSeconds)
	r := rate(work, t)
	p.PeerSeconds, p.PeerGFLOPS, p.Ratio = &t, &r, ratio(p.Seconds, t)
	got := make([]float32, n*n)
	if err := dev.Download(got, bufs[2]); err != nil {
		return Product{}, err
	}
	if p.Difference = difference(got, c); !(p.Difference <= 1e-4) {
		return Product{}, fmt.Errorf("the result is %g from OpenBLAS's", p.Difference)
	}
	return p, nil
}

// turn calls f for the length of a turn, at least once, and times each call.
func (o *Options) turn(f func()) []float64 {
	var seconds []float64
	for from := time.Now(); len(seconds) == 0 || time.Since(from) < o.Turn; {
		began := time.Now()
		f()
		seconds = append(seconds, time.Since(began).Seconds())
	}
	return seconds
}

func difference(got, want []float32) float64 {
	var largest, most float64
	for i := range want {
		largest = max(largest, math.Abs(float64(got[i]-want[i])))
		most = max(most, math.Abs(float64(want[i])))
	}
	return largest / most
}
