package cpu

// narrow is matmul where one side has few rows (decoding): the other is read once, unpacked.
func (d *Device) narrow(c []float32, s matmulShape) {
	step := 1 // distance of two elements of c along the wide side
	few, wide := s.a, s.b
	nFew, nWide, fewStep := s.m, s.n, s.ldc
	if s.m > 8 {
		few, wide, nFew, nWide = s.b, s.a, s.n, s.m
		step, fewStep = s.ldc, 1
	}
	if few.trans { // gather the few rows, so that each is contiguous
		x := d.own().floats(packA, nFew*s.k)
		for k := range s.k {
			for i := range nFew {
				x[i*s.k+k] = few.data[k*few.ld+i]
			}
		}
		few = matrix{x, s.k, false}
	}
	if wide.trans {
		d.combine(c, s, few, wide, nFew, nWide, fewStep, step)
		return
	}
	// Rows of the wide side are contiguous: dot products, four rows at a time.
	size := max(1, grain/(s.k*nFew)) * 4
	d.split(nWide, size, func(from, to int) {
		var out [4]float32
		for j := from; j < to; j += 4 {
			n := min(4, to-j)
			for i := range nFew {
				x := few.data[i*few.ld : i*few.ld+s.k]
				if n == 4 {
					d.k.dot4(&out, x, &wide.data[j*wide.ld], wide.ld)
				} else {
					for r := range n {
						out[r] = d.k.dot(x, wide.data[(j+r)*wide.ld:(j+r)*wide.ld+s.k])
					}
				}
				for r := range n {
					at := i*fewStep + (j+r)*step
					if s.add {
						c[at] += out[r]
					} else {
						c[at] = out[r]
					}
				}
			}
		}
	})
}

// combine is narrow where the wide side is stored [k][wide]: each result row is a combination of
// the rows of the wide side, over spans that stay in the first cache.
func (d *Device) combine(c []float32, s matmulShape, few, wide matrix, nFew, nWide, fewStep, step int) {
	const span = 512
	tasks := (nWide + span - 1) / span
	body := func(w, t int) {
		from := t * span
		n := min(span, nWide-from)
		sum := d.ws[w].floats(packC, nFew*n)
		clear(sum)
		for k := range s.k {
			x := wide.data[k*wide.ld+from : k*wide.ld+from+n]
			for i := range nFew {
				d.k.axpy(sum[i*n:(i+1)*n], x, few.data[i*few.ld+k])
			}
		}
		for i := range nFew {
			row := sum[i*n : (i+1)*n]
			if step == 1 {
				out := c[i*fewStep+from : i*fewStep+from+n]
				if s.add {
					d.k.add(out, out, row)
				} else {
					copy(out, row)
				}
				continue
			}
			for j, v := range row {
				at := i*fewStep + (from+j)*step
				if s.add {
					v += c[at]
				}
				c[at] = v
			}
		}
	}
	d.each(tasks, s.k*nFew*nWide, body)
}
