"""Generate `.env.example`, the README's table and a part of the compose file from the settings.

python -m shared.settings_documents --env-example | --markdown
"""

from __future__ import annotations

import sys

from shared.processes import GUARDED
from shared.settings import REQUIRED, Settings

# Settings that the compose file sets for each process.
_FIXED_IN_CONTAINERS = frozenset(
    {"ALLOWED_HOSTS", "DATA_DIR", "HEARTBEAT_FILE", "HOST", "PORT", "REDIS_URL", "WORKER_QUEUES"}
)
_PLACEHOLDERS = {
    "STRIPE_SECRET_KEY": "your_stripe_secret_key",
    "STRIPE_WEBHOOK_SECRET": "your_stripe_webhook_secret",
    "EVENT_SERVICE_URL": "http://event-service:5000",
}


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None or value == {} else str(value)


def env_example() -> str:
    """Render `.env.example`: the required variables set to be filled in, the rest commented."""
    blocks = ["# Copy to .env. The first three are required; the rest show their defaults.\n"]
    for name, field in Settings.model_fields.items():
        variable = name.upper()
        lines = [f"# {field.description}"]
        if variable in REQUIRED:
            lines.append(f"{variable}={_PLACEHOLDERS[variable]}")
        else:
            lines.append(f"# {variable}={_text(field.default)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def markdown_table() -> str:
    """Render the README's table of settings."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        variable = name.upper()
        default = "required" if variable in REQUIRED else f"`{_text(field.default)}`"
        default = "–" if default == "``" else default
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def compose_environment() -> str:
    """Render the settings that the compose file gives to every process: all but secrets."""
    names = (name.upper() for name in Settings.model_fields)
    common = (name for name in names if name not in GUARDED | _FIXED_IN_CONTAINERS)
    return "".join(f"  {name}: ${{{name}:-}}\n" for name in common)


if __name__ == "__main__":
    sys.stdout.write(markdown_table() if "--markdown" in sys.argv[1:] else env_example())
