package device

// DoRA is what the adapters of that name need beside Device (Liu et al. 2024). A Device may be
// without it; compiling a graph that needs it is then an error.
type DoRA interface {
	// DivideByRowNorms: dst[n] = m[n] / sqrt(Σ_k w[n,k]²); w is [N,K].
	DivideByRowNorms(dst, m, w Buffer, N, K int)
	// ScaleColumns: dst[t,n] = a[t,n]·s[n]; a is [T,N]. In place for a.
	ScaleColumns(dst, a, s Buffer, T, N int)
}
