"""Causal students as GGUF, the format of llama.cpp and Ollama, with a Modelfile; in float32 or eight bits.

Architectures: those of Llama's kind (Llama, Mistral, Qwen2, Qwen3) and LFM2, with angles of positions as they are,
scaled in proportion, or as Llama 3's. Tokenizers: byte-level BPE.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...runtime.atomic import write_bytes
from ...runtime.embedded.tokens import WORDS
from ...runtime.engines.local.loading import load
from ...runtime.engines.local.prompt import rendered
from ...runtime.errors import BadInput
from ..students.formats import Format
from .export import Exported
from .onnx_file import needed

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "lfm2": "lfm2"}
"""transformers' model types and what llama.cpp calls them."""

ROPE_SPLIT = {"llama", "mistral"}
"""Kinds for which llama.cpp rotates neighbouring dimensions, where transformers rotates halves: queries and keys are
reordered (as in llama.cpp's own converter)."""

_CONTRACTED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CUTS = {
    "": "gpt-2", f"{_CONTRACTED}\\p{{N}}{{1,3}}{_OTHERS}": "llama-bpe", f"{_CONTRACTED}\\p{{N}}{_OTHERS}": "qwen2",
    WORDS: "smollm", "Digits": "smollm",
}  # fmt: skip
"""Patterns by which texts are cut before byte pairs are put together, and llama.cpp's names for them; ours differs from
its in contractions alone."""


def write_gguf(model: Any, tokenizer: Any, path: Path, *, eight: bool = False, name: str = "student") -> None:
    """A causal model with its tokenizer as one GGUF file.

    Raises:
        BadInput: for an architecture, a scaling of angles or a tokenizer that cannot be written.
    """
    gguf = needed("gguf")
    config = model.config
    scaling = config.rope_parameters.get("rope_type", "default")
    if scaling not in ("default", "linear", "llama3"):
        raise BadInput(
            f"models whose angles of positions are scaled by {scaling!r} cannot be written as GGUF; expected "
            "'default', 'linear' or 'llama3'"
        )
    if config.model_type not in ARCHITECTURES:
        raise BadInput(
            f"models of type {config.model_type} cannot be written as GGUF; expected one of: {', '.join(ARCHITECTURES)}"
        )
    kind = ARCHITECTURES[config.model_type]
    arch = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == kind)
    writer = gguf.GGUFWriter(str(path), kind)
    writer.add_name(name)
    _hyper(writer, config)
    _tokens(writer, gguf, tokenizer, config.vocab_size)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for key, tensor in _tensors(model):
        place = names.get_name(key, try_suffixes=(".weight", ".bias"))
        if place is None:
            raise BadInput(f"GGUF has no place for the tensor {key} of a {config.model_type}")
        data = _ordered(key, tensor, config).float().cpu().numpy()
        if key.endswith("conv.conv.weight"):
            data = data.squeeze(1)
        if eight and data.ndim == 2 and data.shape[-1] % 32 == 0 and "norm" not in key and "conv.conv" not in key:
            form = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(place, gguf.quants.quantize(data, form), raw_dtype=form)
        else:
            writer.add_tensor(place, data)
    if scaling == "llama3":
        writer.add_tensor("rope_freqs.weight", _slower(model).float().cpu().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def export_gguf(folder: Path, student: Any, out: Path, probes: Sequence[Mapping[str, str]], *, eight: bool) -> Exported:
    """A student as GGUF and Modelfile; answers are compared by llama.cpp where it is there, else its tensors."""
    model, tokenizer = load("CausalLM", folder, dtype="float32")
    path = out / "model.gguf"
    write_gguf(model, tokenizer, path, eight=eight, name=str(student.training["task"]))
    form = Format.load(student.facts["format"])
    write_bytes(out / "Modelfile", modelfile(form, tokenizer, student.facts["max_tokens"]).encode())
    worst, count = compare_tensors(model, path)
    kind = "gguf-q8" if eight else "gguf"
    try:
        import llama_cpp  # noqa: F401
    except ImportError:
        return Exported(kind, path, count, None, worst, "weight", "install llama-cpp-python to compare answers")
    agree, asked = compare_answers(model, tokenizer, path, [asked_with(form, one) for one in probes])
    return Exported(kind, path, asked, agree, worst, "weight", "greedy answers of llama.cpp")


def compare_tensors(model: Any, path: Path) -> tuple[float, int]:
    """The largest difference of a weight in the file from the model's own, and how many tensors were compared."""
    import numpy as np

    gguf = needed("gguf")
    config = model.config
    arch = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == ARCHITECTURES[config.model_type])
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    kept = {tensor.name: tensor for tensor in gguf.GGUFReader(str(path)).tensors}
    worst, count = 0.0, 0
    for key, tensor in _tensors(model):
        found = kept[names.get_name(key, try_suffixes=(".weight", ".bias"))]
        data = gguf.quants.dequantize(found.data, found.tensor_type)
        mine = _ordered(key, tensor, config).float().cpu().numpy()
        worst = max(worst, float(np.abs(data.reshape(mine.shape) - mine).max()))
        count += 1
    return worst, count


