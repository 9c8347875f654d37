package cuda

import (
	"slices"

	"triality/runtime/device"
)

// Embedding: dst[t,:] = table[ids[t],:].
func (d *Device) Embedding(dst, table, ids device.Buffer, T, D int) {
	c := d.begin("embedding")
	defer c.end()
	o, w := c.operand("dst", dst, T*D), c.wholeOperand("table", table)
	if c.failed {
		return
	}
	_, id := c.within("ids", ids, T, 0, w.n/max(1, D))
	c.perWideRow("gather", T, D, o, w.at, id, i32(D))
}

// EmbeddingGrad: dst[V,D] = 0, then dst[ids[t],:] += dy[t,:] in order of t.
func (d *Device) EmbeddingGrad(dst, ids, dy device.Buffer, T, V, D int) {
	c := d.begin("embedding grad")
	defer c.end()
	o, y := c.operand("dst", dst, V*D), c.operand("dy", dy, T*D)
	id, _ := c.within("ids", ids, T, 0, V)
	if c.failed || T*D == 0 {
		c.zero(o, c.width()*V*D)
		return
	}
	rows, offsets, order := byID(id)
	r, f, t := c.table(rows), c.table(offsets), c.table(order)
	c.zero(o, c.width()*V*D)
	c.launch(c.kernel("gather_sum"), len(rows), (D+255)/256, rowThreads(D), 0, o, y, r, f, t, i32(D))
}

// byID groups positions by their id: those of rows[i] are order[offsets[i]:offsets[i+1]], ascending.
func byID(ids []int32) (rows, offsets, order []int32) {
	order = make([]int32, len(ids))
	for t := range order {
		order[t] = int32(t)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return int(ids[a]) - int(ids[b]) })
	for i, t := range order {
		if i == 0 || ids[t] != ids[order[i-1]] {
			rows, offsets = append(rows, ids[t]), append(offsets, int32(i))
		}
	}
	return rows, append(offsets, int32(len(ids))), order
}

// CacheWrite: cache[slots[t],:] = x[t,:] in order of t: of several writes to a slot the last stays.
func (d *Device) CacheWrite(cache, x, slots device.Buffer, T, D int) {
	c := d.begin("cache write")
	defer c.end()
	o, v := c.wholeOperand("cache", cache), c.operand("x", x, T*D)
	if c.failed {
		return
	}
	s, _ := c.within("slots", slots, T, 0, o.n/max(1, D))
	if c.failed || T*D == 0 {
		return
	}
	from, to := lastWrites(s)
	f, t := c.table(from), c.table(to)
	c.perWideRow("scatter", len(from), D, o.at, v, f, t, i32(D))
}

// lastWrites gives the writes that no later one undoes: from[i] goes to to[i].
func lastWrites(slots []int32) (from, to []int32) {
	seen := make(map[int32]bool, len(slots))
	for t := len(slots) - 1; t >= 0; t-- {
		if !seen[slots[t]] {
			seen[slots[t]] = true
			from, to = append(from, int32(t)), append(to, slots[t])
		}
	}
	return from, to
}

// RMSNorm: dst[t,d] = w[d] · x[t,d] / sqrt(mean_d(x²) + eps).
func (d *Device) RMSNorm(dst, x, w device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm")
	defer c.end()
	o, v, g := c.operand("dst", dst, T*D), c.operand("x", x, T*D), c.floats("w", w, D)
	c.perWideRow("rmsnorm", T, D, o, v, g, i32(D), f64(eps))
}

// RMSNormGradX: with r the inverse root mean square, dx = r·w·dy − x·r³/D·Σ_d(w·dy·x).
func (d *Device) RMSNormGradX(dst, x, w, dy device.Buffer, T, D int, eps float64) {
	d.RMSNormGradXAdd(dst, nil, x, w, dy, T, D, eps)
}

// RMSNormGradXAdd adds c where it is not nil.
func (d *Device) RMSNormGradXAdd(dst, plus, x, w, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad x")
	defer c.end()
	o, v, g, y := c.operand("dst", dst, T*D), c.operand("x", x, T*D), c.floats("w", w, D), c.operand("dy", dy, T*D)
	var more uint64
	if plus != nil {
		more = c.operand("c", plus, T*D)
	}
	c.perWideRow("rmsnorm_grad_x", T, D, o, v, g, y, more, i32(D), f64(eps))
}

// RMSNormGradW: dw[d] = Σ_t dy[t,d]·x[t,d]·r[t].
func (d *Device) RMSNormGradW(dst, x, dy device.Buffer, T, D int, eps float64) {
	c := d.begin("rmsnorm grad w")
	defer c.end()
	o, v, y := c.floats("dst", dst, D), c.operand("x", x, T*D), c.operand("dy", dy, T*D)
	rows, chunks := rowChunks(T)
	r, part := c.temporary(4*T), c.temporary(8*D*chunks)
	c.perWideRow("inverse_rms", T, D, r, v, i32(D), f64(eps))
	c.columns("weighted_partials", D, chunks, part, v, y, r, i32(T), i32(D), i32(rows))
	c.sumPartials(o, part, chunks, D, 1)
}

// Rotary turns each head by pos[t]·freq (Su et al., RoFormer, 2021; half-split pairs).
func (d *Device) Rotary(dst, x, pos, freq device.Buffer, T, heads, headDim, pairs int, scale float64, inverse bool) {
	c := d.begin("rotary")
	defer c.end()
	n := T * heads * headDim
	o, v, f := c.operand("dst", dst, n), c.operand("x", x, n), c.floats("freq", freq, pairs)
	_, p := c.indices("pos", pos, T)
	if headDim%2 != 0 || 2*pairs > headDim {
		c.fail("head size %d is odd or less than %d pairs", headDim, pairs)
	}
	turn := scale
	if inverse {
		turn = -turn
	}
	if c.stored == device.Float {
		c.launch("rotary_f32", (T*headDim/2+127)/128, 1, 128, 0, o, v, p, f, i32(T), i32(heads), i32(headDim), i32(pairs), f32(scale), f32(turn))
		return
	}
	c.perRow(c.kernel("rotary"), T, heads*headDim/16, o, v, p, f, i32(heads), i32(headDim), i32(pairs), f32(scale), f32(turn))
}
