"""`python -m slow [TROUBLE …]`: cause each kind of slowness and print the probes' results."""

from __future__ import annotations

import sys

from slow.run import probe, staged
from slow.troubles import TROUBLES


def main(names: list[str]) -> None:
    """Run the named kinds of slowness, or all."""
    chosen = [trouble for trouble in TROUBLES if not names or trouble.__name__ in names]
    sys.stdout.write("| while | health | webhook | payment | metrics |\n" + "| --- " * 5 + "|\n")
    for trouble in chosen:
        # Each on its own stage, so that none is affected by the one before.
        with staged() as (stage, redis):
            seen = probe(stage, redis, trouble)
        cells = " | ".join(str(one) for one in seen.values())
        sys.stdout.write(f"| {trouble.__name__.replace('_', ' ')} | {cells} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
