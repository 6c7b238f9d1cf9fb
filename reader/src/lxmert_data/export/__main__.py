"""python -m lxmert_data.export STORE... --to FORMAT OUT."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..errors import ExportRequestError, OutputError, StoreError, StoreWarning
from .export_store import ExportResult, export_store
from .formats import FORMATS
from .image_names import ID_MODES

_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130
_PROGRESS_SECONDS = {True: 0.1, False: 10.0}
_EXAMPLES = """examples:
  python -m lxmert_data.export train2014_obj36.safetensors --to hdf5-groups train2014_obj36.h5
  python -m lxmert_data.export train2014_obj36.safetensors --to arrow --dtype f16 train2014_obj36.arrow
  python -m lxmert_data.export train2014_obj36.safetensors val2014_obj36.safetensors --to volta-lmdb trainval.lmdb
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    formats = "\n".join(f"  {entry.name:15} for {entry.opened_by}" for entry in FORMATS.values())
    parser = argparse.ArgumentParser(
        "python -m lxmert_data.export",
        description="Writes a store in the format of another code base.",
        epilog=f"formats:\n{formats}\n\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        metavar="STORE... OUT",
        nargs="+",
        help=".safetensors stores, which are written one after the other, and the file or folder to write",
    )
    parser.add_argument("--to", required=True, metavar="FORMAT", help="one of the formats below")
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32", help="of the features (default f32)")
    parser.add_argument("--ids", choices=ID_MODES, help="what images are named by (default: as the format has it)")
    parser.add_argument("--vocab", metavar="DIR", help="folder of objects_vocab.txt, for names of classes")
    parser.add_argument("--shard-mb", type=int, default=256, metavar="N", help="size of a shard in MiB (default 256)")
    parser.add_argument("--force", action="store_true", help="replace an existing export")
    parser.add_argument("--json", action="store_true", help="one JSON event a line on standard output")
    options = parser.parse_intermixed_args(arguments)
    *stores, out = options.paths
    if not stores:
        parser.error("the stores and the output are needed: STORE... OUT")
    report = _Report(events=options.json)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, report.interrupt)
    settings = {
        "dtype": options.dtype,
        "force": options.force,
        "ids": options.ids,
        "vocab": options.vocab,
        "shard_bytes": options.shard_mb << 20,
    }
    callbacks = {"on_progress": report.progress, "on_warning": report.warning}
    try:
        report.result(export_store(stores, out, options.to, **settings, **callbacks))
    except KeyboardInterrupt:
        report.error(
            _Interrupted("interrupted; nothing unfinished has a final name", hint="run the same command again")
        )
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever started this export is gone; closing the stream at the end must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_INTERRUPTED
    except StoreError as error:
        report.error(error)
        return _EXIT_USAGE if isinstance(error, ExportRequestError) else 1
    except OSError as error:
        report.error(OutputError(f"reading or writing failed ({error.strerror or error})", error.filename))
        return 1
    return 0


class _Interrupted(StoreError):
    code = "ERR_INTERRUPTED"


class _Report:
    """Prints what happens: for people or, with `events`, for the program that started this one."""

    def __init__(self, *, events: bool) -> None:
        self._events = events
        self._shown = time.monotonic() if not events else 0.0
        self._interrupted = False

    def interrupt(self, number: int, frame: object) -> None:
        # Not raised here: inside some library's callback it would be lost, and a second one would end the cleaning up.
        self._interrupted = True

    def progress(self, done: int, total: int) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        now = time.monotonic()
        if done < total and now - self._shown < _PROGRESS_SECONDS[self._events]:
            return
        self._shown = now
        if self._events:
            self._emit(event="progress", done=done, total=total)
        else:
            print(f"{done} of {total} images", file=sys.stderr)

    def warning(self, warning: StoreWarning) -> None:
        if self._events:
            self._emit(event="warning", code=warning.code, message=str(warning))
        else:
            print(f"warning: {warning}", file=sys.stderr)

    def error(self, error: StoreError) -> None:
        if self._events:
            parts = {key: getattr(error, key) for key in ("what", "where", "expected", "got", "hint")}
            self._emit(event="error", code=error.code, **parts)
        else:
            print(f"error: {error}", file=sys.stderr)

    def result(self, result: ExportResult) -> None:
        if self._events:
            self._emit(event="result", **dataclasses.asdict(result))
        else:
            print(f"{result.out}: {result.rows} images, {result.bytes / 1e9:.3f} GB as {result.format}")

    def _emit(self, **event: Any) -> None:
        print(json.dumps(event), flush=True)


if __name__ == "__main__":
    sys.exit(main())
