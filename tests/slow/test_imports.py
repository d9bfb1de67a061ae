"""Imports of a training stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_nothing_is_searched_for_garbage_while_a_training_stage_is_imported(tmp_path: Path) -> None:
    watch = """
import gc, sys
class Watch:
    def find_spec(self, name, *_):
        if name in ("torch", "transformers", "pcft.runs.stages"):
            print(name, gc.isenabled())
sys.meta_path.insert(0, Watch())
from pcft.__main__ import main
status = main(sys.argv[1:])
print("afterwards", gc.isenabled(), status)
"""
    nowhere = [f"--{name}={tmp_path / 'nothing'}" for name in ("settings", "model", "corpus", "output")]
    done = subprocess.run([sys.executable, "-c", watch, "warmup", *nowhere, "--seed=1"], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.splitlines()) == ["afterwards True 2", "pcft.runs.stages False", "torch False", "transformers False"]


def test_who_waits_for_the_import_of_peft(model_folders: dict[str, Path]) -> None:
    """Training, evaluate and join do not, nor does loading a model for them; the first attached adapter does."""
    script = f"""
import sys
from pathlib import Path
import pcft.runs.stages, pcft.adapters.export, pcft.adapters.evaluate, pcft.adapters.generate, pcft.adapters.newcomer.join
from pcft.models import hf_model
hf_model.load_model(Path({str(model_folders["llama"])!r}), "auto")
print("peft" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "False\n"
