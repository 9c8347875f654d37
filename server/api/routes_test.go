package api

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"triality/experiments"
)

const (
	iv = experiments.CodeInvalid
	nf = experiments.CodeNotFound
	cf = experiments.CodeConflict
	tl = experiments.CodeTooLarge
	un = experiments.CodeUnavailable
	in = experiments.CodeInternal
)

// Every route's success and errors. TestEveryRouteHasAScenario holds this table to the routes.
var scenarios = map[string]scenario{
	"the server is healthy":   {method: "GET", path: "/healthz", status: 200, has: []string{`{"status":"ok"}`}},
	"the server is ready":     {method: "GET", path: "/readyz", status: 200, has: []string{`{"status":"ready"}`}},
	"figures of the server":   {method: "GET", path: "/metrics", status: 200, has: []string{"\ntriality_store_healthy 1\n", `triality_build_info{engine="",version="1.2.3"} 1`, "\ngo_goroutines "}},
	"info names the versions": {method: "GET", path: "/api/v1/info", status: 200, has: []string{`"version":"1.2.3"`, `"threads":2`, `"data_dir_free_bytes":`, `"started_at":"20`}},
	"the OpenAPI document":    {method: "GET", path: "/api/v1/openapi.json", status: 200, has: []string{`"3.1.0"`}},
	"configs are listed":      {method: "GET", path: "/api/v1/configs", status: 200, has: []string{`"yaml":"a: 1\n"`}},

	"notebooks are listed":                  {method: "GET", path: "/api/v1/notebooks", status: 200, has: []string{`"name":"a.md"`, `"title":"A"`, `"cells":1`}},
	"one notebook":                          {method: "GET", path: "/api/v1/notebooks/a.md", status: 200, has: []string{`"text":"---\ntitle: A`, `"revision":"` + bookRevision}},
	"a notebook there is not":               {method: "GET", path: "/api/v1/notebooks/b.md", status: 404, code: nf},
	"one notebook in blocks":                {method: "GET", path: "/api/v1/notebooks/a.md?blocks=1", status: 200, has: []string{`"blocks":[{"type":"front","text":"---\ntitle: A\n---\n"`, `"cell":"a"`}},
	"one notebook in something":             {method: "GET", path: "/api/v1/notebooks/a.md?blocks=yes", status: 400, code: iv},
	"a notebook by a path that leads out":   {method: "GET", path: "/api/v1/notebooks/..%2Fb.md", status: 400, code: iv},
	"a revision there is not":               {method: "GET", path: "/api/v1/notebooks/a.md?revision=00", status: 404, code: nf},
	"a notebook is made":                    {method: "PUT", path: "/api/v1/notebooks/team/b.md", body: `{"text":"# B\n"}`, headers: []string{"If-None-Match: *"}, status: 200, has: []string{`"name":"team/b.md"`}},
	"a notebook is made where one is":       {method: "PUT", path: "/api/v1/notebooks/a.md", body: `{"text":"# B\n"}`, headers: []string{"If-None-Match: *"}, status: 409, code: cf, has: []string{`"book":{"name":"a.md"`, `title: A`}},
	"a notebook is written":                 {method: "PUT", path: "/api/v1/notebooks/a.md", body: `{"text":"# B\n"}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 200, has: []string{`"text":"# B\n"`}},
	"a notebook is written over another":    {method: "PUT", path: "/api/v1/notebooks/a.md", body: `{"text":"# B\n"}`, headers: []string{`If-Match: "00"`}, status: 409, code: cf, has: []string{`title: A`}},
	"a notebook is written over anything":   {method: "PUT", path: "/api/v1/notebooks/a.md", body: `{"text":"# B\n"}`, status: 400, code: iv, has: []string{"If-Match"}},
	"the kinds of cells":                    {method: "GET", path: "/api/v1/kinds", status: 200, has: []string{`"name":"finetune","cost":"costly"`, `"name":"chart","cost":"free"`, `"x-takes":["series","table"]`}},
	"a notebook that is gone is written":    {method: "PUT", path: "/api/v1/notebooks/c.md", body: `{"text":"# B\n"}`, headers: []string{`If-Match: "00"`}, status: 404, code: nf},
	"a notebook is removed":                 {method: "DELETE", path: "/api/v1/notebooks/a.md", headers: []string{`If-Match: "` + bookRevision + `"`}, status: 204},
	"a notebook of another text is removed": {method: "DELETE", path: "/api/v1/notebooks/a.md", headers: []string{`If-Match: "00"`}, status: 409, code: cf},
	"a notebook is removed whatever it is":  {method: "DELETE", path: "/api/v1/notebooks/a.md", status: 400, code: iv},
	"the history of a notebook":             {method: "GET", path: "/api/v1/notebooks/history?name=a.md", status: 200, has: []string{`"items":[]`}},
	"the history of no name":                {method: "GET", path: "/api/v1/notebooks/history", status: 400, code: iv},
	"the state of a notebook":               {method: "POST", path: "/api/v1/notebooks/state", body: `{"name":"a.md","text":` + strconv.Quote(bookOfTest) + `}`, status: 200, has: []string{`"state":"new"`, `"problems":[]`}},
	"the state of a broken notebook":        {method: "POST", path: "/api/v1/notebooks/state", body: `{"name":"a.md","text":"` + "```triality convert id=a\\nbase_modl: m\\n```" + `"}`, status: 200, has: []string{`"state":"wrong"`, `"line":2`}},
	"the state of no name":                  {method: "POST", path: "/api/v1/notebooks/state", body: `{"text":""}`, status: 400, code: iv},
	"the cells of a notebook":               {method: "GET", path: "/api/v1/notebooks/cells?name=a.md", status: 200, has: []string{`"revision":"` + bookRevision, `"cells":[{"id":"a","kind":"convert","line":5,"body":"base_model: m\ndata:`}},
	"the cells of a notebook there is not":  {method: "GET", path: "/api/v1/notebooks/cells?name=b.md", status: 404, code: nf},
	"the cells of no name":                  {method: "GET", path: "/api/v1/notebooks/cells", status: 400, code: iv},
	"a cell is written":                     {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"a","body":"base_model: n\n"}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 200, has: []string{`---\n\n` + "```triality convert id=a\\nbase_model: n\\n```\\n"}},
	"a cell is made":                        {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"b","kind":"note","after":"a","body":"text: hi\n"}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 200, has: []string{"```triality note id=b\\ntext: hi\\n```"}},
	"a cell is made after none":             {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"b","kind":"note","after":"c","body":""}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 404, code: nf},
	"a cell there is not is written":        {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"b","body":""}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 404, code: nf, has: []string{"give a kind"}},
	"a cell is made of no name":             {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"b c","kind":"note","body":""}`, headers: []string{`If-Match: "` + bookRevision + `"`}, status: 400, code: iv},
	"a cell of another text is written":     {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"a","body":""}`, headers: []string{`If-Match: "00"`}, status: 409, code: cf, has: []string{`title: A`}},
	"a cell is written over anything":       {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"a","body":""}`, status: 400, code: iv, has: []string{"If-Match"}},
	"a cell is written by a name of none":   {method: "PUT", path: "/api/v1/notebooks/cells", body: `{"name":"a.md","id":"a","body":""}`, headers: []string{`If-Match: "` + bookRevision + `"`, "X-Triality-Client: a/../b"}, status: 400, code: iv},

	"comments of a notebook":                    {method: "GET", path: "/api/v1/comments?book=a.md", status: 200, has: []string{`"author":"Mika","text":"Try 64?","revision":1`}},
	"deleted comments of a notebook":            {method: "GET", path: "/api/v1/comments?book=a.md&deleted=true", status: 200, has: []string{`"items":[]`}},
	"comments of an odd name":                   {method: "GET", path: "/api/v1/comments?book=../a.md", status: 400, code: iv},
	"comments that are oddly deleted":           {method: "GET", path: "/api/v1/comments?book=a.md&deleted=1", status: 400, code: iv},
	"a cell is commented on":                    {method: "POST", path: "/api/v1/comments", body: `{"book":"a.md","cell":"a","author":"ユタ","text":"なぜ?"}`, status: 201, has: []string{`"author":"ユタ"`, `"revision":1`}},
	"a comment of nobody":                       {method: "POST", path: "/api/v1/comments", body: `{"book":"a.md","cell":"a","author":"","text":"x"}`, status: 400, code: iv, has: []string{"author"}},
	"a comment that is too long":                {method: "POST", path: "/api/v1/comments", body: `{"book":"a.md","cell":"a","author":"x","text":"` + strings.Repeat("x", 16<<10+1) + `"}`, status: 413, code: tl},
	"a comment on a notebook that is not there": {method: "POST", path: "/api/v1/comments", body: `{"book":"none.md","cell":"a","author":"x","text":"x"}`, status: 404, code: nf},
	"a comment is resolved":                     {method: "PATCH", path: "/api/v1/comments/COMMENT", body: `{"resolved":true,"by":"Yuta"}`, headers: []string{`If-Match: "1"`}, status: 200, has: []string{`"revision":2`, `"resolved_at":"20`, `"resolved_by":"Yuta"`}},
	"a comment is opened and changed":           {method: "PATCH", path: "/api/v1/comments/COMMENT", body: `{"resolved":false,"text":"Try 128?"}`, status: 200, has: []string{`"text":"Try 128?"`}},
	"a comment changed since":                   {method: "PATCH", path: "/api/v1/comments/COMMENT", body: `{"text":"x"}`, headers: []string{`If-Match: "7"`}, status: 412, code: codePrecondition, has: []string{`"details":{"revision":1}`}},
	"a missing comment is changed":              {method: "PATCH", path: "/api/v1/comments/nope", body: `{}`, status: 404, code: nf},
	"a comment is resolved by many":             {method: "PATCH", path: "/api/v1/comments/COMMENT", body: `{"resolved":true,"by":"` + strings.Repeat("x", 201) + `"}`, status: 400, code: iv},
	"a comment is deleted":                      {method: "DELETE", path: "/api/v1/comments/COMMENT", headers: []string{`If-Match: "1"`}, status: 204},
	"a comment changed since is deleted":        {method: "DELETE", path: "/api/v1/comments/COMMENT", headers: []string{`If-Match: "2"`}, status: 412, code: codePrecondition},
	"a missing comment is deleted":              {method: "DELETE", path: "/api/v1/comments/nope", status: 404, code: nf},
	"a comment that is there is restored":       {method: "POST", path: "/api/v1/comments/COMMENT/restore", status: 404, code: nf},
	"a page has a notebook open":                {method: "POST", path: "/api/v1/presence", body: `{"book":"a.md","window":"window-1","name":"Mika","colour":3,"cell":"a"}`, status: 200, has: []string{`"items":[{"window":"window-1","name":"Mika","colour":3,"cell":"a"}]`}},
	"a page goes":                               {method: "POST", path: "/api/v1/presence", body: `{"book":"a.md","window":"window-1","gone":true}`, status: 200, has: []string{`"items":[]`}},
	"a page without a name of its own":          {method: "POST", path: "/api/v1/presence", body: `{"book":"a.md","window":""}`, status: 400, code: iv},
	"a page of no notebook":                     {method: "POST", path: "/api/v1/presence", body: `{"window":"window-1"}`, status: 400, code: iv},

	"a cell of a notebook is run":  {method: "POST", path: "/api/v1/jobs", body: `{"config":` + strconv.Quote(bookOfTest) + `,"book":"a.md","cells":["a"]}`, status: 202, has: []string{`"status":"queued"`}},
	"a cell there is not is run":   {method: "POST", path: "/api/v1/jobs", body: `{"config":` + strconv.Quote(bookOfTest) + `,"book":"a.md","cells":["b"]}`, status: 400, code: iv, has: []string{"cell b"}},
	"a notebook of no name is run": {method: "POST", path: "/api/v1/jobs", body: `{"config":"a","book":"../a.md"}`, status: 400, code: iv},

	"experiments are listed":                 {method: "GET", path: "/api/v1/experiments", status: 200, has: []string{`"runs":2`, `"last_run_at":"20`, `"next_cursor":""`}},
	"a limit of nothing":                     {method: "GET", path: "/api/v1/experiments?limit=0", status: 400, code: iv},
	"a limit that is no number":              {method: "GET", path: "/api/v1/runs?limit=x", status: 400, code: iv},
	"an experiment is made":                  {method: "POST", path: "/api/v1/experiments", body: `{"name":"新しい","tags":{"k":"v"}}`, status: 201, has: []string{`"name":"新しい"`, `"k":"v"`}},
	"an experiment whose name is taken":      {method: "POST", path: "/api/v1/experiments", body: `{"name":"e"}`, status: 409, code: cf, has: []string{"EXP"}},
	"an experiment without a name":           {method: "POST", path: "/api/v1/experiments", body: `{}`, status: 400, code: iv},
	"an experiment with an unknown field":    {method: "POST", path: "/api/v1/experiments", body: `{"name":"x","nmae":"y"}`, status: 400, code: iv, has: []string{"nmae"}},
	"an experiment with a long description":  {method: "POST", path: "/api/v1/experiments", body: `{"name":"x","description":"` + strings.Repeat("x", maxDescription+1) + `"}`, status: 400, code: iv},
	"an experiment as a form":                {method: "POST", path: "/api/v1/experiments", body: `{"name":"x"}`, headers: []string{"Content-Type: text/plain"}, status: 415, code: codeMedia},
	"an experiment of no bytes":              {method: "POST", path: "/api/v1/experiments", headers: []string{"Content-Type: application/json"}, status: 400, code: iv, has: []string{"empty"}},
	"an experiment and more":                 {method: "POST", path: "/api/v1/experiments", body: `{"name":"x"} {"name":"y"}`, status: 400, code: iv},
	"an experiment that is too large":        {method: "POST", path: "/api/v1/experiments", body: `{"name":"` + strings.Repeat("x", maxBody) + `"}`, status: 413, code: tl, has: []string{"limit_bytes"}},
	"an experiment with a long tag":          {method: "POST", path: "/api/v1/experiments", body: `{"name":"x","tags":{"` + strings.Repeat("k", 251) + `":""}}`, status: 400, code: iv},
	"one experiment":                         {method: "GET", path: "/api/v1/experiments/EXP", status: 200, has: []string{`"id":"EXP"`, `"runs":2`}},
	"an experiment there is not":             {method: "GET", path: "/api/v1/experiments/nope", status: 404, code: nf},
	"an experiment is renamed":               {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"name":"E","tags":{"a":"b","c":null}}`, status: 200, has: []string{`"name":"E"`, `"a":"b"`}},
	"an experiment is renamed to nothing":    {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"name":""}`, status: 400, code: iv},
	"a missing experiment is renamed":        {method: "PATCH", path: "/api/v1/experiments/nope", body: `{}`, status: 404, code: nf},
	"an experiment is removed while it runs": {method: "DELETE", path: "/api/v1/experiments/EXP", status: 409, code: cf},
	"a missing experiment is removed":        {method: "DELETE", path: "/api/v1/experiments/nope", status: 404, code: nf},

	"runs are listed":                      {method: "GET", path: "/api/v1/runs?experiment_id=EXP", status: 200, has: []string{`"id":"live"`, `"id":"done"`}},
	"runs are searched":                    {method: "GET", path: "/api/v1/runs?q=%E5%AE%9F&status=finished", status: 200, has: []string{`"id":"done"`}},
	"runs of a missing experiment":         {method: "GET", path: "/api/v1/runs?experiment_id=nope", status: 404, code: nf},
	"runs of an unknown status":            {method: "GET", path: "/api/v1/runs?status=odd", status: 400, code: iv},
	"runs after a made-up cursor":          {method: "GET", path: "/api/v1/runs?cursor=!!", status: 400, code: iv},
	"a run is made":                        {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","name":"n","params":{"lr":"1"}}`, status: 201, has: []string{`"status":"running"`, `"started_at":"20`, `"lr":"1"`}},
	"a run of the past":                    {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","status":"finished","started_at":"2024-05-01T10:00:00+09:00","ended_at":"2024-05-01T11:00:00+09:00"}`, status: 201, has: []string{`"status":"finished"`, `"created_at":"2024-05-01T01:00:00Z"`, `"started_at":"2024-05-01T01:00:00Z"`, `"ended_at":"2024-05-01T02:00:00Z"`}},
	"a run of an odd past":                 {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","started_at":"1.5.2024"}`, status: 400, code: iv, has: []string{"started_at", "RFC 3339"}},
	"a run of the future":                  {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","started_at":"2999-01-01T00:00:00Z"}`, status: 400, code: iv, has: []string{"started_at", "to now"}},
	"a run that ends before it begins":     {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","status":"failed","started_at":"2024-05-02T00:00:00Z","ended_at":"2024-05-01T00:00:00Z"}`, status: 400, code: iv, has: []string{"ended_at", "before started_at"}},
	"a run that runs and has ended":        {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","ended_at":"2024-05-01T00:00:00Z"}`, status: 400, code: iv, has: []string{"ended_at", "status"}},
	"a run of the past that never ends":    {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","status":"finished","started_at":"2024-05-01T00:00:00Z"}`, status: 400, code: iv, has: []string{"ended_at is missing"}},
	"a tag given twice":                    {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","tags":{"a":"1","a":"2"}}`, status: 400, code: iv, has: []string{`\"a\" stands twice`, `tags`}},
	"a run without an experiment":          {method: "POST", path: "/api/v1/runs", body: `{"name":"n"}`, status: 404, code: nf},
	"a run whose name has a line break":    {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","name":"a\nb"}`, status: 400, code: iv},
	"a run with a long parameter":          {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","params":{"a":"` + strings.Repeat("x", 6001) + `"}}`, status: 400, code: iv},
	"one run":                              {method: "GET", path: "/api/v1/runs/done", status: 200, has: []string{`"status":"finished"`}},
	"a run there is not":                   {method: "GET", path: "/api/v1/runs/nope", status: 404, code: nf},
	"a client's run ends":                  {method: "PATCH", path: "/api/v1/runs/live", body: `{"status":"finished","name":"new","tags":{"t":"1"},"params":{"p":"2"}}`, status: 200, has: []string{`"status":"finished"`, `"ended_at":"20`, `"name":"new"`, `"t":"1"`, `"p":"2"`}},
	"a run gets an unknown status":         {method: "PATCH", path: "/api/v1/runs/live", body: `{"status":"odd"}`, status: 400, code: iv},
	"a pipeline's run gets a status":       {method: "PATCH", path: "/api/v1/runs/done", body: `{"status":"failed"}`, status: 409, code: cf},
	"a run that waits not gets a priority": {method: "PATCH", path: "/api/v1/runs/done", body: `{"priority":3}`, status: 409, code: cf},
	"a run gets no priority":               {method: "PATCH", path: "/api/v1/runs/done", body: `{"priority":1000000000}`, status: 400, code: iv, has: []string{"must lie between"}},
	"a priority among other keys":          {method: "PATCH", path: "/api/v1/runs/done", body: `{"priority":3,"name":"n"}`, status: 400, code: iv, has: []string{"priority changes alone"}},
	"a missing run is changed":             {method: "PATCH", path: "/api/v1/runs/nope", body: `{}`, status: 404, code: nf},
	"a run is removed":                     {method: "DELETE", path: "/api/v1/runs/done", status: 204},
	"a run is removed while it runs":       {method: "DELETE", path: "/api/v1/runs/live", status: 409, code: cf},
	"a missing run is removed":             {method: "DELETE", path: "/api/v1/runs/nope", status: 404, code: nf},
	"a run is cancelled":                   {method: "POST", path: "/api/v1/runs/live/cancel", status: 202, has: []string{`"id":"live"`}},
	"an ended run is cancelled":            {method: "POST", path: "/api/v1/runs/done/cancel", status: 409, code: cf},
	"a missing run is cancelled":           {method: "POST", path: "/api/v1/runs/nope/cancel", status: 404, code: nf},
	"a run is resumed":                     {method: "POST", path: "/api/v1/runs/done/resume", status: 202, has: []string{`"status":"queued"`}},
	"a running run is resumed":             {method: "POST", path: "/api/v1/runs/live/resume", status: 409, code: cf},

	"points are logged":             {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"time":2,"value":3},{"step":2,"time":2,"value":"NaN"}]}`, status: 204},
	"points of a missing run":       {method: "POST", path: "/api/v1/runs/nope/metrics", body: `{"a":[{"step":1,"value":1}]}`, status: 404, code: nf},
	"a point without a value":       {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1}]}`, status: 400, code: iv, has: []string{"a[0].value: it is missing"}},
	"a point that is null":          {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[null]}`, status: 400, code: iv},
	"a point with an odd value":     {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":"big"}]}`, status: 400, code: iv, has: []string{"Infinity"}},
	"a point with an unknown field": {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":1,"stp":2}]}`, status: 400, code: iv, has: []string{"stp"}},
	"a step that is no number":      {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":1},{"step":1.5,"value":1}]}`, status: 400, code: iv, has: []string{"a[1].step: 1.5: want a whole number"}},
	"a time in words":               {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"time":"now","value":1}]}`, status: 400, code: iv, has: []string{"a[0].time", "milliseconds since 1970", "leave it out"}},
	"a time in nanoseconds":         {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"time":1796031145086000000,"value":1}]}`, status: 400, code: iv, has: []string{"a[0].time: 1796031145086000000", "milliseconds since 1970"}},
	"a time before 1970":            {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"time":-1,"value":1}]}`, status: 400, code: iv, has: []string{"a[0].time: -1"}},
	"points in a list":              {method: "POST", path: "/api/v1/runs/live/metrics", body: `[{"key":"a","value":1}]`, status: 400, code: iv, has: []string{`body: want an object, not a JSON array`}},
	"a point without a step":        {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":1},{"value":1}]}`, status: 400, code: iv, has: []string{"a[1].step: it is missing"}},
	"a run of a client that waits":  {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"e","status":"queued"}`, status: 400, code: iv, has: []string{"status queued", "/api/v1/jobs"}},
	"a run that becomes waiting":    {method: "PATCH", path: "/api/v1/runs/live", body: `{"status":"queued"}`, status: 400, code: iv, has: []string{"status queued"}},
	"a run that is taken over":      {method: "PATCH", path: "/api/v1/runs/live", body: `{"status":"reused"}`, status: 400, code: iv, has: []string{"status reused"}},
	"one point without a list":      {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":{"step":1,"value":1}}`, status: 400, code: iv, has: []string{`body: want a list, not a JSON object`}},
	"a metric given twice":          {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"loss":[{"step":1,"value":1}],"loss":[{"step":1,"value":2}]}`, status: 400, code: iv, has: []string{`\"loss\" stands twice`, "into one list"}},
	"a field given twice":           {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"value":1,"step":3,"Step":4}]}`, status: 400, code: iv},
	"a metric without a name":       {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"":[{"step":1,"value":1}]}`, status: 400, code: iv},
	"series of a run":               {method: "GET", path: "/api/v1/runs/live/metrics", status: 200, has: []string{`"items":[]`}},
	"series of a missing run":       {method: "GET", path: "/api/v1/runs/nope/metrics", status: 404, code: nf},
	"a series without its name":     {method: "GET", path: "/api/v1/runs/live/metrics/series", status: 400, code: iv},
	"a series there is not":         {method: "GET", path: "/api/v1/runs/live/metrics/series?name=x", status: 404, code: nf},
	"a series with too few points":  {method: "GET", path: "/api/v1/runs/live/metrics/series?name=x&max_points=2", status: 400, code: iv},

	"artifacts are listed":                  {method: "GET", path: "/api/v1/runs/done/artifacts", status: 200, has: []string{`"path":"abtest/results.json"`}},
	"artifacts of a missing run":            {method: "GET", path: "/api/v1/runs/nope/artifacts", status: 404, code: nf},
	"an artifact with an odd name":          {method: "GET", path: "/api/v1/runs/done/artifacts/a%20b/%E6%97%A5%E6%9C%AC.html", status: 200, has: []string{"<p>hi"}},
	"an artifact there is not":              {method: "GET", path: "/api/v1/runs/done/artifacts/nope", status: 404, code: nf},
	"rows of a file":                        {method: "GET", path: "/api/v1/runs/done/rows/a%20b/rows.arrow?offset=1&limit=2", status: 200, has: []string{`"columns":[{"name":"id","type":"int64"},{"name":"text","type":"utf8"}]`, `"rows":[["1",null],["2","行 2"]]`, `"offset":1,"total":3`}},
	"rows of what has none":                 {method: "GET", path: "/api/v1/runs/done/rows/a%20b/%E6%97%A5%E6%9C%AC.html", status: 400, code: iv, has: []string{"neither a Parquet nor an Arrow file", "日本.html"}},
	"rows of a file there is not":           {method: "GET", path: "/api/v1/runs/done/rows/nope", status: 404, code: nf},
	"too many rows of a file":               {method: "GET", path: "/api/v1/runs/done/rows/a?limit=1001", status: 400, code: iv},
	"an artifact is stored":                 {method: "PUT", path: "/api/v1/runs/live/artifacts/x/100%25.txt", body: "hello", headers: []string{"Content-Type: "}, status: 201, has: []string{`"path":"x/100%.txt"`, `"size":5`, `"text/plain`}},
	"an artifact outside":                   {method: "PUT", path: "/api/v1/runs/live/artifacts/..%2Fx", body: "hello", status: 400, code: iv},
	"an artifact that is too large":         {method: "PUT", path: "/api/v1/runs/live/artifacts/x", body: strings.Repeat("x", 1001), status: 413, code: tl},
	"an artifact of a missing run":          {method: "PUT", path: "/api/v1/runs/nope/artifacts/x", body: "x", status: 404, code: nf},
	"the A/B result":                        {method: "GET", path: "/api/v1/runs/done/abtest", status: 200, has: []string{`"rows":3`}},
	"no A/B result":                         {method: "GET", path: "/api/v1/runs/live/abtest", status: 404, code: nf},
	"a metric is tried":                     {method: "POST", path: "/api/v1/runs/done/abtest/metrics", body: `{"module":"MOD","params":{"bins":5}}`, status: 201, has: []string{`"name":"m"`, `"bins":5`}},
	"what metrics gave":                     {method: "GET", path: "/api/v1/runs/done/abtest/metrics", status: 200, has: []string{`"items":[{"key":"`, `"name":"x"`, `"outputs":[{"name":"v","kind":"scalar","direction":"","values":[1]}]`}},
	"what metrics gave no A/B test":         {method: "GET", path: "/api/v1/runs/live/abtest/metrics", status: 404, code: nf},
	"a metric there is not":                 {method: "POST", path: "/api/v1/runs/done/abtest/metrics", body: `{"module":"nope"}`, status: 404, code: nf},
	"a metric without a name is tried":      {method: "POST", path: "/api/v1/runs/done/abtest/metrics", body: `{}`, status: 400, code: iv, has: []string{"module is missing"}},
	"a metric is tried on one column twice": {method: "POST", path: "/api/v1/runs/done/abtest/metrics", body: `{"module":"MOD","slices":["class","class"]}`, status: 400, code: iv, has: []string{"slices: a column is named twice"}},
	"a metric is tried on no run":           {method: "POST", path: "/api/v1/runs/nope/abtest/metrics", body: `{"module":"MOD"}`, status: 404, code: nf},
	"the data summary":                      {method: "GET", path: "/api/v1/runs/done/data", status: 200, has: []string{`"rows":9`}},
	"the replacement":                       {method: "GET", path: "/api/v1/runs/done/replacement", status: 200, has: []string{`"hidden_size":64`}},
	"the report":                            {method: "GET", path: "/api/v1/runs/done/report?lang=ja", status: 200, has: []string{"<html lang=ja>実行"}},
	"the report in another language":        {method: "GET", path: "/api/v1/runs/done/report?lang=fr", status: 400, code: iv},
	"the report of a missing run":           {method: "GET", path: "/api/v1/runs/nope/report", status: 404, code: nf},

	"a job is queued":           {method: "POST", path: "/api/v1/jobs", body: `{"config":"a: 1","name":"n"}`, status: 202, has: []string{`"status":"queued"`, `"name":"n"`}},
	"a job whose config is bad": {method: "POST", path: "/api/v1/jobs", body: `{"config":"bad"}`, status: 400, code: iv, has: []string{`"details":{"line":1}`}},
	"a plan":                    {method: "POST", path: "/api/v1/plan", body: `{"config":"a: 1"}`, status: 200, has: []string{`{"steps":[{"name":"a","kind":"convert","key":"k","cost":"cheap","taken_over":false,"output":"work/convert/k"}]}`}},
	"a plan of nothing":         {method: "POST", path: "/api/v1/plan", body: `{}`, status: 400, code: iv, has: []string{"config is missing"}},
	"a plan that is wrong":      {method: "POST", path: "/api/v1/plan", body: `{"config":"broken"}`, status: 400, code: iv, has: []string{"config:1: broken"}},
	"a plan in a folder":        {method: "POST", path: "/api/v1/plan", body: `{"config":"a: 1","dir":"/"}`, status: 403, code: codeForbidden},
	"no workers":                {method: "GET", path: "/api/v1/workers", status: 200, has: []string{`"items":[]`}},
	"the queue":                 {method: "GET", path: "/api/v1/queue", status: 200, has: []string{`"items":[]`}},
	"a run's log":               {method: "GET", path: "/api/v1/runs/done/log?from=10", status: 200, has: []string{"convert started"}},
	"a log from nowhere":        {method: "GET", path: "/api/v1/runs/done/log?from=-1", status: 400, code: iv},
	"a missing run's log":       {method: "GET", path: "/api/v1/runs/nope/log", status: 404, code: nf},
	"the store is checked":      {method: "POST", path: "/api/v1/store/check", status: 200, has: []string{`"problems":[]`}},
	"a job in a folder":         {method: "POST", path: "/api/v1/jobs", body: `{"config":"a: 1","dir":"/"}`, status: 403, code: codeForbidden},
	"a job of high priority":    {method: "POST", path: "/api/v1/jobs", body: `{"config":"a: 1","priority":7}`, status: 202, has: []string{`"priority":7`}},
	"a job of no priority":      {method: "POST", path: "/api/v1/jobs", body: `{"config":"a: 1","priority":1000000000}`, status: 400, code: iv, has: []string{"must lie between"}},
	"a job without a config":    {method: "POST", path: "/api/v1/jobs", body: `{}`, status: 400, code: iv},

	"runs are tagged":                   {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["done","live"],"action":"tag","tags":{"team":"z"}}`, status: 200, has: []string{`"state":"done"`, `"changed":2`, `"token":"`, `"problems":[]`}},
	"runs of a filter are archived":     {method: "POST", path: "/api/v1/runs/bulk", body: `{"where":{"filter":"status = finished","expected":1},"action":"archive"}`, status: 200, has: []string{`"changed":1`}},
	"other runs match than expected":    {method: "POST", path: "/api/v1/runs/bulk", body: `{"where":{"filter":"status = finished","expected":2},"action":"delete"}`, status: 409, code: cf, has: []string{`"expected":2`, `"matched":1`}},
	"a filter without how many":         {method: "POST", path: "/api/v1/runs/bulk", body: `{"where":{},"action":"delete"}`, status: 400, code: iv, has: []string{"where.expected"}},
	"ids and a filter":                  {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["done"],"where":{"expected":1},"action":"delete"}`, status: 400, code: iv},
	"runs are moved nowhere":            {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["done"],"action":"move"}`, status: 400, code: iv, has: []string{"experiment_id"}},
	"runs are moved to nothing":         {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["done"],"action":"move","experiment_id":"nope"}`, status: 404, code: nf},
	"runs there are not are changed":    {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["nope","done"],"action":"delete"}`, status: 404, code: nf, has: []string{`"missing":["nope"]`}},
	"runs are tagged with nothing":      {method: "POST", path: "/api/v1/runs/bulk", body: `{"ids":["done"],"action":"tag"}`, status: 400, code: iv, has: []string{"tags"}},
	"changes are listed":                {method: "GET", path: "/api/v1/undo", status: 200, has: []string{`"items":[{"token":"UNDO","action":"archive"`}},
	"a change is undone":                {method: "POST", path: "/api/v1/undo/UNDO", body: `{}`, status: 200, has: []string{`"state":"undone"`, `"restored":1`}},
	"nothing is undone":                 {method: "POST", path: "/api/v1/undo/nope", body: `{}`, status: 404, code: nf},
	"an undo is given up":               {method: "DELETE", path: "/api/v1/undo/UNDO", status: 204},
	"an undo there is not is given up":  {method: "DELETE", path: "/api/v1/undo/nope", status: 404, code: nf},
	"a run is removed in an odd way":    {method: "DELETE", path: "/api/v1/runs/done?purge=1", status: 400, code: iv},
	"folders are listed":                {method: "GET", path: "/api/v1/folders", status: 200, has: []string{`"items":[]`}},
	"a folder is moved":                 {method: "PATCH", path: "/api/v1/folders", body: `{"from":"","to":"team/a"}`, status: 200, has: []string{`{"experiments":1}`}},
	"a folder there is not is moved":    {method: "PATCH", path: "/api/v1/folders", body: `{"from":"x","to":"y"}`, status: 404, code: nf},
	"an experiment in a folder":         {method: "POST", path: "/api/v1/experiments", body: `{"name":"f","folder":"team/a"}`, status: 201, has: []string{`"folder":"team/a"`}},
	"an experiment in an odd folder":    {method: "POST", path: "/api/v1/experiments", body: `{"name":"f","folder":"a//b"}`, status: 400, code: iv, has: []string{"team/project"}},
	"an experiment is put elsewhere":    {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"folder":"b","primary_metric":"eval/f1"}`, status: 200, has: []string{`"folder":"b"`, `"primary_metric":"eval/f1"`}},
	"experiments of a folder":           {method: "GET", path: "/api/v1/experiments?folder=x", status: 200, has: []string{`"items":[]`}},
	"a run is made a part of another":   {method: "PATCH", path: "/api/v1/runs/live", body: `{"parent_id":"done"}`, status: 200, has: []string{`"parent_id":"done"`}},
	"a run is made a part of itself":    {method: "PATCH", path: "/api/v1/runs/live", body: `{"parent_id":"live"}`, status: 400, code: iv, has: []string{"itself"}},
	"a run of another":                  {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","parent_id":"done"}`, status: 201, has: []string{`"parent_id":"done"`}},
	"a run is moved to nothing":         {method: "PATCH", path: "/api/v1/runs/live", body: `{"experiment_id":"nope"}`, status: 404, code: nf},
	"a window of runs":                  {method: "GET", path: "/api/v1/runs/search?offset=1&order_by=name&vary=5", status: 200, has: []string{`"total":2`, `"offset":1`, `"snapshot":"`, `"revision":`}},
	"a table of runs":                   {method: "POST", path: "/api/v1/runs/search", body: `{"form":"table","columns":["status"],"order_by":["name"]}`, status: 200, has: []string{`"rows":{"id":["live","done"]`, `"values":[["running","finished"]]`, `"items":[]`}},
	"a window of an old snapshot":       {method: "GET", path: "/api/v1/runs/search?offset=1&snapshot=x", status: 409, code: cf, has: []string{`"reason":"snapshot"`}},
	"a window at an odd place":          {method: "POST", path: "/api/v1/runs/search", body: `{"offset":-1}`, status: 400, code: iv, has: []string{"offset"}},
	"runs in an odd form":               {method: "POST", path: "/api/v1/runs/search", body: `{"form":"list"}`, status: 400, code: iv, has: []string{"want table"}},
	"columns that differ":               {method: "GET", path: "/api/v1/runs/columns?varies=true&limit=1", status: 200, has: []string{`"primary":""`, `"items":[]`}},
	"samples of two runs":               {method: "GET", path: "/api/v1/compare/samples?a=done&b=done", status: 200, has: []string{`"rows":0`, `"inference":null`, `"items":[]`}},
	"a run's environment":               {method: "GET", path: "/api/v1/runs/done/environment", status: 200, has: []string{`"device":""`, `"environment":{}`}},
	"an environment that is not there":  {method: "GET", path: "/api/v1/runs/live/environment", status: 200, has: []string{`"rows":0`}},
	"an environment of no run":          {method: "GET", path: "/api/v1/runs/nope/environment", status: 404, code: nf},
	"rows of two runs":                  {method: "GET", path: "/api/v1/compare/rows?a=done&b=done", status: 200},
	"rows by an odd column":             {method: "GET", path: "/api/v1/compare/rows?a=done&b=done&where=x", status: 400, code: iv, has: []string{"the columns are label"}},
	"samples of one run":                {method: "GET", path: "/api/v1/compare/samples?a=done", status: 400, code: iv, has: []string{"b is missing"}},
	"samples of a run without any":      {method: "GET", path: "/api/v1/compare/samples?a=done&b=live", status: 404, code: nf},
	"samples of an odd arm":             {method: "GET", path: "/api/v1/compare/samples?a=done&b=done&a_arm=C", status: 400, code: iv, has: []string{"want A or B"}},
	"samples in an odd way":             {method: "GET", path: "/api/v1/compare/samples?a=done&b=done&show=most", status: 400, code: iv},
	"a sample's history":                {method: "GET", path: "/api/v1/samples/history?key=x", status: 200, has: []string{`"items":[]`, `"scanned":1`, `"next_cursor":""`}},
	"a history of nothing":              {method: "GET", path: "/api/v1/samples/history", status: 400, code: iv, has: []string{"key is missing"}},
	"a query is answered":               {method: "POST", path: "/think", body: `{"query":"q"}`, status: 200, has: []string{`"verdict":"ALLOW"`, `"answer":"Four."`}},
	"a query is answered under v1":      {method: "POST", path: "/api/v1/think", body: `{"query":"q"}`, status: 200, has: []string{`"request":7`, `"outcome":"answered"`}},
	"a query with an unknown field":     {method: "POST", path: "/think", body: `{"question":"q"}`, status: 400, code: iv, has: []string{"question"}},
	"what waits for a person":           {method: "GET", path: "/api/v1/escalations", status: 200, has: []string{`"request":5`, "may I?"}},
	"a query that is decided on":        {method: "POST", path: "/api/v1/escalations/5/decision", body: `{"decision":"allow","note":"n"}`, status: 204},
	"a query that does not wait":        {method: "POST", path: "/api/v1/escalations/6/decision", body: `{"decision":"allow","note":"n"}`, status: 404, code: nf},
	"views are listed":                  {method: "GET", path: "/api/v1/views", status: 200, has: []string{`"name":"mine"`, `"revision":1`}},
	"views of another folder":           {method: "GET", path: "/api/v1/views?folder=x", status: 200, has: []string{`"items":[]`}},
	"a view is saved":                   {method: "POST", path: "/api/v1/views", body: `{"name":"v","folder":"a/b","body":[1, "<é>"]}`, status: 201, has: []string{`"body":[1, "<é>"]}`, `"folder":"a/b"`}},
	"a view without a body":             {method: "POST", path: "/api/v1/views", body: `{"name":"v"}`, status: 400, code: iv, has: []string{"body is missing"}},
	"a view whose name is taken":        {method: "POST", path: "/api/v1/views", body: `{"name":"mine","experiment":"EXP","body":{}}`, status: 409, code: cf, has: []string{`"details":{"id":"VIEW"}`}},
	"a view of the same name elsewhere": {method: "POST", path: "/api/v1/views", body: `{"name":"mine","body":{}}`, status: 201},
	"a view of a missing experiment":    {method: "POST", path: "/api/v1/views", body: `{"name":"v","experiment":"nope","body":{}}`, status: 404, code: nf},
	"a view that is too large":          {method: "POST", path: "/api/v1/views", body: `{"name":"v","body":"` + strings.Repeat("x", 64<<10) + `"}`, status: 413, code: tl},
	"a view in an odd folder":           {method: "POST", path: "/api/v1/views", body: `{"name":"v","folder":"a//b","body":{}}`, status: 400, code: iv, has: []string{"team/project"}},
	"one view":                          {method: "GET", path: "/api/v1/views/VIEW", status: 200, has: []string{`"body":{ "a":1.0}}`, `"experiment":"EXP"`}},
	"a view there is not":               {method: "GET", path: "/api/v1/views/nope", status: 404, code: nf},
	"a view is replaced":                {method: "PUT", path: "/api/v1/views/VIEW", body: `{"name":"v","body":{}}`, headers: []string{`If-Match: "1"`}, status: 200, has: []string{`"revision":2`, `"experiment":""`, `"body":{}}`}},
	"a view is replaced by half of one": {method: "PUT", path: "/api/v1/views/VIEW", body: `{"name":"v"}`, status: 400, code: iv},
	"a view is renamed":                 {method: "PATCH", path: "/api/v1/views/VIEW", body: `{"name":"w"}`, headers: []string{"If-Match: *"}, status: 200, has: []string{`"name":"w"`, `"body":{ "a":1.0}}`}},
	"a view changed since":              {method: "PATCH", path: "/api/v1/views/VIEW", body: `{"name":"w"}`, headers: []string{`If-Match: "7"`}, status: 412, code: codePrecondition, has: []string{`"details":{"revision":1}`, "read it again"}},
	"a view at an odd revision":         {method: "PUT", path: "/api/v1/views/VIEW", body: `{"name":"w","body":1}`, headers: []string{"If-Match: seven"}, status: 400, code: iv, has: []string{"in quotes"}},
	"a missing view is changed":         {method: "PATCH", path: "/api/v1/views/nope", body: `{}`, status: 404, code: nf},
	"a view changed since is removed":   {method: "DELETE", path: "/api/v1/views/VIEW", headers: []string{`If-Match: "2"`}, status: 412, code: codePrecondition},
	"a view is removed":                 {method: "DELETE", path: "/api/v1/views/VIEW", headers: []string{`If-Match: "1"`}, status: 204},
	"a missing view is removed":         {method: "DELETE", path: "/api/v1/views/nope", status: 404, code: nf},

	"modules are listed":         {method: "GET", path: "/api/v1/modules", status: 200, has: []string{"MOD"}},
	"a module is added":          {method: "POST", path: "/api/v1/modules", body: "\x00asm two", headers: []string{"Content-Type: application/wasm"}, status: 201, has: []string{`"size":8`}},
	"a module in a form":         {method: "POST", path: "/api/v1/modules", body: "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"m.wasm\"\r\n\r\n\x00asm 3\r\n--B--\r\n", headers: []string{"Content-Type: multipart/form-data; boundary=B"}, status: 201},
	"a form without a module":    {method: "POST", path: "/api/v1/modules", body: "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n--B--\r\n", headers: []string{"Content-Type: multipart/form-data; boundary=B"}, status: 400, code: iv},
	"a module that fails":        {method: "POST", path: "/api/v1/modules", body: "MZ", headers: []string{"Content-Type: application/wasm"}, status: 400, code: iv, has: []string{`"checks":[{"name":"preflight"`}},
	"a module that is too large": {method: "POST", path: "/api/v1/modules", body: strings.Repeat("x", 1001), headers: []string{"Content-Type: application/wasm"}, status: 413, code: tl},
	"a module of no bytes":       {method: "POST", path: "/api/v1/modules", headers: []string{"Content-Type: application/wasm"}, status: 400, code: iv},
	"a module as text":           {method: "POST", path: "/api/v1/modules", body: "x", headers: []string{"Content-Type: text/plain"}, status: 415, code: codeMedia},
	"one module":                 {method: "GET", path: "/api/v1/modules/MOD", status: 200, has: []string{"MOD"}},
	"a module there is not":      {method: "GET", path: "/api/v1/modules/nope", status: 404, code: nf},
	"a module's bytes":           {method: "GET", path: "/api/v1/modules/MOD/wasm", status: 200, has: []string{"\x00asm one"}},
	"bytes of a missing module":  {method: "GET", path: "/api/v1/modules/nope/wasm", status: 404, code: nf},
	"a module is hidden":         {method: "DELETE", path: "/api/v1/modules/MOD", status: 204},
	"a missing module is hidden": {method: "DELETE", path: "/api/v1/modules/nope", status: 404, code: nf},

	"events after an id that is none": {method: "GET", path: "/api/v1/events?last_event_id=x", status: 400, code: iv},

	"events named otherwise": {method: "GET", path: "/api/v1/events?named=yes", status: 400, code: iv},

	"series of no run":               {method: "POST", path: "/api/v1/series", body: `{"name":"m","runs":[]}`, status: 400, code: iv, has: []string{"runs: 0, want 1 to 200"}},
	"series of no metric":            {method: "POST", path: "/api/v1/series", body: `{"runs":["done"]}`, status: 400, code: iv, has: []string{"name is missing"}},
	"series of too few points":       {method: "POST", path: "/api/v1/series", body: `{"name":"m","runs":["done"],"max_points":7}`, status: 400, code: iv},
	"series that end before":         {method: "POST", path: "/api/v1/series", body: `{"name":"m","runs":["done"],"from":2,"to":1}`, status: 400, code: iv, has: []string{"from 2 is after to 1"}},
	"series of a metric and several": {method: "POST", path: "/api/v1/series", body: `{"name":"m","names":["n"],"runs":["done"]}`, status: 400, code: iv, has: []string{"both name and names"}},
	"series of an empty name":        {method: "POST", path: "/api/v1/series", body: `{"names":["m",""],"runs":["done"]}`, status: 400, code: iv, has: []string{"names: one is empty"}},
	"series of too many metrics":     {method: "POST", path: "/api/v1/series", body: `{"names":["m"` + strings.Repeat(`,"n"`, 200) + `],"runs":["done"]}`, status: 400, code: iv, has: []string{"201 names of 1 runs are 201 series, want at most 200"}},
	"series of several without them": {method: "POST", path: "/api/v1/series", body: `{"names":["none","no"],"runs":["done"]}`, status: 200, has: []string{`{"items":[]}`}},
	"series of runs without them":    {method: "POST", path: "/api/v1/series", body: `{"name":"none","runs":["done","nope"]}`, status: 200, has: []string{`{"name":"none","items":[]}`}},

	"an unknown route":          {method: "GET", path: "/api/v1/nope", status: 404, code: nf},
	"the bare API path":         {method: "GET", path: "/api", status: 404, code: nf},
	"a route by another method": {method: "POST", path: "/api/v1/info", status: 405, code: codeMethod},
	"a page by another method":  {method: "POST", path: "/runs/x", status: 405, code: codeMethod},
	"a foreign host":            {method: "GET", path: "/api/v1/runs/x", headers: []string{"Host: evil.example"}, status: 403, code: codeForbidden},
}

