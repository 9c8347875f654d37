package mlflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// integer is a whole number, which JSON of protocol buffers writes as a number or as a string.
type integer int64

// UnmarshalJSON reads either form; an empty string is 0.
func (n *integer) UnmarshalJSON(b []byte) error {
	text, err := scalar(b)
	if err != nil || text == "" {
		return err
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(text, 64) // 1.7e12, as JavaScript writes large numbers
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
			return fmt.Errorf("want a whole number, not %.40q", text)
		}
		v = int64(f)
	}
	*n = integer(v)
	return nil
}

// number is a value of a metric. JSON has no word for those that are not finite: they are strings.
type number float64

// UnmarshalJSON reads a number or its text, those that are not finite included.
func (n *number) UnmarshalJSON(b []byte) error {
	text, err := scalar(b)
	if err != nil {
		return err
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("want a number, not %.40q", text)
	}
	*n = number(v)
	return nil
}

// MarshalJSON writes what is not finite as NaN, Infinity or -Infinity.
func (n number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(v)
}

// text is a string; clients also send numbers and booleans where one is meant, such as an experiment's id.
type text string

// UnmarshalJSON reads any of them.
func (t *text) UnmarshalJSON(b []byte) error {
	s, err := scalar(b)
	*t = text(s)
	return err
}

// texts is a list of strings, or one alone, as an address gives it.
type texts []string

// UnmarshalJSON reads either form.
func (t *texts) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		var one text
		if err := one.UnmarshalJSON(b); err != nil {
			return err
		}
		*t = nil
		if one != "" {
			*t = texts{string(one)}
		}
		return nil
	}
	var many []text
	if err := json.Unmarshal(b, &many); err != nil {
		return err
	}
	*t = make(texts, len(many))
	for i, one := range many {
		(*t)[i] = string(one)
	}
	return nil
}

// scalar is the text of a string, number or boolean; of null it is empty.
func scalar(b []byte) (string, error) {
	switch s := string(b); {
	case s == "null":
		return "", nil
	case strings.HasPrefix(s, `"`):
		var out string
		err := json.Unmarshal(b, &out)
		return out, err
	case strings.HasPrefix(s, "{"), strings.HasPrefix(s, "["):
		return "", errors.New("want one value, not a list or an object")
	default:
		return s, nil
	}
}

// pair is a tag or a parameter.
type pair struct {
	Key   text `json:"key"`
	Value text `json:"value"`
}

// metric is a point of a series.
type metric struct {
	Key       text    `json:"key"`
	Value     *number `json:"value"`
	Timestamp integer `json:"timestamp"` // Unix milliseconds
	Step      integer `json:"step"`
}

type experimentInfo struct {
	ID       string `json:"experiment_id"`
	Name     string `json:"name"`
	Location string `json:"artifact_location"`
	Stage    string `json:"lifecycle_stage"`
	Updated  int64  `json:"last_update_time"`
	Created  int64  `json:"creation_time"`
	Tags     []pair `json:"tags"`
}

type runInfo struct {
	UUID       string `json:"run_uuid"` // the id's name until MLflow 1.0; clients of then look for it
	ID         string `json:"run_id"`
	Name       string `json:"run_name"`
	Experiment string `json:"experiment_id"`
	User       string `json:"user_id"`
	Status     string `json:"status"`
	Start      int64  `json:"start_time"`
	End        int64  `json:"end_time,omitempty"`
	Location   string `json:"artifact_uri"`
	Stage      string `json:"lifecycle_stage"`
}

type runData struct {
	Metrics []metric `json:"metrics"`
	Params  []pair   `json:"params"`
	Tags    []pair   `json:"tags"`
}

type run struct {
	Info   runInfo  `json:"info"`
	Data   runData  `json:"data"`
	Inputs struct{} `json:"inputs"`
}

type oneRun struct {
	Run run `json:"run"`
}

type file struct {
	Path string `json:"path"`
	Dir  bool   `json:"is_dir"`
	Size int64  `json:"file_size,omitempty"`
}
