package cpu

// matrix is an operand of a product, seen as rows along the kept dimension and columns along the
// summed one: element (i,k) is data[i·ld+k], or data[k·ld+i] with trans.
type matrix struct {
	data  []float32
	ld    int
	trans bool
}

// at is the matrix from row i, column k on.
func (m matrix) at(i, k int) matrix {
	if m.trans {
		i, k = k, i
	}
	return matrix{m.data[i*m.ld+k:], m.ld, m.trans}
}

// Sizes of the packed blocks, in elements. depth·nr of b and depth·mr of a fit the first cache
// together, a block of blockRows rows of a fits the second.
const (
	depth     = 256
	blockRows = 4096
	blockCols = 4096
)

// pack copies rows × k elements of m into panels of width rows each: panel[k·width+i]. Rows past
// the end repeat the last one or are zero; their results are dropped.
func (kn *kernels) pack(dst []float32, m matrix, rows, k, width int) {
	if m.trans { // some rows at a time, so that each is read along while it is in the first cache
		const chunk = 16
		for j := 0; j < k; j += chunk {
			for r := 0; r < rows; r += width {
				kn.copyRows(&dst[r*k+j*width], width, &m.data[j*m.ld+r], m.ld, min(width, rows-r), min(chunk, k-j))
			}
		}
		return
	}
	for r := 0; r < rows; r += width {
		n := min(width, rows-r)
		panel := dst[r*k:]
		for i := 0; i < width; i += 16 {
			from := min(i, n-1) // past the end: repeat the last row
			kn.transpose(&panel[i], width, &m.data[(r+from)*m.ld], m.ld, min(16, width-i), max(1, min(16, n-i)), k)
		}
	}
}

// panels rounds rows up to whole panels.
func panels(rows, width int) int { return (rows + width - 1) / width * width }

// multiply computes c[rows,cols] (+)= a·bᵀ from packed a and b of depth k; edge takes the tiles
// that reach over the border and has mr·nr elements.
func (kn *kernels) multiply(c []float32, ldc, rows, cols, k int, a, b, edge []float32, add bool) {
	mr, nr := kn.mr, kn.nr
	for j := 0; j < cols; j += nr {
		for i := 0; i < rows; i += mr {
			m, n := min(mr, rows-i), min(nr, cols-j)
			if m == mr && n == nr {
				kn.tile(k, &a[i*k], &b[j*k], &c[i*ldc+j], ldc, add)
				continue
			}
			tile := kn.tile
			if kn.half != nil && n <= nr/2 {
				tile = kn.half
				if m == mr && n == nr/2 {
					tile(k, &a[i*k], &b[j*k], &c[i*ldc+j], ldc, add)
					continue
				}
			}
			tile(k, &a[i*k], &b[j*k], &edge[0], nr, false)
			for r := range m {
				row := c[(i+r)*ldc+j : (i+r)*ldc+j+n]
				if add {
					kn.add(row, row, edge[r*nr:r*nr+n])
				} else {
					copy(row, edge[r*nr:r*nr+n])
				}
			}
		}
	}
}

// product is c[rows,cols] (+)= a·bᵀ on one thread, for the blocks of attention: k is at most a few
// hundred and b is packed already.
func (kn *kernels) product(ws *workspace, c []float32, ldc, rows, cols, k int, a matrix, b []float32, add bool) {
	edge := ws.floats(tileC, kn.mr*kn.nr)
	buf := ws.floats(packA, panels(rows, kn.mr)*k)
	kn.pack(buf, a, rows, k, kn.mr)
	kn.multiply(c, ldc, rows, cols, k, buf, b, edge, add)
}

// MatMulShape names a product's sizes and layout.
type matmulShape struct {
	m, n, k int
	a, b    matrix // a has m rows, b has n rows
	ldc     int
	add     bool
}

