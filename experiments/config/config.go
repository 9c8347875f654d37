// Package config is the pipeline configuration: one struct, its defaults, one strict loader and the
// reference page made from both.
package config

import "triality/experiments"

// Pipeline is a pipeline YAML. The doc tags make the reference page; defaults are in Default.
type Pipeline struct {
	Name        string   `yaml:"name" doc:"experiment that the run is filed under"`
	OutputDir   string   `yaml:"output_dir" path:"output" doc:"folder for every step's output; made when missing"`
	Seed        uint64   `yaml:"seed" doc:"seed of everything that has none of its own below"`
	SeedSplit   uint64   `yaml:"seed_split" json:",omitempty" doc:"seed of the split into train, val and test; 0: seed"`
	SeedTrain   uint64   `yaml:"seed_train" json:",omitempty" doc:"seed of new weights, of the shuffling and of the dropout, in pre-training, finetune and replace; 0: seed"`
	SeedEval    uint64   `yaml:"seed_eval" json:",omitempty" doc:"seed of the A/B test's resampling and of the texts that it has written; 0: seed"`
	Repeats     int      `yaml:"repeats" json:",omitempty" range:"1..100" doc:"trainings of the arms that are trained, on one split: the first has seed_train, the next seed_train + 1 and so on; the verdict is then over seeds, rows and groups together"`
	Device      string   `yaml:"device" doc:"auto, cpu or cuda; auto takes an NVIDIA card where there is one that works, and says which device it is"`
	Threads     int      `yaml:"threads" range:"0..1024" doc:"worker threads of the cpu device; 0 is all cores"`
	MemoryLimit Bytes    `yaml:"device_memory_limit" doc:"most memory of the card that cuda takes, such as 11GiB; what the driver takes for itself, some hundred MiB, comes on top; 0: all it has"`
	Data        Data     `yaml:"data" doc:"convert: rows to a Hugging Face dataset"`
	Model       Model    `yaml:"model" doc:"the model that is fine-tuned"`
	Training    Training `yaml:"training" doc:"finetune: names and meanings of Hugging Face TrainingArguments and PEFT LoraConfig"`
	SO8T        SO8T     `yaml:"so8t" doc:"replace: the fine-tuned model becomes an SO8T model"`
	Test        Test     `yaml:"test" doc:"abtest: model A against model B on the held-out split"`
	Report      Report   `yaml:"report" doc:"report: one HTML file"`
}

// Data configures convert.
type Data struct {
	InputPath  string  `yaml:"input_path" path:"input" doc:"a .jsonl file, a folder of four_class_*.jsonl files, or a glob pattern"`
	FormatType string  `yaml:"format_type" doc:"instruction, chat (the tokenizer's own chat template) or completion"`
	MaxLength  int     `yaml:"max_length" range:"16..1048576" doc:"longest row in tokens; of a longer one the input is cut at its end, the answer never"`
	ValRatio   float64 `yaml:"val_ratio" range:"0..<1" doc:"share of the groups in the validation split"`
	TestRatio  float64 `yaml:"test_ratio" range:"0..<1" doc:"share of the groups in the test split"`
	Strict     bool    `yaml:"strict" doc:"refuse a file with a bad line instead of skipping the line and saying so; holds for every file of rows: input, test data, pre-training text"`
	// Audit is left out of keys where it is unset.
	Audit string `json:",omitempty" yaml:"audit" doc:"what is done about data of persons and secrets in the rows: off (as when empty), warn counts and names them, redact writes [EMAIL] and the like in their place, refuse ends with the first places"`
}

