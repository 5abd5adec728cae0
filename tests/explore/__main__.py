"""`python -m tests.explore`: search every setting and print a table; exit with 1 on a violation."""

from __future__ import annotations

import argparse
import sys

from tests.explore.explorer import explore, story, table
from tests.explore.settings import SETTINGS


def main() -> int:
    """Search the settings of the command line."""
    parser = argparse.ArgumentParser(prog="bin/explore", description=__doc__)
    parser.add_argument("settings", nargs="*", help="parts of names of settings; all without")
    parser.add_argument("--seconds", type=float, default=180, help="CPU seconds for all settings")
    parser.add_argument("--wide", action="store_true", help="let more go wrong on each path")
    parser.add_argument("--list", action="store_true", help="list the settings and end")
    options = parser.parse_args()
    choice = [one for one in SETTINGS if _matches(one.name, options.settings)]
    if options.list or not choice:
        sys.stdout.write("\n".join(one.name for one in SETTINGS) + "\n")
        return 0 if options.list else 2
    reports, left = [], options.seconds
    for number, one in enumerate(choice):
        # A wide search ends when its time is over, so each setting gets a share.
        share = left / (len(choice) - number) if options.wide else left
        report = explore(one, share, wide=options.wide)
        left = max(0.0, left - report.seconds)
        reports.append(report)
        if report.violation:
            sys.stdout.write(story(report) + "\n\n")
    sys.stdout.write(table(reports) + "\n")
    return int(any(report.violation for report in reports))


def _matches(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


if __name__ == "__main__":
    sys.exit(main())