func TestRoutes(t *testing.T) {
	for name, sc := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t, nil).check(t, sc)
		})
	}
}

func TestEveryRouteHasAScenario(t *testing.T) {
	w := newWorld(t, nil)
	seen := map[string]bool{}
	for _, sc := range scenarios {
		for _, r := range w.routes() {
			path, _, _ := strings.Cut(sc.path, "?")
			if r.method == sc.method && matches(r.path, path) && sc.status == r.status {
				seen[r.method+" "+r.path] = true
			}
		}
	}
	seen["GET /api/v1/events"] = true                  // sse_test.go
	seen["GET /api/v1/runs/:id/metrics/series"] = true // TestASeriesIsThinned…
	seen["DELETE /api/v1/experiments/:id"] = true      // TestAnExperimentIsRemovedWhenItsRunsEnded
	seen["POST /api/v1/comments/:id/restore"] = true   // TestACommentIsMadeOnceDeletedAndTakenBack
	for _, r := range w.routes() {
		if strings.HasPrefix(r.path, "/api/v1/reports") || strings.HasPrefix(r.path, "/shared/") {
			continue // TestAReportIsWrittenSharedAndWithdrawn goes through each of them: links have secrets that it must be told
		}
		if !seen[r.method+" "+r.path] {
			t.Errorf("no scenario of success for %s %s", r.method, r.path)
		}
	}
}