// Model names the base model.
type Model struct {
	BaseModel          string  `yaml:"base_model" path:"model" doc:"folder in Hugging Face form: config.json, model.safetensors, tokenizer.json; or, where there is no such folder, org/name or org/name@revision of the Hub, whose commit is kept with the run"`
	LoadIn8bit         bool    `yaml:"load_in_8bit" doc:"hold the layers' linear modules in int8 after LLM.int8(), in training and in every model that is compared; written models are not quantized"`
	Quantization       string  `yaml:"quantization" doc:"fp8: hold the layers' linear modules in e4m3 and multiply by activations rounded to e4m3 as they come, in training and in every model that is compared; its speed does not depend on the data, as that of load_in_8bit does. none: as load_in_8bit says. Written models are not quantized"`
	AllowUnknownConfig bool    `yaml:"allow_unknown_config" doc:"go on without the fields of a model's config.json that the engine does not know and that may change what the model computes, and train without the dropouts it names; else they are refused by name"`
	Int8Threshold      float64 `yaml:"llm_int8_threshold" range:"0..1000000" doc:"magnitude from which an activation's column is an outlier, which int8 leaves in full; 0: none is"`
	Create             Create  `yaml:"create" doc:"makes base_model once when the folder is missing; leave out to require it"`
}

// Create describes a base model made on the spot: `triality model init`, then `triality pretrain`.
type Create struct {
	Shape        string  `yaml:"shape" doc:"named shape, see triality model init --help; empty: never create"`
	VocabSize    int     `yaml:"vocab_size" range:"300..1000000" doc:"entries of the byte-level BPE tokenizer trained on the text"`
	Text         string  `yaml:"text" path:"input" doc:"pre-training text: a .txt or .jsonl file; empty: the requests of the training split, without labels"`
	Epochs       float64 `yaml:"num_train_epochs" range:"0..100000" doc:"passes over the text"`
	LearningRate float64 `yaml:"learning_rate" range:">0..100" doc:"peak learning rate of the pre-training"`
	BatchSize    int     `yaml:"per_device_train_batch_size" range:"1..65536" doc:"sequences a step"`
}

