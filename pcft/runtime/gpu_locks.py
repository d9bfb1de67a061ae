"""GPU locks: one GPU per training job of a machine; the kernel releases a lock however the job ends.

Standard library only, and before torch is asked for devices, which reads CUDA_VISIBLE_DEVICES only once.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from pathlib import Path

from pcft.errors import PcftError, first_line

VISIBLE = "CUDA_VISIBLE_DEVICES"
LOCKS = Path("/tmp")  # of the machine; TMPDIR may be another for each job
PAUSE = 1.0  # seconds between two looks
LIST = ("nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader")

_held: list[int] = []  # descriptors of the locks, kept until the process ends


def claim() -> str | None:
    """Wait for a GPU that no other job has, make it the only visible one, and return its name; None where there is none.

    Those that CUDA_VISIBLE_DEVICES names are taken for all there are: a scheduler or a user may have set it.

    Raises:
        PcftError: the locks cannot be made.
    """
    known = _known()
    names = _visible(known)
    if not names:
        return None
    told = False
    while True:
        for name in names:
            if (lock := _try(known.get(name, name))) is not None:
                _held.append(lock)
                os.environ[VISIBLE] = name
                return name
        if not told:
            print(f"waiting for a GPU: other jobs have {', '.join(names)}", flush=True)
            told = True
        time.sleep(PAUSE)


def release() -> None:
    """Give back what was claimed, for jobs that do not use it."""
    while _held:
        os.close(_held.pop())


def _visible(known: dict[str, str]) -> list[str]:
    """Return the names of the GPUs that may be used; those after one that does not exist are not seen by CUDA either."""
    if VISIBLE not in os.environ:
        return list(dict.fromkeys(known.values()))
    names: list[str] = []
    for name in (part.strip() for part in os.environ[VISIBLE].split(",")):
        if name in ("", "-1", "NoDevFiles"):
            break
        names.append(name)
    return names


def _known() -> dict[str, str]:
    """Return the UUIDs of this machine's GPUs, by themselves and by number: the same GPU has one lock, however it is called."""
    try:
        listed = subprocess.run(LIST, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    pairs = [line.replace(" ", "").split(",") for line in listed.splitlines() if "," in line]
    return dict(pairs) | {uuid: uuid for _, uuid in pairs}


def _try(name: str) -> int | None:
    """Lock the file of a GPU and return its descriptor; None if another process has it."""
    path = LOCKS / f"pcft-gpu-{re.sub('[^A-Za-z0-9-]', '_', name)}.lock"
    try:
        lock = _open(path)
    except OSError as error:
        raise PcftError(f"{path}: the GPU's lock cannot be made ({first_line(error)}); remove the file or have its owner do so") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == path.stat().st_ino:  # else the file was removed meanwhile, and another is in its place
            return lock
    except OSError:
        pass
    os.close(lock)
    return None


def _open(path: Path) -> int:
    """Open a lock of anybody's for reading, which is enough to lock it; make it if it is not there."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    try:
        lock = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return os.open(path, flags)
    os.fchmod(lock, 0o644)  # whatever the umask
    return lock