func matches(pattern, path string) bool {
	ps, xs := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, p := range ps {
		if p == "*" {
			return len(xs) > i
		}
		if i >= len(xs) || p != xs[i] && !strings.HasPrefix(p, ":") {
			return false
		}
	}
	return len(ps) == len(xs)
}

func TestAnExperimentIsRemovedWhenItsRunsEnded(t *testing.T) {
	w := newWorld(t, nil)
	w.save(experiments.Run{ID: "live", Name: "live", Status: experiments.Failed})
	w.check(t, scenario{method: "DELETE", path: "/api/v1/experiments/EXP", status: 204})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/done", status: 404, code: nf})
}

func TestPartsThatAreMissingAreUnavailable(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Jobs, o.Modules, o.Reporter, o.Notebooks, o.Desk = nil, nil, nil, nil, nil })
	for _, sc := range []scenario{
		{method: "POST", path: "/api/v1/jobs", body: `{"config":"a"}`},
		{method: "POST", path: "/api/v1/plan", body: `{"config":"a"}`},
		{method: "PATCH", path: "/api/v1/runs/live", body: `{"priority":1}`},
		{method: "GET", path: "/api/v1/queue"},
		{method: "GET", path: "/api/v1/notebooks"},
		{method: "GET", path: "/api/v1/notebooks/a.md"},
		{method: "GET", path: "/api/v1/notebooks/history?name=a.md"},
		{method: "GET", path: "/api/v1/notebooks/cells?name=a.md"},
		{method: "PUT", path: "/api/v1/notebooks/cells", body: "{}"},
		{method: "POST", path: "/api/v1/comments", body: `{"book":"a.md","cell":"a","author":"x","text":"x"}`},
		{method: "POST", path: "/api/v1/notebooks/state", body: `{"name":"a.md","text":""}`},
		{method: "GET", path: "/api/v1/runs/done/log"},
		{method: "POST", path: "/api/v1/runs/live/cancel"},
		{method: "POST", path: "/api/v1/runs/done/resume"},
		{method: "POST", path: "/api/v1/modules", body: "x", headers: []string{"Content-Type: application/wasm"}},
		{method: "GET", path: "/api/v1/runs/done/report"},
	} {
		sc.status, sc.code = 503, un
		w.check(t, sc)
	}
}