// Training configures finetune.
type Training struct {
	Epochs                 float64            `yaml:"num_train_epochs" range:"0.000001..100000" doc:"passes over the training split"`
	BatchSize              int                `yaml:"per_device_train_batch_size" range:"1..65536" doc:"rows a micro-batch"`
	EvalBatchSize          int                `yaml:"per_device_eval_batch_size" range:"1..65536" doc:"rows an evaluation batch"`
	GradientAccumulation   int                `yaml:"gradient_accumulation_steps" range:"1..65536" doc:"micro-batches an optimizer step; the loss is normalised by all their trained tokens"`
	Packing                bool               `yaml:"packing" doc:"put rows together until they fill data.max_length; a batch size then counts such sequences, and attention does not cross from one row into another"`
	Devices                int                `yaml:"devices" json:",omitempty" range:"1..64" doc:"devices of one machine that share the micro-batches of a step, whose number is a multiple of theirs: cards, whose gradients NCCL adds, or shares of the processor's threads. Each holds the whole model"`
	LearningRate           float64            `yaml:"learning_rate" range:">0..100" doc:"peak learning rate"`
	WeightDecay            float64            `yaml:"weight_decay" range:"0..100" doc:"AdamW's decoupled decay"`
	WarmupRatio            float64            `yaml:"warmup_ratio" range:"0..1" doc:"share of the steps with a rising learning rate"`
	Scheduler              string             `yaml:"lr_scheduler_type" doc:"cosine, linear or constant"`
	MaxGradNorm            float64            `yaml:"max_grad_norm" range:"0..1000000" doc:"clipping of the global gradient norm; 0 turns it off"`
	LoggingSteps           int                `yaml:"logging_steps" range:"1..100000000" doc:"optimizer steps between metric points"`
	SaveSteps              int                `yaml:"save_steps" range:"0..100000000" doc:"optimizer steps between checkpoints; 0: by time only"`
	SaveTotalLimit         int                `yaml:"save_total_limit" range:"0..1000000" doc:"checkpoints kept; 0 keeps all"`
	CheckpointInterval     Duration           `yaml:"checkpoint_interval" doc:"time between checkpoints, such as 5m"`
	EvalSteps              int                `yaml:"eval_steps" range:"0..100000000" doc:"optimizer steps between evaluations; 0: at the end only"`
	EvalRows               int                `yaml:"eval_rows" json:",omitempty" range:"0..100000000" doc:"rows of the validation split, spread evenly over it, whose labels each evaluation scores as the A/B test does, for eval/accuracy, eval/macro_f1, eval/log_loss and eval/ece; 0: none"`
	LoadBest               bool               `yaml:"load_best" json:",omitempty" doc:"the step's result is the weights of the best evaluation by metric_for_best, not of the last step; a checkpoint then holds those too"`
	MetricForBest          string             `yaml:"metric_for_best" json:",omitempty" doc:"what the best evaluation is best by: eval/loss, eval/accuracy, eval/macro_f1, eval/log_loss or eval/ece; which direction is better follows from it, and of equal ones the first is taken"`
	EarlyStoppingPatience  int                `yaml:"early_stopping_patience" json:",omitempty" range:"0..1000000" doc:"training ends after so many successive evaluations that were no better by metric_for_best; 0: never"`
	EarlyStoppingThreshold float64            `yaml:"early_stopping_threshold" json:",omitempty" range:"0..1000000" doc:"by how much an evaluation must be better than the best one to count as such"`
	ClassWeights           ClassWeights       `yaml:"class_weights" json:",omitempty" doc:"what rows of each class count in the training's loss: none, balanced (each class counts the same together), or a mapping such as {ALLOW: 1, DENY: 2}, where classes left out have 1; eval/loss has no weights"`
	FocalGamma             float64            `yaml:"focal_gamma" json:",omitempty" range:"0..100" doc:"gamma of the focal loss: a token's loss is multiplied by (1 − its probability)^gamma, so that what is learned already counts less; not on the cuda device; 0: off"`
	LabelSmoothing         float64            `yaml:"label_smoothing" json:",omitempty" range:"0..<1" doc:"share of the target that is spread evenly over the four classes, at the token by which an answer says its class; 0: off"`
	FP16                   bool               `yaml:"fp16" doc:"matrices and activations in float16 on the cuda device, with dynamic loss scaling; sums, norms and what is trained are float32; the cpu device computes in float32 and says so"`
	BF16                   bool               `yaml:"bf16" doc:"the same in bfloat16, without loss scaling"`
	TF32                   bool               `yaml:"tf32" doc:"round the operands of float32 matrix products to TF32 on the cuda device"`
	GradientCheckpointing  bool               `yaml:"gradient_checkpointing" doc:"compute activations again for the gradient instead of keeping them; no result changes"`
	CheckpointingPolicy    string             `yaml:"gradient_checkpointing_policy" doc:"layer keeps each layer's output alone; selective keeps the results of products and attention too"`
	Optim                  string             `yaml:"optim" doc:"adamw_torch, adamw_8bit (states in 8-bit codes), paged_adamw_32bit or paged_adamw_8bit (states in the host's memory)"`
	FinetuningType         string             `yaml:"finetuning_type" doc:"lora, or full: every weight is trained and there is no adapter"`
	LoraR                  int                `yaml:"lora_r" range:"1..65536" doc:"rank of the adapters"`
	LoraAlpha              float64            `yaml:"lora_alpha" range:">0..1000000" doc:"adapter scaling is lora_alpha / lora_r"`
	LoraDropout            float64            `yaml:"lora_dropout" range:"0..<1" doc:"dropout on the adapters' input"`
	UseRSLoRA              bool               `yaml:"use_rslora" doc:"adapter scaling is lora_alpha / √lora_r instead"`
	UseDoRA                bool               `yaml:"use_dora" doc:"weight-decomposed adapters (DoRA)"`
	LoraTargetModules      []string           `yaml:"lora_target_modules" doc:"modules that get an adapter: ends of their names, lm_head and embed_tokens among them, or all-linear (which leaves out those two), or one regular expression that whole names match, such as .*layers\\.[0-3]\\..*_proj"`
	LoraExcludeModules     []string           `yaml:"lora_exclude_modules" doc:"modules that get none all the same: ends of names, or one regular expression"`
	LoraRankPattern        map[string]int     `yaml:"lora_rank_pattern" doc:"another rank for modules, by a regular expression that their names end with, such as {down_proj: 4}"`
	LoraAlphaPattern       map[string]float64 `yaml:"lora_alpha_pattern" doc:"another alpha, likewise"`
	LoraLayersToTransform  []int              `yaml:"lora_layers_to_transform" doc:"numbers of the layers that lora_target_modules means; empty: all"`
	LoraLayersPattern      []string           `yaml:"lora_layers_pattern" doc:"what stands before the layer's number in a name; empty: anything"`
	LoraModulesToSave      []string           `yaml:"lora_modules_to_save" doc:"modules whose own weights are trained and kept with the adapter, by the ends of their names, such as lm_head and embed_tokens; the two, where tied, are so no longer"`
}

