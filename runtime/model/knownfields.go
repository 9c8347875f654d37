package model

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// usedFields of config.json are read for every family, or decide what is refused.
var usedFields = fieldSet(`model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads
	num_key_value_heads head_dim max_position_embeddings original_max_position_embeddings rms_norm_eps rope_theta
	rope_parameters rope_scaling partial_rotary_factor tie_word_embeddings mlp_bias hidden_act quantization_config
	bos_token_id eos_token_id sliding_window use_sliding_window max_window_layers layer_types`)

// harmlessFields change no logits: they say where a file comes from, how it is loaded and how its output
// is sampled, or are defaults of transformers' base class that older versions wrote into every file.
var harmlessFields = fieldSet(`architectures auto_map torch_dtype dtype transformers_version _name_or_path name_or_path
	_commit_hash _attn_implementation _attn_implementation_autoset attn_implementation use_flash_attention _flash_attn_2_enabled
	use_cache initializer_range pretraining_tp gradient_checkpointing unsloth_fixed unsloth_version transformers.js_config
	model_max_length max_sequence_length max_seq_length seq_length tokenizer_class prefix is_llama_config use_bfloat16
	pad_token_id unk_token_id sep_token_id cls_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id
	id2label label2id num_labels problem_type task_specific_params finetuning_task
	return_dict output_attentions output_hidden_states output_scores return_dict_in_generate torchscript tf_legacy_loss
	is_decoder chunk_size_feed_forward cross_attention_hidden_size tie_encoder_decoder
	max_length min_length max_new_tokens do_sample early_stopping num_beams num_beam_groups diversity_penalty temperature
	top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids
	num_return_sequences remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens
	` + ignoredKey)

// ignoredKey is where Save lists the fields that AllowUnknown went on without.
const ignoredKey = "triality_ignored_fields"

// inertAt has the fields of no family here that files have nevertheless, with the value at which they
// change nothing.
var inertAt = map[string]string{
	"is_encoder_decoder": "false", "add_cross_attention": "false", "pruned_heads": "{}", "attention_bias": "false",
	"bias": "false", "qkv_bias": "false", "lm_head_bias": "false", "use_mrope": "false", "rope_interleaved": "false",
	"qk_layernorm": "false", "use_qk_norm": "false", "full_attn_mod": "1", "interpolate_factor": "1",
	"embedding_multiplier": "1", "residual_multiplier": "1", "attention_multiplier": "1", "logits_scaling": "1",
	"embedding_scale": "1", "residual_scale": "1", "logit_scale": "1", "logits_multiplier": "1", "scale_emb": "1", "scale_depth": "1",
	"num_local_experts": "0", "num_experts": "0", "moe_intermediate_size": "0",
}

// ropeFields of rope_scaling and rope_parameters are read, or refused by their type.
var ropeFields = fieldSet(`rope_type type rope_theta partial_rotary_factor factor low_freq_factor high_freq_factor beta_fast
	beta_slow truncate mscale mscale_all_dim original_max_position_embeddings short_factor long_factor attention_factor
	max_position_embeddings finetuned`)

func fieldSet(names string) map[string]bool {
	set := map[string]bool{}
	for _, n := range strings.Fields(names) {
		set[n] = true
	}
	return set
}

// UnknownFieldsError names the fields of a config.json that the engine would ignore although they may
// change what the model computes.
type UnknownFieldsError struct {
	ModelType string
	Fields    []string // each with its value: `embedding_multiplier (12)`
}

func (e *UnknownFieldsError) Error() string {
	return fmt.Sprintf("config.json has fields that %s models are not known to have, and that may change what the model computes: %s; "+
		"to go on without them set model.allow_unknown_config: true or give --allow-unknown-config", e.ModelType, strings.Join(e.Fields, ", "))
}