def compare_answers(
    model: Any, tokenizer: Any, path: Path, prompts: Sequence[list[dict[str, str]]], *, tokens: int = 16
) -> tuple[float, int]:
    """The share of prompts whose greedy answer llama.cpp continues as transformers does, over some tokens."""
    import llama_cpp
    import torch

    from ..students.coding import prompt_tokens

    other = llama_cpp.Llama(str(path), n_ctx=1024, verbose=False, logits_all=False, n_threads=1)
    same = 0
    for prompt in prompts:
        ids = prompt_tokens(tokenizer, prompt)[:900]
        with torch.inference_mode():
            out = model.generate(torch.tensor([ids]), max_new_tokens=tokens, do_sample=False)[0, len(ids) :].tolist()
        theirs: list[int] = []
        for token in other.generate(ids, temp=0.0, top_k=1, repeat_penalty=1.0):
            theirs.append(int(token))
            if len(theirs) == len(out):
                break
        same += theirs == out
    return same / max(1, len(prompts)), len(prompts)


def modelfile(form: Format, tokenizer: Any, max_tokens: int) -> str:
    """An Ollama Modelfile: the student's template, greedy, with its own end."""
    lines = ["FROM ./model.gguf", f"TEMPLATE {json.dumps(_template(tokenizer))}"]
    if form.system:
        lines.append(f'SYSTEM """{form.system}"""')
    end = tokenizer.eos_token
    whole = "the program's prompt, which ends with the inputs" if form.style == "program" else "the inputs"
    return "\n".join([
        *lines, "PARAMETER temperature 0", f"PARAMETER num_predict {max_tokens}",
        *([f"PARAMETER stop {json.dumps(end)}"] if end else []),
        f"# Ask it with {whole} in this form: {json.dumps(asked_with(form, dict.fromkeys(form.inputs, '...'))[-1])}",
        "",
    ])  # fmt: skip


def asked_with(form: Format, inputs: Mapping[str, str]) -> list[dict[str, str]]:
    """What a student is asked; of one without a prompt of its own, the end of the program's: the inputs."""
    return (replace(form, style="inputs") if form.style == "program" else form).prompt(inputs)


def _template(tokenizer: Any) -> str:
    """The tokenizer's chat template as Ollama writes one: with places for system and prompt."""
    if tokenizer.chat_template is None:
        return "System:\n{{ .System }}\n\nUser:\n{{ .Prompt }}\n\nAssistant:\n"
    text = rendered(tokenizer, [("system", "<<S>>"), ("user", "<<P>>")], "the student")
    return text.replace("<<S>>", "{{ .System }}").replace("<<P>>", "{{ .Prompt }}")


def _hyper(writer: Any, config: Any) -> None:
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    kinds = getattr(config, "layer_types", None) or ()
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if config.model_type == "lfm2":
        writer.add_head_count_kv([heads if kind == "full_attention" else 0 for kind in kinds])
        writer.add_shortconv_l_cache(config.conv_L_cache)
        writer.add_layer_norm_rms_eps(config.norm_eps)
    else:
        writer.add_head_count_kv(heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(dim)
    if dim * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(dim)
        writer.add_value_length(dim)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    if config.rope_parameters.get("rope_type") == "linear":
        writer.add_rope_scaling_type(needed("gguf").RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(config.rope_parameters["factor"]))
    writer.add_vocab_size(config.vocab_size)


def _slower(model: Any) -> Any:
    """By how much each pair of dimensions turns more slowly than it would without scaling, [dim / 2]."""
    import torch

    turns = model.model.rotary_emb.inv_freq.double()
    places = torch.arange(len(turns), dtype=torch.float64) / len(turns)
    return float(model.config.rope_parameters["rope_theta"]) ** -places / turns


def _tokens(writer: Any, gguf: Any, tokenizer: Any, size: int) -> None:
    body = json.loads(tokenizer.backend_tokenizer.to_str())
    if body["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(body["pre_tokenizer"]):
        raise BadInput(
            f"a tokenizer of type {body['model']['type']} cannot be written as GGUF; expected byte-level BPE"
        )
    cut = _cut(body["pre_tokenizer"])
    if cut not in CUTS:
        raise BadInput(
            f"a tokenizer that cuts texts by {cut} cannot be written as GGUF; expected GPT-2's way, Llama 3's or Qwen's"
        )
    special = {int(token["id"]) for token in body["added_tokens"] if token["special"]}
    texts = {place: token for token, place in tokenizer.get_vocab().items()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(CUTS[cut])
    writer.add_token_list([texts.get(place, f"[PAD{place}]") for place in range(size)])
    kinds = gguf.TokenType
    writer.add_token_types([
        kinds.CONTROL if place in special else kinds.NORMAL if place in texts else kinds.UNUSED
        for place in range(size)
    ])  # fmt: skip
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in body["model"]["merges"]])
    for place, add in (
        (tokenizer.eos_token_id, writer.add_eos_token_id), (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):  # fmt: skip
        if place is not None:
            add(place)
    writer.add_add_bos_token(False)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)


def _cut(told: Any) -> str:
    """The pattern by which a byte-level tokenizer cuts texts; empty for GPT-2's own."""
    steps = told["pretokenizers"] if told["type"] == "Sequence" else [told]
    patterns = [step["pattern"].get("Regex", step["pattern"]) for step in steps if step["type"] == "Split"]
    strange = [step["type"] for step in steps if step["type"] not in ("Split", "ByteLevel")]
    return "; ".join(map(str, [*patterns, *strange]))


def _tensors(model: Any) -> list[tuple[str, Any]]:
    """Names and tensors to be written; an output layer that is the embedding is not written twice."""
    tied = bool(model.config.tie_word_embeddings)
    return [(name, p) for name, p in model.state_dict().items() if not (tied and name.startswith("lm_head"))]


def _ordered(name: str, tensor: Any, config: Any) -> Any:
    if config.model_type not in ROPE_SPLIT or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return tensor
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    shape = tensor.shape
    return tensor.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