// SO8T configures replace.
type SO8T struct {
	Epochs       float64 `yaml:"num_train_epochs" range:"0..100000" doc:"passes over the training split for rotations and heads; 0 keeps the identity"`
	LearningRate float64 `yaml:"learning_rate" range:">0..100" doc:"peak learning rate of that phase"`
	BatchSize    int     `yaml:"per_device_train_batch_size" range:"1..65536" doc:"rows a micro-batch"`
	Packing      bool    `yaml:"packing" doc:"as training.packing"`
	PETLambda    float64 `yaml:"pet_lambda" range:"0..1000000" doc:"weight of the second-difference regularisation"`
	HeadWeight   float64 `yaml:"head_weight" range:"0..1000000" doc:"weight of the safety and authority losses"`
}

// Test configures abtest. Of its JSON, which keys hash, Design is no part: the step's key has it apart.
type Test struct {
	Design          experiments.Design `yaml:"design" json:"-" doc:"what the test is to show, stated before its data; its hash is kept with the result (docs/verdict.md)"`
	TestDataPath    string             `yaml:"test_data_path" path:"input" doc:"rows to test on (.jsonl or a dataset folder), checked against the training split; empty: the test split of convert"`
	ModelAPath      string             `yaml:"model_a_path" path:"model" doc:"model A, a folder or a name of the Hub; empty: model.base_model"`
	ModelBPath      string             `yaml:"model_b_path" path:"model" doc:"model B, likewise; empty: the SO8T model of replace"`
	Arms            []string           `yaml:"arms" json:"-" doc:"arms beside A and B, which answer the same rows after them and decide nothing: base, finetuned, so8t, identity (the SO8T model before its rotations and heads are trained), burned_in (the SO8T model as a plain one), 8bit (model B held in int8), or a floor: majority, naive_bayes, linear; [] for none"`
	Warmup          int                `yaml:"warmup" range:"0..1000000" doc:"rows each arm answers before timing starts"`
	TimingPasses    int                `yaml:"timing_passes" range:"1..1000" doc:"times that each row is answered for its latency, both models in turn; the answers are those of the first"`
	Resamples       int                `yaml:"bootstrap_resamples" range:"100..100000" doc:"resamples of the bootstrap behind the intervals of latencies"`
	Calibration     string             `yaml:"calibration" json:",omitempty" doc:"temperature: each model's log-probabilities of the labels are divided by the number that makes its log loss on the validation split least, before they are judged; none: they are as they are"`
	Thresholds      string             `yaml:"thresholds" json:",omitempty" doc:"what each model's thresholds are chosen for on the validation split: accuracy, macro_f1, or false_allow (the best accuracy with a share of unsafe rows allowed of at most false_allow_limit); it answers the label whose probability is the largest multiple of its threshold. none: the likeliest label"`
	FalseAllowLimit float64            `yaml:"false_allow_limit" json:",omitempty" range:"0..1" doc:"of thresholds: false_allow"`
	Metrics         []Metric           `yaml:"metrics" doc:"WebAssembly metrics to run"`
	Generate        Generate           `yaml:"generate" json:",omitzero" doc:"texts that both models write on every row, beside their classes: what metrics such as chrF and ROUGE-L compare with the row's own output; leave out to write none"`
}

