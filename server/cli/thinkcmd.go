package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/kinds/convert"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/runtime/hub"
	"triality/runtime/memory"
	"triality/server/api"
	"triality/server/audit"
	"triality/server/store"
	"triality/server/think"
	"triality/server/worker"
)

// thinkFlags are those of serve that are about queries.
type thinkFlags struct {
	model, format, instruction *string
	length                     *int
	idle, time                 *time.Duration
}

func serveThinkFlags(fs *flag.FlagSet) thinkFlags {
	return thinkFlags{
		model:       fs.String("think", "", "answer queries at POST /think by this `model`: a folder, org/name@revision of the Hub, or the id of a run whose last model it is (docs/think.md)"),
		format:      fs.String("think-format", "", "of its prompts: instruction, chat or completion (default: a run's own; of a folder chat where it has a template)"),
		instruction: fs.String("think-instruction", "", "`text` under which queries are judged (default: the sample data's, in the query's language)"),
		length:      fs.Int("think-max-length", 1024, "tokens of a query's prompt at most"),
		idle:        fs.Duration("think-idle", 10*time.Minute, "after which the model is unloaded when nobody asks"),
		time:        fs.Duration("think-time", 5*time.Minute, "that a query may take once its turn has come"),
	}
}

// thinker is what serve has of queries; nil fields: nothing.
type thinker struct {
	gate    *think.Gate
	waiting *think.Waiting
	log     *audit.Log
}

// answers and escalations are the parts as the API takes them, which knows no nil pointers.
func (t *thinker) answers() api.Think {
	if t.gate == nil {
		return nil
	}
	return t.gate
}

func (t *thinker) escalations() api.Escalations {
	if t.waiting == nil {
		return nil
	}
	return t.waiting
}

func (t *thinker) Close() error {
	if t.gate != nil {
		t.gate.Close()
	}
	if t.log != nil {
		return t.log.Close()
	}
	return nil
}

