"""The whole service on one machine: `python app.py`, or `python app.py --sandbox` to try it."""

import argparse
import sys

UNUSABLE = 2  # exit status: nothing was started, somebody has to change a setting


def main() -> int:
    """Start everything in the foreground and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Run the billing service in the foreground: API, worker, upkeep and Flower, "
        "with an embedded Valkey unless REDIS_URL is set. Needs STRIPE_SECRET_KEY, "
        "STRIPE_WEBHOOK_SECRET and EVENT_SERVICE_URL, from the environment or .env."
    )
    parser.add_argument(
        "--sandbox",
        action="store_true",
        help="use the sandbox in place of Stripe: no account, no money, no other settings needed",
    )
    arguments = parser.parse_args()
    try:
        from shared.lasting_imports import lasting_imports

        with lasting_imports():
            from local.run import run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"The service cannot start: Python finds no module {error.name!r} "
            f"({sys.executable}).\nInstall what it needs: pip install -r requirements.txt "
            "(or use make run, which does that by itself)\n"
        )
        return UNUSABLE
    except KeyboardInterrupt:
        return 0  # nothing has been started yet
    return run(sandbox=arguments.sandbox)


if __name__ == "__main__":
    sys.exit(main())
