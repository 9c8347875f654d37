package device

// Focal is a Device that has the focal loss (Lin et al. 2017) of negative log-likelihoods, all of them Float vectors of
// dst's length. A row whose nll is not above 0 has a loss and a gradient of 0.
type Focal interface {
	// Focal: dst = (1 − p)^gamma · nll, where p = e^−nll. dst may be nll.
	Focal(dst, nll Buffer, gamma float64)
	// FocalGrad: dst = dy · ((1 − p)^gamma + gamma · (1 − p)^(gamma−1) · p · nll). dst may be nll or dy.
	FocalGrad(dst, nll, dy Buffer, gamma float64)
}
