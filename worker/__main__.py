"""`python -m worker`: one worker process with the pool and the switches that were measured best."""

from __future__ import annotations

from shared.errors import Misconfigured


def main() -> None:
    """Serve all queues until SIGTERM; exit 2 with every problem of the settings named."""
    try:
        from worker.app import app, settings
    except Misconfigured as error:
        raise SystemExit(f"The worker cannot start.\n{error.detail}") from error
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={settings.worker_concurrency}",
            f"--loglevel={settings.log_level}",
            "--without-gossip",
            "--without-mingle",
        ]
    )


if __name__ == "__main__":
    main()
