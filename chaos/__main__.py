"""`python -m chaos`: make a run and print its results; exit with 1 when a promise was broken."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, fields
from datetime import UTC, datetime

from chaos.run import Plan, Result, run
from chaos.unprotected import PROTECTIONS

EXAMPLES = 3  # examples of each violation; --json prints all


def main() -> int:
    """Make the run of the command line."""
    arguments = _parser().parse_args()
    names = {field.name for field in fields(Plan)}
    plan = Plan(**{k: v for k, v in vars(arguments).items() if k in names})
    result = run(plan, _progress)
    if arguments.json:
        sys.stdout.write(json.dumps(asdict(result) | {"clean": result.clean}, indent=2) + "\n")
    else:
        sys.stdout.write(render(result))
    return 0 if result.clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bin/chaos", description=__doc__)
    defaults = Plan()
    for name, kind, text in (
        ("seed", int, "seed of the customers' actions and of the order of the disturbances"),
        ("events", int, "end after this many Stripe events"),
        ("kills", int, "processes to kill with SIGKILL"),
        ("restarts", int, "processes to stop with SIGTERM and start again"),
        ("freezes", int, "workers to freeze for longer than a lease"),
        ("wipes", int, "how often Redis loses all its data"),
        ("disturbances", int, "how often Stripe, the event service or the webhooks misbehave"),
        ("workers", int, "worker processes"),
        (
            "notifiers",
            int,
            "processes that only deliver notifications; 0: workers serve all queues",
        ),
        ("customers", int, "customers at a time"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{text} ({default})")
    for option, name, text in (
        ("--duration", "duration_seconds", "end after this many seconds at the latest"),
        ("--patience", "patience_seconds", "seconds to wait at the end until all work is done"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(
            option, dest=name, type=float, default=default, help=f"{text} ({default})"
        )
    parser.add_argument(
        "--without", choices=PROTECTIONS, help="disable one protection; the run must then fail"
    )
    parser.add_argument(
        "--skews",
        type=lambda text: tuple(float(seconds) for seconds in text.split(",") if seconds),
        default=defaults.skews,
        help="seconds by which the clocks of workers and upkeep are ahead, each process the next "
        "(3,-3,7200,-7200); empty: every clock is right",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def _progress(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


def render(result: Result) -> str:
    """Format a result for a person."""
    plan, quiet = result.plan, result.seconds_to_quiet
    without = f", WITHOUT {plan.without}" if plan.without else ""
    figures: dict[str, object] = dict(result.findings.counts)
    figures |= {
        "kills": f"{sum(result.kills.values())} {_detail(result.kills)}",
        "restarts": f"{sum(result.restarts.values())} {_detail(result.restarts)}",
        "freezes": result.freezes,
        "wipes": result.wipes,
        "faults": f"{sum(result.faults.values())} {_detail(result.faults)}",
    }
    lines = [f"seed {plan.seed}{without}: {result.seconds:.0f} s of disturbances", ""]
    lines += [_line(name, value) for name, value in figures.items()]
    lines += ["", "  must be 0:"]
    for name, violations in result.findings.violations.items():
        lines.append(_line(name, len(violations)))
        lines += [f"      {example}" for example in violations[:EXAMPLES]]
    took = "never" if quiet is None else f"{quiet:.1f} s"
    verdict = "every promise was kept" if result.clean else "PROMISES WERE BROKEN"
    return "\n".join([*lines, "", f"  time to quiet: {took}", f"  {verdict}", ""])


def _line(name: str, value: object) -> str:
    figure, _, detail = str(value).partition(" ")
    return f"  {name.replace('_', ' '):<38}{figure:>9}  {detail}".rstrip()


def _detail(counts: dict[str, int]) -> str:
    return "(" + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) + ")"


if __name__ == "__main__":
    sys.exit(main())