// open opens the gate where a model is named, and the queue of escalations where it is or some wait.
func (f thinkFlags) open(ctx context.Context, e *env, st *store.Store, data, root string, log *slog.Logger) (t *thinker, err error) {
	t = &thinker{}
	folder := filepath.Join(data, "escalations")
	some, err := think.AnyWaiting(folder)
	if err != nil || *f.model == "" && !some {
		return t, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if t.log, err = audit.Open(auditFolder(data), log); err != nil {
		if *f.model == "" { // what waits can wait longer
			log.Error("escalations wait, and cannot be decided on", "error", err)
			err = nil
		}
		return t, err
	}
	if t.waiting, err = think.OpenWaiting(folder, t.log); err != nil {
		return t, err
	}
	go t.waiting.ExpireHourly(ctx, log)
	if *f.model == "" {
		return t, nil
	}
	switch {
	case *f.idle <= 0 || *f.time <= 0:
		return t, usagef("--think-idle and --think-time: want durations, such as 10m")
	case *f.length < 16:
		return t, usagef("--think-max-length is %d, must be at least 16", *f.length)
	}
	models := thinkModels{flags: f, store: st, root: root}
	if models.own, err = models.named(ctx, e); err != nil {
		return t, err
	}
	t.gate = think.New(think.Options{Log: t.log, Waiting: t.waiting, Resolve: models.resolve, Idle: *f.idle, Time: *f.time, Logger: log})
	return t, nil
}

// thinkModels finds models by the names that queries give them.
type thinkModels struct {
	flags thinkFlags
	store *store.Store
	root  string // --data-root
	own   think.Order
}

func (m *thinkModels) order(name, dir string) think.Order {
	return think.Order{
		Name: name, Dir: dir, Format: *m.flags.format, MaxLength: *m.flags.length, MaxNew: think.MaxNew, Device: "auto",
		Numbers: config.Default().Numbers(), Instruction: *m.flags.instruction, Root: m.root, Memory: worker.RoomOf(memory.Machine()),
	}
}

// named is the model of --think: a run's, a folder's or one of the Hub. All but its weights is read, so that what cannot work
// is said at once.
func (m *thinkModels) named(ctx context.Context, e *env) (think.Order, error) {
	name := *m.flags.model
	ofHub := false // in whose cache it lies, to which a data root does not hold
	order, err := m.ofRun(ctx, name)
	if experiments.CodeOf(err) == experiments.CodeNotFound && err != nil {
		dir, locateErr := e.modelFolder(ctx, name)
		if locateErr != nil {
			return order, locateErr
		}
		order, err, ofHub = m.order(name, dir), nil, dir != name
	}
	if err != nil {
		return order, err
	}
	if order.Dir, err = filepath.Abs(order.Dir); err != nil {
		return order, err
	}
	if m.root != "" && !ofHub {
		if real, err := disk.Real(order.Dir); err != nil || !disk.Below(real, m.root) {
			return order, experiments.Errorf(experiments.CodeInvalid, "--think: %s lies outside %s, to which this server keeps", name, m.root)
		}
	}
	return order, pipeline.CheckJudge(pipeline.Source{Name: order.Name, Dir: order.Dir}, judgeOptions(order), &pipeline.Engine{})
}

// resolve is the model that a query names.
func (m *thinkModels) resolve(ctx context.Context, name string) (think.Order, error) {
	if name == "" {
		return m.own, nil
	}
	order, err := m.ofRun(ctx, name)
	if experiments.CodeOf(err) != experiments.CodeNotFound || err == nil {
		return order, err
	}
	if m.root == "" {
		return order, experiments.Errorf(experiments.CodeNotFound, "model %.100q: no run has this id; a folder is taken only by a server with --data-root", name)
	}
	dir := name
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(m.root, dir)
	}
	// What cannot be followed is refused in the same words: others would say what lies outside.
	if real, err := disk.Real(dir); err != nil || !disk.Below(real, m.root) {
		return order, experiments.Errorf(experiments.CodeNotFound, "model %.100q: neither a run nor a folder below the data root", name)
	}
	return m.order(name, dir), nil
}

// ofRun is the model that a run made last.
func (m *thinkModels) ofRun(ctx context.Context, id string) (think.Order, error) {
	run, err := m.store.Run(ctx, id)
	if err != nil {
		return think.Order{}, err
	}
	dir := ""
	for _, step := range run.Steps {
		for _, sub := range []string{"merged", "model"} { // as finetune and replace, burnin, merge name what they give
			at := filepath.Join(step.Output, sub)
			if !filepath.IsAbs(at) && run.Job != nil {
				at = filepath.Join(run.Job.Dir, at)
			}
			if step.Status != experiments.Finished && step.Status != experiments.Reused || step.Output == "" {
				continue
			}
			if _, err := disk.Stat(filepath.Join(at, "config.json")); err == nil {
				dir = at
			}
		}
	}
	if dir == "" {
		return think.Order{}, experiments.Errorf(experiments.CodeInvalid, "run %s has no model: none of its finished steps has made one that is there still", id)
	}
	order := m.order(run.Name, dir)
	if spec, err := pipeline.ParseSpec("config", []byte(run.Config)); err == nil {
		order.Numbers, order.Device = spec.Numbers(), spec.Device
		if order.Format == "" {
			order.Format = formatOf(spec)
		}
	}
	return order, nil
}

// formatOf is the format of the rows that a run was trained on; empty where it says none, or several.
func formatOf(spec pipeline.Spec) string {
	if spec.Graph == nil {
		return spec.Data.FormatType
	}
	format := ""
	for _, step := range spec.Graph.Steps {
		if b, ok := step.Body.(*convert.Body); ok {
			if format != "" && format != b.Data.FormatType {
				return ""
			}
			format = b.Data.FormatType
		}
	}
	return format
}

