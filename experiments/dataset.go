package experiments

// DatasetSummary says what the convert step found and wrote.
type DatasetSummary struct {
	Files     []string                  `json:"files"`
	Rows      int                       `json:"rows"`    // read and kept
	Skipped   int                       `json:"skipped"` // bad lines
	Problems  []string                  `json:"problems,omitempty"`
	Groups    int                       `json:"groups"` // distinct source_sample values
	Splits    []SplitSummary            `json:"splits"`
	Languages map[string]int            `json:"languages"`
	Domains   map[string]map[string]int `json:"domains"` // domain → label → rows
	// Duplicates counts the rows that are, exactly or nearly, another row of another group once more.
	Duplicates int `json:"duplicates"`
	// Leaks counts the written rows of val and test that are in an earlier split too, by group or as a
	// near-duplicate. It is found by comparing what was written, not from the split.
	Leaks int `json:"leaks"`
	// Unproven counts the rows of which this is not known: too many others are nearly alike.
	Unproven       int      `json:"unproven,omitempty"`
	Contradictions int      `json:"contradictions"`     // texts with several labels
	Mismatches     int      `json:"mismatches"`         // rows whose output names another class than their label
	Missing        []string `json:"missing,omitempty"`  // classes that a split has no row of
	Findings       []string `json:"findings,omitempty"` // what else is to be said of the rows
	Dropped        int      `json:"dropped"`            // rows over max_length whose answer would be cut
	Seed           uint64   `json:"seed"`
	// Audit is data.audit where it is set, Personal what it found by kind, in PersonalRows rows.
	Audit        string         `json:"audit,omitempty"`
	Personal     map[string]int `json:"personal,omitempty"`
	PersonalRows int            `json:"personal_rows,omitempty"`
}

// SplitSummary counts one split.
type SplitSummary struct {
	Name   string         `json:"name"`
	Rows   int            `json:"rows"`
	Groups int            `json:"groups"`
	Tokens int64          `json:"tokens"` // 0 with --no-tokenize
	Labels map[string]int `json:"labels"`
}
