package mlflow

import (
	"time"

	"triality/server/search"
)

// The stages of experiments and runs.
const (
	stageActive  = "active"
	stageDeleted = "deleted"
)

func stage(archived time.Time) string {
	if archived.IsZero() {
		return stageActive
	}
	return stageDeleted
}

// view is which of them a request asks for; MLflow's numbers of the three are taken too.
func view(name text) (search.Archived, error) {
	switch name {
	case "", "ACTIVE_ONLY", "1":
		return search.Without, nil
	case "DELETED_ONLY", "2":
		return search.Only, nil
	case "ALL", "3":
		return search.Also, nil
	}
	return "", invalid("Invalid value %q for parameter 'view_type' supplied: want ACTIVE_ONLY, DELETED_ONLY or ALL", string(name))
}
