"""Snakemake that looks after its Slurm jobs every second: the plugin itself pauses longer and longer, which tests cannot wait for."""

import asyncio
import sys
from typing import Any

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def _sleep(_: Any) -> None:
    await asyncio.sleep(1)


RemoteExecutor.sleep = _sleep  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(main())
