"""Progress of a job: a bar in a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

from tqdm import tqdm


class Reading:
    """Shows how many documents have been read, how many tokens they made, and the rates of both."""

    def __init__(self, what: str, *, every: float = 10.0) -> None:
        """Args: what: is read; every: least seconds between two log lines."""
        self.what, self.every = what, every
        self.documents = self.tokens = 0
        self.began = self.shown = time.perf_counter()
        self.bar = tqdm(desc=what, unit=" documents", dynamic_ncols=True) if sys.stderr.isatty() else None

    def step(self, documents: int, tokens: int) -> None:
        """Note that some more were read."""
        self.documents += documents
        self.tokens += tokens
        now = time.perf_counter()
        if self.bar is not None:
            self.bar.set_postfix_str(f"{self.tokens} tokens, {self.tokens / (now - self.began):.0f} tokens/s", refresh=False)
            self.bar.update(documents)
        elif now - self.shown >= self.every:
            self.shown = now
            print(self, flush=True)

    def __str__(self) -> str:
        seconds = time.perf_counter() - self.began
        return f"{self.what}: {self.documents} documents read, {self.tokens} tokens, {self.tokens / seconds:.0f} tokens/s"

    def close(self) -> None:
        """Leave the terminal as it was, with a line about the whole."""
        if self.bar is not None:
            self.bar.close()
        print(self, flush=True)


class Progress:
    """Shows iteration, mean loss, tokens per second and time left."""

    def __init__(self, start: int, stop: int, *, tokens: int, note_event: Callable[..., None] | None = None, every: float = 10.0) -> None:
        """Args: tokens: trained on in one iteration by all clients; every: least seconds between two log lines.

        `note_event` is called with "training" and the numbers of each iteration, as `pcft.runtime.journal.Journal.write` is.
        """
        self.start, self.stop, self.tokens, self.note_event, self.every = start, stop, tokens, note_event, every
        self.began = self.shown = time.perf_counter()
        self.bar = tqdm(total=stop, initial=start, unit="it", dynamic_ncols=True) if sys.stderr.isatty() else None

    def step(self, iteration: int, loss: float) -> None:
        """Note that `iteration` is done."""
        now = time.perf_counter()
        rate = (iteration - self.start) * self.tokens / (now - self.began)
        if self.note_event:
            self.note_event("training", iteration=iteration, loss=loss, tokens_per_second=round(rate, 1))
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {loss:.4f}, {rate:.0f} tokens/s", refresh=False)
            self.bar.update()
        elif now - self.shown >= self.every or iteration in (self.start + 1, self.stop):
            self.shown = now
            left = timedelta(seconds=round((self.stop - iteration) * self.tokens / rate))
            print(f"iteration {iteration}/{self.stop}: training loss {loss:.4f}, {rate:.0f} tokens/s, {left} left", flush=True)

    def note(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.bar is not None:
            self.bar.write(text)
        else:
            print(text, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.bar is not None:
            self.bar.close()