// Generate configures the texts of an A/B test. Unset, it is no part of the step's key.
type Generate struct {
	MaxNewTokens      int      `yaml:"max_new_tokens" range:"0..1048576" doc:"tokens of a text at most; 0: none is written"`
	Temperature       float64  `yaml:"temperature" range:"0..1000" doc:"how far from the likeliest token to stray; 0 always takes it"`
	TopK              int      `yaml:"top_k" range:"0..10000000" doc:"draw from the k likeliest tokens; 0 from all"`
	TopP              float64  `yaml:"top_p" range:"0..1" doc:"draw from the likeliest tokens that make up this probability; 0 or 1 from all"`
	RepetitionPenalty float64  `yaml:"repetition_penalty" range:"0..1000" doc:"above 1, makes tokens that are there already less likely; 0 or 1 changes nothing"`
	Stop              []string `yaml:"stop" doc:"texts that end an answer and are no part of it"`
	BatchSize         int      `yaml:"batch_size" range:"0..4096" doc:"texts made together; 0: 8"`
}

// IsZero says that no texts are written.
func (g Generate) IsZero() bool { return g.MaxNewTokens == 0 }

// Metric names a WebAssembly metric.
type Metric struct {
	Module  string         `yaml:"module" path:"module" doc:"path of a .wasm file, or the SHA-256 of an uploaded module"`
	Params  map[string]any `yaml:"params" doc:"the module's parameters"`
	Slices  []string       `yaml:"slices" json:",omitempty" doc:"class, language, domain, group or a field of the rows: the metric is computed on the rows of each value too"`
	Timeout Duration       `yaml:"timeout" doc:"wall-clock limit of one call, such as 10s"`
}

// Report configures report.
type Report struct {
	Language string `yaml:"language" doc:"en or ja"`
}

// Default gives the values that a key left out has.
func Default() Pipeline {
	return Pipeline{
		Name:      "default",
		OutputDir: "work",
		Seed:      42,
		Repeats:   1,
		Device:    "auto",
		Data:      Data{FormatType: "instruction", MaxLength: 256, ValRatio: 0.1, TestRatio: 0.2},
		Model: Model{Quantization: "none", Int8Threshold: 6, Create: Create{
			VocabSize: 4096, Epochs: 3, LearningRate: 1e-3, BatchSize: 16,
		}},
		Training: Training{
			Epochs: 3, BatchSize: 8, EvalBatchSize: 16, GradientAccumulation: 1, Devices: 1, EvalRows: defaultEvalRows, MetricForBest: EvalLoss, ClassWeights: WeightsNone, LearningRate: 2e-4,
			WarmupRatio: 0.03, Scheduler: "cosine", MaxGradNorm: 1, LoggingSteps: 10, SaveTotalLimit: 2,
			CheckpointInterval: Duration(defaultCheckpointInterval), Optim: "adamw_torch", CheckpointingPolicy: "layer", FinetuningType: "lora",
			LoraR: 16, LoraAlpha: 32, LoraDropout: 0.05, LoraTargetModules: []string{"all-linear"},
		},
		SO8T:   SO8T{LearningRate: 1e-3, BatchSize: 16, PETLambda: 0.01, HeadWeight: 1},
		Test:   Test{Design: experiments.DefaultDesign(), Arms: []string{experiments.ArmFinetuned}, Calibration: "none", Thresholds: experiments.ThresholdsNone, Warmup: 8, TimingPasses: 3, Resamples: 2000},
		Report: Report{Language: "en"},
	}
}
