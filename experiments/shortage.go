package experiments

// Shortage is the error of work that was planned to take more memory than there is: another machine may have it.
type Shortage struct {
	Memory int64 // bytes that a process must be able to hold for it; 0: there is enough
	Card   int64 // bytes of a card's memory; 0: there is enough
	Text   string
}

func (s *Shortage) Error() string { return s.Text }
