from __future__ import annotations

from pathlib import Path

import pytest

from pcft.artifacts.files import sha256_of
from pcft.config.downloads import Repository, Wheel
from pcft.downloads.verification import verified_files, verify_wheel, write_manifest
from pcft.errors import PcftError


def test_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(b"x")
    verify_wheel(Wheel(package="p", version="1", sha256=sha256_of(path)), path, label="w")
    with pytest.raises(PcftError, match=r"p==1: its SHA-256 is 2d71\w+, but the configuration says 0{64}"):
        verify_wheel(Wheel(package="p", version="1", sha256="0" * 64), path, label="p==1")


def test_files_of_a_repository(tmp_path: Path) -> None:
    file = tmp_path / "files/data/train.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("text")
    write_manifest(Repository(repository="a/news", revision="a" * 40, files=("**",)), tmp_path)
    assert verified_files(tmp_path) == tmp_path / "files"
    file.write_text("texts")
    with pytest.raises(PcftError, match=r"train\.jsonl: its SHA-256 is not the one"):
        verified_files(tmp_path)
