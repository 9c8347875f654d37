package inference

// Claim is what a test is to show of a difference.
type Claim string

const (
	Superiority    Claim = "superiority"     // better by more than the margin, 0 by default
	NonInferiority Claim = "non_inferiority" // not worse by the margin or more
	Equivalence    Claim = "equivalence"     // neither better nor worse by the margin or more
)

// Finding is what an interval says of a claim.
type Finding string

const (
	Shown   Finding = "shown"   // the whole interval is where the claim holds
	Refuted Finding = "refuted" // the whole interval is where it does not
	Open    Finding = "open"    // both are possible
)

// Judge holds a claim to an interval of B − A, in which up says whether higher is better. With a two-sided interval of
// level 1 − α a false claim of superiority or non-inferiority is shown with a chance of at most α/2, as ICH E9 (1998)
// has it; for equivalence that is two one-sided tests at α/2 each (Schuirmann 1987).
func Judge(claim Claim, i Interval, margin float64, up bool) Finding {
	if !up {
		i = Interval{-i.High, -i.Low}
	}
	var shown, refuted bool
	switch claim {
	case Superiority:
		shown, refuted = i.Low > margin, i.High < margin
	case NonInferiority:
		shown, refuted = i.Low > -margin, i.High < -margin
	case Equivalence:
		shown, refuted = i.Low > -margin && i.High < margin, i.Low > margin || i.High < -margin
	}
	switch {
	case shown:
		return Shown
	case refuted:
		return Refuted
	}
	return Open
}