// writing is the instruction under which texts are written.
const writing = "Answer the request below. Write, in this order and with nothing between: <think-task> what is asked and how to do it </think-task>" +
	"<think-safety> what could do harm </think-safety><think-policy> what is permitted </think-policy><final> the answer, the only part that is shown </final>"

// judging are the sample data's instructions.
var judging = map[string]string{
	"en": "Classify the request as ALLOW, ESCALATION, DENY or REFUSE.",
	"ja": "次の依頼を ALLOW・ESCALATION・DENY・REFUSE のいずれかに分類してください。",
}

func judgeOptions(o think.Order) pipeline.JudgeOptions {
	return pipeline.JudgeOptions{
		Format: o.Format, MaxLength: o.MaxLength, MaxNew: o.MaxNew, Writing: writing,
		Judging: func(query string) string {
			if o.Instruction != "" {
				return o.Instruction
			}
			return judging[think.LanguageOf(query)]
		},
	}
}

// ThinkMain is the program of a model's process; it gives the exit status.
func ThinkMain(stdin io.Reader, stdout io.Writer) int {
	signal.Ignore(os.Interrupt) // the terminal's is for the server, whose end ends this
	return think.Main(stdin, stdout, openThinkModel)
}

// judged is a model of the engine's.
type judged struct {
	judge *pipeline.Judge
	hash  string
	close func() error
}

func openThinkModel(o think.Order) (m think.Model, err error) {
	if o.Root != "" {
		cache, err := hub.FromEnv(os.Getenv)
		if err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "%w", err)
		}
		if err := disk.Confine(o.Root, cache.CacheDir); err != nil {
			return nil, err
		}
	}
	cfg := config.Default()
	cfg.Device = o.Device
	n := o.Numbers
	cfg.Model.LoadIn8bit, cfg.Model.Int8Threshold, cfg.Model.Quantization, cfg.Model.AllowUnknownConfig = n.LoadIn8bit, n.Int8Threshold, n.Quantization, n.AllowUnknownConfig
	cfg.Training.FP16, cfg.Training.BF16, cfg.Training.TF32 = n.FP16, n.BF16, n.TF32
	dev, _, err := pipeline.OpenDevice(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dev.Close())
		}
	}()
	hash, err := pipeline.ModelHash(o.Dir)
	if err != nil {
		return nil, err
	}
	engine := &pipeline.Engine{Device: dev, Storage: pipeline.StorageOn(dev, cfg), Config: pipeline.ModelConfig(cfg), Room: pipeline.Room{Process: min(o.Memory, freeMemory(o.Memory))}}
	j, err := engine.OpenJudge(pipeline.Source{Name: o.Name, Dir: o.Dir}, judgeOptions(o))
	var short *experiments.Shortage
	if errors.As(err, &short) { // of a machine that others use too
		err = experiments.Errorf(experiments.CodeUnavailable, "model %s: %w", o.Name, err)
	}
	if err != nil {
		return nil, err
	}
	return &judged{j, hash, dev.Close}, nil
}

// freeMemory is what the machine can give now; otherwise where it does not say.
func freeMemory(otherwise int64) int64 {
	if free, total := worker.FreeMemory(); total > 0 {
		return free
	}
	return otherwise
}

func (j *judged) Hash() string { return j.hash }

func (j *judged) Close() error { return errors.Join(j.judge.Close(), j.close()) }

func (j *judged) Judge(ctx context.Context, query string) (think.Judgement, error) {
	got, err := j.judge.Judge(ctx, query)
	out := think.Judgement{Verdict: got.Verdict, Scores: got.Scores}
	if h := got.Heads; h != nil {
		out.Heads = &think.Heads{Safety: h.Safety, Authority: h.Authority, Verdict: h.Verdict}
	}
	return out, err
}

func (j *judged) Write(ctx context.Context, query string, d think.Drawing, emit func(string)) error {
	return j.judge.Write(ctx, query, pipeline.Drawing{MaxNew: d.MaxNew, Temperature: d.Temperature, TopP: d.TopP, Seed: d.Seed}, emit)
}