// checkFields goes through every field of the file. One that is not used, and not known to have no effect,
// is an UnknownFieldsError, or is noted in c.Ignored where that is allowed; dropouts are noted.
func (c *Config) checkFields(fam family, outer map[string]json.RawMessage) error {
	var unknown, values []string
	refuse := func(name string, value json.RawMessage) {
		unknown, values = append(unknown, name), append(values, fmt.Sprintf("%s (%s)", name, short(value)))
	}
	var before []string
	_ = json.Unmarshal(c.raw[ignoredKey], &before) // absent, or a list that an earlier Save wrote
	accepted := func(name string) bool { return c.allowUnknown || slices.Contains(before, name) }

	for name, value := range c.raw {
		switch rate, isDropout := dropout(name, value); {
		case string(value) == "null", usedFields[name], harmlessFields[name], slices.Contains(fam.fields, name):
		case isDropout && rate != 0:
			if c.Dropouts == nil {
				c.Dropouts = map[string]float64{}
			}
			c.Dropouts[name] = rate
		case isDropout, fam.biasField && name == "attention_bias", fam.inertAt(name, value):
		default:
			refuse(name, value)
		}
	}
	for _, name := range []string{"rope_scaling", "rope_parameters"} {
		var fields map[string]json.RawMessage
		_ = json.Unmarshal(c.raw[name], &fields) // null or absent; what is no object has been refused
		for key, value := range fields {
			grows := key == "llama_4_scaling_beta" && (c.ModelType == "ministral3" || equalJSON(value, "0"))
			if string(value) != "null" && !ropeFields[key] && !grows {
				refuse(name+"."+key, value)
			}
		}
	}
	if c.Nested {
		var kind string
		_ = json.Unmarshal(outer["model_type"], &kind)
		for name, value := range outer {
			if string(value) != "null" && !usedFields[name] && !harmlessFields[name] && !slices.Contains(nested[kind].fields, name) {
				refuse(name, value)
			}
		}
	}

	left := values[:0]
	for i, name := range unknown {
		if accepted(name) {
			c.Ignored = append(c.Ignored, name)
		} else {
			left = append(left, values[i])
		}
	}
	slices.Sort(c.Ignored)
	if len(left) > 0 {
		slices.Sort(left)
		return &UnknownFieldsError{c.ModelType, left}
	}
	return nil
}

// inertAt says whether a field has no effect at this value.
func (f family) inertAt(name string, value json.RawMessage) bool {
	at, ok := f.inert[name]
	if !ok {
		at, ok = inertAt[name]
	}
	return ok && (at == "" || equalJSON(value, at))
}

// dropout is the rate of a field that is a dropout, which changes training alone.
func dropout(name string, value json.RawMessage) (rate float64, ok bool) {
	for _, end := range []string{"dropout", "_pdrop", "_dropout_prob", "_dropout_rate"} {
		if strings.HasSuffix(name, end) && json.Unmarshal(value, &rate) == nil {
			return rate, true
		}
	}
	return 0, false
}

// CheckTrainable says whether training computes what the configuration asks for: the engine has no
// dropout in the model itself. AllowUnknown goes on without.
func (c Config) CheckTrainable() error {
	if c.allowUnknown {
		return nil
	}
	var set []string
	for name, rate := range c.Dropouts {
		set = append(set, fmt.Sprintf("%s is %g", name, rate))
	}
	if len(set) == 0 {
		return nil
	}
	slices.Sort(set)
	return fmt.Errorf("config.json: %s, and training has no dropout in the model (lora_dropout is another): set it to 0 in config.json, "+
		"or go on without it by model.allow_unknown_config: true or --allow-unknown-config", strings.Join(set, ", "))
}

func equalJSON(value json.RawMessage, literal string) bool {
	var a, b any
	return json.Unmarshal(value, &a) == nil && json.Unmarshal([]byte(literal), &b) == nil && reflect.DeepEqual(a, b)
}

// short is a value as an error shows it.
func short(value json.RawMessage) string {
	text := strings.Join(strings.Fields(string(value)), " ")
	if len(text) > 40 {
		text = text[:37] + "..."
	}
	return text
}
