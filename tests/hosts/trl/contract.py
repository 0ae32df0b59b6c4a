"""What rlkit/hosts/trl/ takes for granted about TRL, read off its files and off TRL's own source.

Names are derived from the code, so that a new one is looked up without an entry here. Written down is only
what the code cannot tell: the parameters of methods, and the keys that TRL uses.
"""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from transformers import GenerationConfig, TrainerControl, TrainerState
from trl import GRPOConfig, GRPOTrainer
from trl.distributed import DistributedBackend
from trl.generation.vllm_generation import VLLMGeneration
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.utils import nanstd, pad

from rlkit import CurriculumGRPOTrainer
from rlkit.hosts.trl.card import BASE, CITATIONS, VERSIONS

RLKIT = Path(__file__).parents[3] / "rlkit"
HOST = RLKIT / "hosts" / "trl"

SIGNATURES = {
    GRPOTrainer._generate_and_score_completions: ["self", "inputs"],
    GRPOTrainer._generate: ["self", "prompts"],
    GRPOTrainer._generate_single_turn: [
        "self",
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
        "has_tool_images",
    ],
    GRPOTrainer._calculate_rewards: ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    GRPOTrainer.compute_loss: ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    GRPOTrainer._compute_loss: ["self", "model", "inputs"],
    GRPOTrainer._tokenize_prompts: ["self", "prompts"],
    GRPOTrainer._save_checkpoint: ["self", "model", "trial"],
    GRPOTrainer.log: ["self", "logs", "start_time"],
    nanstd: ["tensor", "dim", "keepdim"],
}
"""Every parameter of what we override, or call with arguments by position."""

FIRST_PARAMETERS = {
    GRPOTrainer.__init__: ["self", "model", "reward_funcs", "args", "train_dataset"],
    GRPOTrainer._get_per_token_logps_and_entropies: [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
        "compute_aux_loss",
    ],
    GRPOTrainer.train: ["self", "resume_from_checkpoint"],
    GRPOTrainer.create_model_card: ["self", "model_name", "dataset_name", "tags"],
    unwrap_model_for_generation: ["model", "accelerator"],
    pad: ["tensors", "padding_value", "padding_side"],
}

CALLED_IN = {
    GRPOTrainer._generate_and_score_completions: ["self._generate(prompts)", "self._calculate_rewards("],
    GRPOTrainer._generate: ["self._generate_single_turn("],
    GRPOTrainer.compute_loss: ["self._compute_loss(model, inputs)"],
    GRPOTrainer._prepare_inputs: [
        "self._generate_and_score_completions(",
        "self._step",
        "shuffle_sequence_dict(",
        "split_tensor_dict(",
    ],
    GRPOTrainer._compute_loss: ["self._get_per_token_logps_and_entropies("],
}
"""Where TRL calls what we override: each text is in the source of its method."""

KEYS = {
    GRPOTrainer._generate_and_score_completions: [
        "prompt_ids",
        "prompt_mask",
        "completion_ids",
        "completion_mask",
        "advantages",
        "num_items_in_batch",
        "old_per_token_logps",
        "tool_mask",
    ],
    GRPOTrainer._generate: ["completions/clipped_ratio"],
    GRPOTrainer._compute_loss: ["entropy", "num_items_in_batch", "old_per_token_logps", "tool_mask"],
    GRPOTrainer.log: ["eval_", "train"],
    GRPOTrainer.__init__: ["train"],
}
"""Keys of batches and metrics that we read or write, each a string in the source of the method."""

RETURNS = {GRPOTrainer._generate: 8, GRPOTrainer._generate_single_turn: 2}
"""How many values come back."""

VLLM = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "max_completion_length",
    "generation_kwargs",
    "structured_outputs_regex",
]
"""Attributes of TRL's vLLM engine that are replaced for a while."""

OWNERS = {
    "trainer": (CurriculumGRPOTrainer,),
    "GRPOTrainer": (GRPOTrainer,),
    "args": (GRPOConfig,),
    "accelerator": (Accelerator,),
    "state": (TrainerState,),
    "control": (TrainerControl,),
    "generation_config": (GenerationConfig,),
    "_dist": (DistributedBackend,),
    "vllm_generation": (VLLMGeneration,),
}
"""By the name of a variable or attribute: what it holds. Its attributes must be in these classes."""


def trees() -> dict[str, ast.Module]:
    return {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HOST.glob("*.py"))}


def attributes_of(kind: type) -> set[str]:
    """What an instance has: methods, class attributes, and whatever its classes assign to `self`."""
    assigned = (_assigned(base) for base in kind.__mro__[:-1])
    return set(dir(kind)).union(getattr(kind, "__dataclass_fields__", ()), *assigned)


@cache
def _assigned(kind: type) -> set[str]:
    return {
        node.attr
        for node in ast.walk(ast.parse(_source(kind)))
        if isinstance(node, ast.Attribute) and _name(node.value) == "self" and isinstance(node.ctx, ast.Store)
    }


