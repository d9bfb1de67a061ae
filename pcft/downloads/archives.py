"""Zip archives, wheels among them: the members that globs select, unpacked one at a time."""

from __future__ import annotations

import tempfile
import zipfile
import zlib
from collections.abc import Generator, Sequence
from pathlib import Path, PurePosixPath

from pcft.artifacts import globs
from pcft.errors import FULL, PcftError, first_line


def members(archive: Path, patterns: Sequence[str]) -> Generator[tuple[str, Path], None, None]:
    """Yield name and unpacked file of each member that globs select; a file exists until the next one is asked for.

    Raises:
        PcftError: the file is no zip file, or no member is selected.
    """
    try:
        with zipfile.ZipFile(archive) as opened, tempfile.TemporaryDirectory() as folder:
            names = globs.select(
                (info.filename for info in opened.infolist() if not info.is_dir() and PurePosixPath(info.filename).name != ".."), patterns
            )
            if not names:
                raise PcftError(f"{archive}: has no member that matches {', '.join(patterns[:4])}")
            for name in names:
                path = Path(opened.extract(name, folder))
                yield name, path
                path.unlink()
    except FileNotFoundError:
        raise PcftError(f"{archive}: there is no such file") from None
    except (OSError, ValueError) as error:  # a folder, or a name that the system does not take
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise PcftError(f"{archive}: cannot be read ({first_line(error)})") from None
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method of compression that is not supported
        raise PcftError(f"{archive}: cannot be unpacked ({error}); pack it again, without a password and by a common method") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise PcftError(f"{archive}: is damaged ({error}); remove it, so that it is downloaded again, or replace it") from None
