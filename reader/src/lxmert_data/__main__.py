"""python -m lxmert_data: info and verify."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Sequence

from .errors import StoreError, StoreWarning
from .store import FeatureStore
from .verify import verify_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 when all is well, 1 when something is wrong with a store."""
    parser = argparse.ArgumentParser("python -m lxmert_data", description="Look at lxmert-data stores.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, description in (
        ("info", "print what a store says of itself; reads the header only"),
        ("verify", "read stores whole and compare them with their checksums"),
    ):
        command = commands.add_parser(name, help=description, description=description)
        command.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args(arguments)
    run = _print_info if options.command == "info" else _verify
    failed = False
    for path in options.files:
        try:
            failed = not run(path) or failed
        except (StoreError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


def _print_info(path: str) -> bool:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", StoreWarning)
        store = FeatureStore(path)
    with store:
        print(f"{path}: {len(store)} images, {store.dtype}, {os.path.getsize(path)} bytes")
        for key, value in store.metadata.items():
            print(f"  {key}: {value if isinstance(value, str) else json.dumps(value)}")
        if len(store):
            print(f"  img_id: {json.dumps(store.ids[0])} ... {json.dumps(store.ids[-1])}")
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    return True


def _verify(path: str) -> bool:
    report = verify_file(path)
    for problem in report.problems:
        print(f"{path}: {problem}")
    for image in report.damaged:
        print(f"{path}: {image}")
    count = len(report.problems) + len(report.damaged)
    print(f"{path}: {report.rows} images, " + ("all as written" if report.ok else f"{count} problems"))
    return report.ok


if __name__ == "__main__":
    sys.exit(main())