// matmul is c[m,n] (+)= a·bᵀ on all threads. Every element is summed over k in blocks of depth, in
// order, whatever the split.
func (d *Device) matmul(c []float32, s matmulShape) {
	if s.m == 0 || s.n == 0 {
		return
	}
	if s.k == 0 {
		for i := range s.m {
			if !s.add {
				clear(c[i*s.ldc : i*s.ldc+s.n])
			}
		}
		return
	}
	if s.m <= 8 || s.n <= 4 {
		d.narrow(c, s)
		return
	}
	kn := d.k
	if full := panels(s.m, kn.mr); s.m <= 2*kn.nr && s.n > 2*kn.nr && full*8 > panels(s.m, max(1, kn.nr/2))*9 {
		d.swapped(c, s)
		return
	}
	own := d.own()
	for jc := 0; jc < s.n; jc += blockCols {
		cols := min(blockCols, s.n-jc)
		for pc := 0; pc < s.k; pc += depth {
			k := min(depth, s.k-pc)
			pb := own.floats(packB, panels(cols, kn.nr)*k)
			for ic := 0; ic < s.m; ic += blockRows {
				rows := min(blockRows, s.m-ic)
				pa := own.floats(packA, panels(rows, kn.mr)*k)
				d.packBoth(pa, pb, s.a.at(ic, pc), s.b.at(jc, pc), rows, cols, k, ic == 0)
				d.tiles(c[ic*s.ldc+jc:], s.ldc, rows, cols, k, pa, pb, s.add || pc > 0)
			}
		}
	}
}

// swapped computes the transposed product, for few rows that would fill the rows of the last tile
// badly but fill its columns well.
func (d *Device) swapped(c []float32, s matmulShape) {
	t := d.own().floats(packC, s.m*s.n)
	d.matmul(t, matmulShape{m: s.n, n: s.m, k: s.k, a: s.b, b: s.a, ldc: s.m})
	d.splitRows(s.m, s.n, func(from, to int) {
		for i := from; i < to; i++ {
			row := c[i*s.ldc : i*s.ldc+s.n]
			for j := range row {
				v := t[j*s.m+i]
				if s.add {
					v += row[j]
				}
				row[j] = v
			}
		}
	})
}

// packBoth packs a, and b where withB is set, in tasks of some panels each.
func (d *Device) packBoth(pa, pb []float32, a, b matrix, rows, cols, k int, withB bool) {
	kn := d.k
	least := func(m matrix, width int) int {
		if m.trans { // rows are read along: at least 1 kB of each
			return (256 + width - 1) / width
		}
		return 1
	}
	sizeA := max(least(a, kn.mr), grain/(k*kn.mr)) * kn.mr
	sizeB := max(least(b, kn.nr), grain/(k*kn.nr)) * kn.nr
	tasksA, tasksB := (rows+sizeA-1)/sizeA, (cols+sizeB-1)/sizeB
	if !withB {
		tasksB = 0
	}
	d.each(tasksA+tasksB, (rows+cols)*k, func(_, t int) {
		if t < tasksA {
			r := t * sizeA
			kn.pack(pa[r*k:], a.at(r, 0), min(sizeA, rows-r), k, kn.mr)
			return
		}
		r := (t - tasksA) * sizeB
		kn.pack(pb[r*k:], b.at(r, 0), min(sizeB, cols-r), k, kn.nr)
	})
}

// tiles multiplies packed blocks in tasks of about 2 million multiplications.
func (d *Device) tiles(c []float32, ldc, rows, cols, k int, pa, pb []float32, add bool) {
	kn := d.k
	const work = 2 << 20
	sizeN := min(panels(cols, kn.nr), max(kn.nr, 512/kn.nr*kn.nr))
	sizeM := max(1, work/(k*sizeN*kn.mr)) * kn.mr
	tasksM, tasksN := (rows+sizeM-1)/sizeM, (cols+sizeN-1)/sizeN
	d.pool.run(tasksM*tasksN, func(w, t int) {
		i, j := t%tasksM*sizeM, t/tasksM*sizeN
		edge := d.ws[w].floats(tileC, kn.mr*kn.nr)
		kn.multiply(c[i*ldc+j:], ldc, min(sizeM, rows-i), min(sizeN, cols-j), k, pa[i*k:], pb[j*k:], edge, add)
	})
}
