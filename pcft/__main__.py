"""Entry point of the command line: `python -m pcft`, and the command `pcft`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pcft import __version__
from pcft.cli import adapters, monitoring, pipeline, reporting
from pcft.cli.commands import Commands
from pcft.errors import FULL, PcftError, first_line
from pcft.runtime.signals import Interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return 0, or 2 after printing one line about input that cannot work."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except PcftError as error:
        print(f"pcft: {error}", file=sys.stderr)
        return 2
    except Interrupted as signal:
        return 128 + signal.number  # as of a process that the signal ended
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in FULL and not error.filename:
            raise
        advice = "; make room and run again" if error.errno in FULL else ""
        print(f"pcft: {error.filename or 'output'}: {error.strerror}{advice}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        advice = "give the job more of it"
        if tokens := getattr(options, "tokens_per_pass", None):
            advice = f"{tokens} tokens were in one pass: set compute.tokens_per_pass to {max(tokens // 2, 1)}"
        print(f"pcft: memory ran out ({first_line(error)}); {advice}", file=sys.stderr)
        return 2
    return 0


def _out_of_memory(error: Exception) -> bool:
    """Whether it is Python's error, CUDA's, or the one of torch's allocator on a CPU; without importing torch."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in ("can't allocate memory", "bad_alloc"))
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pcft", description="Personalised collaborative fine-tuning of language models with LoRA.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = Commands(parser)
    people = commands.group("Commands")
    monitoring.add(people)
    adapters.add(people)
    steps = commands.group("Workflow steps, which Snakemake runs")
    pipeline.add(steps)
    reporting.add(steps)
    return parser


if __name__ == "__main__":
    sys.exit(main())