func TestInternalDetailIsLoggedAndNotSent(t *testing.T) {
	w := newWorld(t, nil)
	w.save(experiments.Run{ID: "u", Name: "unreportable", Status: experiments.Finished})
	rec := w.do("GET", "/api/v1/runs/u/report", "")
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") || !strings.Contains(rec.Body.String(), `"code":"internal"`) {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if !strings.Contains(w.log.String(), "secret path /var/x") {
		t.Errorf("the log lacks the detail: %s", w.log)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	w := newWorld(t, nil)
	w.store.Close()
	w.check(t, scenario{method: "GET", path: "/api/v1/experiments", status: 503, code: un})
}

func TestNonFiniteValuesLeaveAsNull(t *testing.T) {
	w := newWorld(t, nil)
	w.check(t, scenario{method: "POST", path: "/api/v1/runs/live/metrics", status: 204,
		body: `{"a":[{"step":1,"time":5,"value":1.5},{"step":2,"time":6,"value":null}],"b":[{"step":1,"time":5,"value":"-Infinity"}]}`})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/live/metrics/series?name=a", status: 200, has: []string{`{"name":"a","points":[[1,5,1.5],[2,6,null]],"total":2}`}})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/live/metrics", status: 200, has: []string{`{"name":"a","count":2,"last":{"step":2,"time":6,"value":null},"finite":1,`}})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/live", status: 200, has: []string{`"summary":{"a":null,"b":null}`}})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs", status: 200, has: []string{`"summary":{"a":null,"b":null}`}})
}

func TestListsGoOnAtTheirCursor(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 5 {
		w.save(experiments.Run{ID: fmt.Sprint("p", i), Name: "p", Status: experiments.Finished})
	}
	var ids []string
	path := "/api/v1/runs?limit=3"
	for range 3 {
		var page list[experiments.Run]
		decode(t, w.do("GET", path, ""), &page)
		for _, r := range page.Items {
			ids = append(ids, r.ID)
		}
		if page.Next == "" {
			break
		}
		path = "/api/v1/runs?limit=3&cursor=" + page.Next
	}
	if got := strings.Join(ids, " "); got != "p4 p3 p2 p1 p0 done live" {
		t.Errorf("got %s", got)
	}
}
