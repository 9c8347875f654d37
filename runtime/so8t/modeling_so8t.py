"""SO8T model for transformers.

Loading (the folder holds config.json, model.safetensors, the tokenizer and this file):

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    out = model(**AutoTokenizer.from_pretrained(folder)("...", return_tensors="pt"))
    out.logits            # task head, as of any causal language model
    out.safety_logits     # [batch, 2]: safe, unsafe
    out.authority_logits  # [batch, 2]: handle, escalate
    model.class_probabilities(out)  # [batch, 4]: ALLOW, ESCALATION, DENY, REFUSE

Each decoder layer of the source model gets a gate on its normalised hidden state, before q, k and v:
in blocks of eight dimensions, x -> R_cmd (s_safe R_safe x) s_cmd with R = exp(A) in SO(8).
"""

from dataclasses import dataclass
from typing import Optional

import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

try:
    from transformers.generation import GenerationMixin
except ImportError:  # before 4.50 PreTrainedModel generates by itself
    class GenerationMixin:
        pass

BLOCK = 8
GENERATORS = BLOCK * (BLOCK - 1) // 2
ROTARY_FIELDS = ("rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor",
                 "original_max_position_embeddings")
CLASSES = ("ALLOW", "ESCALATION", "DENY", "REFUSE")


class SO8TConfig(PretrainedConfig):
    """The source model's fields, with model_type, architectures and auto_map under source_ names."""

    model_type = "so8t"
    keys_to_ignore_at_inference = ["past_key_values"]

    def __init__(self, source_model_type=None, source_architectures=None, source_auto_map=None, **kwargs):
        self.source_model_type = source_model_type
        self.source_architectures = source_architectures
        self.source_auto_map = source_auto_map
        # The base class would complete the rotary fields without knowing the family's defaults.
        rotary = {name: kwargs.pop(name) for name in ROTARY_FIELDS if name in kwargs}
        super().__init__(**kwargs)
        for name, value in rotary.items():
            setattr(self, name, value)
        if source_model_type is not None:
            # What the family derives, which generate() reads here to lay out its cache.
            source = self.source_config()
            for name in ("rope_parameters", "sliding_window", "layer_types"):
                if hasattr(source, name):
                    setattr(self, name, getattr(source, name))

    def source_config(self):
        """The configuration of the model that the gates are put into."""
        if self.source_model_type not in CONFIG_MAPPING:
            raise ValueError(f"source_model_type {self.source_model_type!r} is not a model type of this transformers")
        fields = self.to_dict()
        for name in ("model_type", "architectures", "auto_map", "source_model_type", "source_architectures",
                     "source_auto_map", "transformers_version"):
            fields.pop(name, None)
        return CONFIG_MAPPING[self.source_model_type].from_dict(fields)


