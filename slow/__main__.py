"""`python -m slow [TROUBLE …]`: cause each kind of slowness and print the probes' results."""

from __future__ import annotations

import sys

from slow.run import probe, stage_with_relay
from slow.troubles import TROUBLES


def main(names: list[str]) -> None:
    """Run the named kinds of slowness, or all."""
    troubles = [trouble for trouble in TROUBLES if not names or trouble.__name__ in names]
    sys.stdout.write("| while | health | webhook | payment | metrics |\n" + "| --- " * 5 + "|\n")
    for trouble in troubles:
        # Each on its own stage, so that none is affected by the one before.
        with stage_with_relay() as (stage, redis):
            results = probe(stage, redis, trouble)
        cells = " | ".join(str(one) for one in results.values())
        sys.stdout.write(f"| {trouble.__name__.replace('_', ' ')} | {cells} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
