package store

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// FormatVersion is the version of the layout this code writes. It reads every version from 1 on.
const FormatVersion = 6

// FileName is the database's name in the data folder.
const FileName = "triality.db"

// Buckets. Keys with several parts join them with a zero byte, which no part may hold.
var (
	bucketMeta        = []byte("meta")             // "format" → uint32; "created", "opened" → RFC 3339
	bucketExperiments = []byte("experiments")      // id → JSON
	bucketNames       = []byte("experiment_names") // name → id
	bucketRuns        = []byte("runs")             // id → JSON
	bucketRunIndex    = []byte("run_index")        // scope, newest-first time, run id → nothing
	bucketSeries      = []byte("series")           // run id, metric name → head
	bucketPoints      = []byte("points")           // series number, chunk number → chunk
	bucketArtifacts   = []byte("artifacts")        // run id, path → JSON
	bucketBlobRefs    = []byte("blob_refs")        // sha256, holder → nothing
	bucketModules     = []byte("modules")          // sha256 → JSON
	bucketModuleUses  = []byte("module_uses")      // sha256, run id → nothing
	bucketEvents      = []byte("events")           // event id → JSON
	bucketRequests    = []byte("requests")         // "k", idempotency key → JSON; "t", time, key → nothing
	bucketTrash       = []byte("trash")            // "experiment" or "run" or "file" or "change", its id → nothing
	bucketViews       = []byte("views")            // id → JSON, line feed, body
	bucketChanges     = []byte("changes")          // token → JSON; token, "todo" or "done", number → JSON
	bucketDeleted     = []byte("deleted")          // "run" or "experiment", its id → JSON
	bucketReports     = []byte("reports")          // id → JSON, line feed, body
	bucketComments    = []byte("comments")         // "c", id → JSON; "b", notebook, id → nothing

	// buckets are those of version 1, added those that came with version 2, ofUndo those with 4, ofReports those with 5, ofComments those with 6; 3 brought none.
	buckets = [][]byte{
		bucketMeta, bucketExperiments, bucketNames, bucketRuns, bucketRunIndex, bucketSeries,
		bucketPoints, bucketArtifacts, bucketBlobRefs, bucketModules, bucketModuleUses, bucketEvents,
	}
	added  = [][]byte{bucketRequests, bucketTrash}
	ofUndo = [][]byte{bucketViews, bucketChanges, bucketDeleted}

	ofReports  = [][]byte{bucketReports}
	ofComments = [][]byte{bucketComments}

	keyFormat  = []byte("format")
	keyCreated = []byte("created")
	keyOpened  = []byte("opened")
)

// bucketsOf are the buckets that a file of a format has.
func bucketsOf(format uint32) [][]byte {
	switch {
	case format < 2:
		return buckets
	case format < 4:
		return slices.Concat(buckets, added)
	case format < 5:
		return slices.Concat(buckets, added, ofUndo)
	case format < 6:
		return slices.Concat(buckets, added, ofUndo, ofReports)
	}
	return slices.Concat(buckets, added, ofUndo, ofReports, ofComments)
}

func key(parts ...string) []byte { return []byte(strings.Join(parts, "\x00")) }

// under is the prefix of every key whose first parts are these.
func under(parts ...string) []byte { return append(key(parts...), 0) }

func uintKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// newestFirst turns a time into 8 bytes that sort later times first. Microseconds: nanoseconds would
// overflow outside 1678–2262.
func newestFirst(t time.Time) string {
	ordered := uint64(t.UnixMicro()) ^ 1<<63
	return string(binary.BigEndian.AppendUint64(nil, ^ordered))
}
