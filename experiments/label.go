package experiments

// Labels are the four classes, in the order of every table and matrix.
var Labels = []string{"ALLOW", "ESCALATION", "DENY", "REFUSE"}

// LabelIndex is the position of a label in Labels, -1 when it is none of them.
func LabelIndex(label string) int {
	for i, l := range Labels {
		if l == label {
			return i
		}
	}
	return -1
}
