package experiments

// DatasetSummary says what the convert step found and wrote.
type DatasetSummary struct {
	Files      []string                  `json:"files"`
	Rows       int                       `json:"rows"`    // read and kept
	Skipped    int                       `json:"skipped"` // bad lines
	Problems   []string                  `json:"problems,omitempty"`
	Groups     int                       `json:"groups"` // distinct source_sample values
	Splits     []SplitSummary            `json:"splits"`
	Languages  map[string]int            `json:"languages"`
	Domains    map[string]map[string]int `json:"domains"` // domain → label → rows
	Duplicates int                       `json:"duplicates"`
	Leaks      int                       `json:"leaks"`   // near-duplicate pairs across splits
	Dropped    int                       `json:"dropped"` // rows over max_length whose answer would be cut
	Seed       uint64                    `json:"seed"`
}

// SplitSummary counts one split.
type SplitSummary struct {
	Name   string         `json:"name"`
	Rows   int            `json:"rows"`
	Groups int            `json:"groups"`
	Tokens int64          `json:"tokens"` // 0 with --no-tokenize
	Labels map[string]int `json:"labels"`
}