class Rotation(nn.Module):
    """x -> scale * exp(A) x on each block of eight; A is skew-symmetric with 28 free entries."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Parameter(torch.zeros(GENERATORS))
        self.scale = nn.Parameter(torch.ones(1))

    def matrix(self):
        # In float32 whatever the model's type: a rounded rotation is none.
        a = self.generator.float()
        rows, columns = torch.triu_indices(BLOCK, BLOCK, offset=1, device=a.device)
        skew = torch.zeros(BLOCK, BLOCK, dtype=a.dtype, device=a.device).index_put((rows, columns), a)
        return torch.linalg.matrix_exp(skew - skew.T)

    def forward(self, x):
        r = (self.scale.float() * self.matrix()).to(x.dtype)
        blocks = x.reshape(*x.shape[:-1], -1, BLOCK)
        return (blocks @ r.T).reshape(x.shape)


class SO8TGate(nn.Module):
    """The two rotations of a layer; the order matters: safe first, then cmd."""

    def __init__(self):
        super().__init__()
        self.safe = Rotation()
        self.cmd = Rotation()

    def forward(self, x):
        return self.cmd(self.safe(x))


@dataclass
class SO8TOutput(CausalLMOutputWithPast):
    safety_logits: Optional[torch.FloatTensor] = None
    authority_logits: Optional[torch.FloatTensor] = None


class SO8TForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = SO8TConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flash_attn_2 = True
    _supports_attention_backend = True
    _supports_cache_class = True
    _skip_keys_device_placement = ["past_key_values"]
    if int(transformers.__version__.split(".")[0]) >= 5:
        _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}
    else:
        _tied_weights_keys = ["lm_head.weight"]

    def __init__(self, config):
        super().__init__(config)
        attention = getattr(config, "_attn_implementation", None)
        source = AutoModelForCausalLM.from_config(
            config.source_config(), **({"attn_implementation": attention} if attention else {}))
        self._no_split_modules = getattr(source, "_no_split_modules", None)
        self.model = source.model
        self.lm_head = source.lm_head
        if config.hidden_size % BLOCK:
            raise ValueError(f"hidden_size {config.hidden_size} is not a multiple of {BLOCK}")
        for layer in self.model.layers:
            layer.so8t = SO8TGate()
            gate = layer.so8t
            # A pre-hook on attention would miss its keyword arguments; the norm's output is the place.
            layer.input_layernorm.register_forward_hook(lambda _module, _inputs, out, gate=gate: gate(out))
        self.safety_head = nn.Linear(config.hidden_size, 2, bias=False)
        self.authority_head = nn.Linear(config.hidden_size, 2, bias=False)
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, Rotation):
            nn.init.zeros_(module.generator)
            nn.init.ones_(module.scale)
        else:
            super()._init_weights(module)

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def forward(self, input_ids=None, attention_mask=None, position_ids=None, past_key_values=None,
                inputs_embeds=None, labels=None, use_cache=None, output_attentions=None,
                output_hidden_states=None, logits_to_keep=0, **kwargs):
        for name, value in (("output_attentions", output_attentions), ("output_hidden_states", output_hidden_states)):
            if value is not None:
                kwargs[name] = value
        kwargs.pop("return_dict", None)
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                             past_key_values=past_key_values, inputs_embeds=inputs_embeds, use_cache=use_cache,
                             **kwargs)
        hidden = outputs.last_hidden_state
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(hidden[:, keep, :])
        scaling = getattr(self.config, "logits_scaling", None)  # Granite's, which is not part of its lm_head
        if scaling is not None:
            logits = logits / scaling
        loss = None
        if labels is not None:
            shifted = logits[:, :-1].float()
            loss = nn.functional.cross_entropy(
                shifted.reshape(-1, shifted.shape[-1]), labels[:, 1:].reshape(-1).to(shifted.device), ignore_index=-100)
        last = hidden[torch.arange(hidden.shape[0], device=hidden.device), self._last(hidden, attention_mask)]
        return SO8TOutput(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states, attentions=outputs.attentions,
            safety_logits=self.safety_head(last), authority_logits=self.authority_head(last))

    @staticmethod
    def _last(hidden, attention_mask):
        """Row of each sequence's last token that is not padding, on either side."""
        length = hidden.shape[1]
        if attention_mask is None or attention_mask.dim() != 2:
            return torch.full((hidden.shape[0],), length - 1, device=hidden.device)
        mask = attention_mask[:, -length:].to(hidden.device).long()
        return (mask * torch.arange(1, length + 1, device=hidden.device)).argmax(dim=1)

    @staticmethod
    def class_probabilities(output):
        """Probabilities of CLASSES, [batch, 4]: the product of the safety and authority heads."""
        safety = output.safety_logits.float().softmax(-1)
        authority = output.authority_logits.float().softmax(-1)
        return (safety.unsqueeze(2) * authority.unsqueeze(1)).flatten(1)

    def classify(self, input_ids, attention_mask=None):
        """The names of the likeliest classes of prompts."""
        with torch.no_grad():
            output = self(input_ids=input_ids, attention_mask=attention_mask, logits_to_keep=1)
        return [CLASSES[i] for i in self.class_probabilities(output).argmax(-1).tolist()]
