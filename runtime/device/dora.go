package device

// DoRA is what the adapters of that name need (Liu et al. 2024).
type DoRA interface {
	// DivideByRowNorms: dst[n] = m[n] / sqrt(Σ_k w[n,k]²); w is [N,K].
	DivideByRowNorms(dst, m, w Buffer, N, K int)
	// ScaleColumns: dst[t,n] = a[t,n]·s[n]; a is [T,N]. In place for a.
	ScaleColumns(dst, a, s Buffer, T, N int)
}