def uses() -> Iterator[tuple[str, str, str]]:
    """(file and line, owner, attribute) wherever our files touch something of OWNERS."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                owner = _name(node.value)
                if file == "trainer.py" and owner == "self":
                    owner = "trainer"
                if file == "trainer.py" and owner == "super":
                    owner = "GRPOTrainer"
                if owner in OWNERS:
                    yield f"{file}:{node.lineno}", owner, node.attr
            elif isinstance(node, ast.Call) and _name(node.func) == "replaced":
                owner = _name(node.args[0])
                for word in node.keywords:
                    if owner in OWNERS and word.arg:
                        yield f"{file}:{node.lineno}", owner, word.arg


def missing_attributes() -> list[str]:
    known = {name: set().union(*map(attributes_of, kinds)) for name, kinds in OWNERS.items()}
    gone = {
        f"{where}: {owner}.{attribute} is not in {OWNERS[owner][0].__name__}"
        for where, owner, attribute in uses()
        if attribute not in known[owner]
    }
    gone |= {
        f"vLLM engine: {name} is not in VLLMGeneration"
        for name in VLLM
        if name not in known["vllm_generation"]
    }
    return sorted(gone)


def missing_imports() -> list[str]:
    """Names that our files import from the libraries below, and that are not there."""
    gone = []
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            if node.module.split(".")[0] not in ("trl", "transformers", "accelerate", "peft"):
                continue
            try:
                module = import_module(node.module)
            except ImportError:
                gone.append(f"{file}: module {node.module} is gone")
                continue
            gone += [
                f"{file}: {node.module}.{alias.name} is gone"
                for alias in node.names
                if not hasattr(module, alias.name)
            ]
    return gone


def changed_signatures() -> list[str]:
    changed = []
    for exact, table in ((True, SIGNATURES), (False, FIRST_PARAMETERS)):
        for function, expected in table.items():
            found = list(inspect.signature(function).parameters)
            if (found if exact else found[: len(expected)]) != expected:
                changed.append(
                    f"{function.__qualname__}({', '.join(found)}), expected ({', '.join(expected)})"
                )
    return changed + _unknown_words()


def _unknown_words() -> list[str]:
    """Keyword arguments in our calls of the functions in the tables that these do not have."""
    functions = {function.__name__: function for function in [*SIGNATURES, *FIRST_PARAMETERS]}
    functions.pop("__init__")
    unknown = []
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := _name(node.func)) in functions:
                parameters = inspect.signature(functions[name]).parameters
                unknown += [
                    f"{file}:{node.lineno}: {name} has no argument {word.arg!r}"
                    for word in node.keywords
                    if word.arg and word.arg not in parameters
                ]
    return unknown


def changed_bodies() -> list[str]:
    """Calls, keys and numbers of results that TRL's source no longer has."""
    changed = []
    for function, texts in CALLED_IN.items():
        source = inspect.getsource(function)
        changed += [f"{function.__qualname__} has no {text!r}" for text in texts if text not in source]
    for function, keys in KEYS.items():
        body = ast.walk(ast.parse(_source(function)))
        strings = " ".join(str(node.value) for node in body if isinstance(node, ast.Constant))
        changed += [f"{function.__qualname__} has no key {key!r}" for key in keys if key not in strings]
    for function, number in RETURNS.items():
        sizes = {
            len(node.value.elts)
            for node in ast.walk(ast.parse(_source(function)))
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple)
        }
        if sizes != {number}:
            changed.append(f"{function.__qualname__} returns {sorted(sizes)} values, expected {number}")
    return changed


def changed_card() -> list[str]:
    """Places of TRL's model card that ours comes in at."""
    text = files("trl").joinpath("templates/lm_model_card.md").read_text(encoding="utf-8")
    places = [VERSIONS, CITATIONS, "\n- TRL:"]
    gone = [f"lm_model_card.md has no {place!r}" for place in places if place not in text]
    return gone if BASE.search(text) else [*gone, f"lm_model_card.md has no {BASE.pattern!r}"]


def changes() -> list[str]:
    """All at once, for a person who has to go through them."""
    return changed_card() + missing_imports() + missing_attributes() + changed_signatures() + changed_bodies()


def private_names() -> set[str]:
    """GRPOTrainer's own private methods and attributes."""
    return {name for name in vars(GRPOTrainer) if name.startswith("_") and not name.startswith("__")} - {
        "_name",
        "_tag_names",
        "_paper",
    }


def named_elsewhere() -> list[str]:
    """Private names of GRPOTrainer used outside the host: an attribute of anything but `self`. TRL's
    asynchronous trainer shares some; its host lists what it uses in places.py."""
    private = private_names()
    return [
        f"{path.relative_to(RLKIT)}:{node.lineno}: {node.attr}"
        for path in sorted(RLKIT.rglob("*.py"))
        if HOST not in path.parents and HOST.with_name("async_trl") not in path.parents
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in private and _name(node.value) != "self"
    ]


def _name(node: ast.AST) -> str | None:
    """The last name of an expression: `args` for `trainer.args`, `super` for `super()`."""
    if isinstance(node, ast.Call):
        return "super" if _name(node.func) == "super" else None
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _source(thing: Any) -> str:
    return inspect.cleandoc("\n" + inspect.getsource(thing))
