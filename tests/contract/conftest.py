"""One contract suite for the sandbox and for Stripe's test mode (STRIPE_CONTRACT_KEY)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from tests import servers
from tests.contract import tools
from tests.contract.cli import Cli
from tests.contract.client import Api
from tests.contract.diary import Diary
from tests.contract.jury import Jury
from tests.contract.oracle import Oracle
from tests.contract.receiver import Receiver, receiving
from tests.contract.side import SANDBOX_KEY, Side, sides
from tests.contract.witness import Witness, WitnessServer

if TYPE_CHECKING:
    from pathlib import Path

ENDIVE = "2026-10-28.endive"
DAHLIA = "2026-08-26.dahlia"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "fake_only(reason): only the sandbox can be made to do this; says why"
    )


@pytest.fixture(scope="session")
def prepared() -> Path:
    """Install the description, the CLI and the Node SDK in .cache/; npm may be missing."""
    if problem := tools.fetch():
        pytest.fail(f"bin/contract --prepare: {problem}", pytrace=False)
    return tools.CACHE


@pytest.fixture(scope="session")
def side() -> Iterator[Side]:
    yield from sides()


@pytest.fixture(scope="session")
def witness(side: Side) -> Iterator[Witness]:
    server = WitnessServer(side.url)
    yield server.witness
    server.close()


@pytest.fixture(scope="session")
def api(side: Side, witness: Witness) -> Api:
    """Return a plain HTTP client without a version header: the account's default version."""
    return Api(witness.url, side.key)


@pytest.fixture(scope="session")
def endive(side: Side, witness: Witness) -> Api:
    """Return a plain HTTP client with the version that the SDKs send."""
    return Api(witness.url, side.key, version=ENDIVE)


@pytest.fixture(scope="session")
def sdk(side: Side, witness: Witness) -> stripe.StripeClient:
    return stripe.StripeClient(side.key, base_addresses={"api": witness.url})


@pytest.fixture
def diary(api: Api, side: Side) -> Diary:
    """Return a reader of Stripe's events about one object."""
    return Diary(api, side)


@pytest.fixture(scope="session")
def jury(prepared: Path, witness: Witness, api: Api) -> Jury:
    jury = Jury(Oracle.load(tools.DESCRIPTION))
    jury.attend(witness, api)
    return jury


@pytest.fixture(autouse=True)
def judged(request: pytest.FixtureRequest) -> Jury:
    """Validate the answers of every test; `pytest_runtest_call` reads the verdict."""
    marker = request.node.get_closest_marker("fake_only")
    if marker and os.environ.get("STRIPE_CONTRACT_KEY"):
        pytest.skip(marker.kwargs["reason"])
    jury: Jury = request.getfixturevalue("jury")
    return jury


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def fresh_sandbox(jury: Jury) -> Iterator[Callable[..., tuple[Side, Api]]]:
    """Start separate sandboxes for tests that would disturb the shared one."""
    with ExitStack() as running:

        def start(**environment: str) -> tuple[Side, Api]:
            url = running.enter_context(servers.sandbox(**environment))
            server = WitnessServer(url)
            running.callback(server.close)
            own_api = Api(server.witness.url, SANDBOX_KEY)
            jury.attend(server.witness, own_api)
            return Side(url, SANDBOX_KEY, is_fake=True), own_api

        yield start
        del jury.seats[1:]


@pytest.fixture(scope="session")
def cli(
    side: Side, witness: Witness, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Cli:
    binary = stripe_cli(prepared)
    return Cli(binary, witness.url, side.key, str(tmp_path_factory.mktemp("stripe-cli")))


def stripe_cli(prepared: Path) -> str:
    """Return the path of the real CLI, or skip with the reason."""
    binaries = sorted(prepared.glob("stripe-cli/*/node_modules/@stripe/cli-*/bin/stripe*"))
    if not binaries:
        pytest.skip("the Stripe CLI comes by npm, which is not on this machine")
    return str(binaries[0])


@pytest.fixture(scope="session")
def node_sdk(prepared: Path) -> Path:
    """Return the folder that holds stripe-node, or skip with the reason."""
    if not shutil.which("node") or not (prepared / "contract/node/node_modules/stripe").exists():
        pytest.skip("stripe-node needs node and npm, which are not on this machine")
    return prepared / "contract/node"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test in which the sandbox gave an answer that the description forbids."""
    result = yield
    jury: Jury | None = item.funcargs.get("judged")
    if jury is not None:
        before = jury.answers, jury.events
        complaints = jury.verdict()
        item.user_properties += [
            ("answers", jury.answers - before[0]),
            ("events", jury.events - before[1]),
        ]
        if complaints:
            pytest.fail("not as Stripe's description says:\n  " + "\n  ".join(complaints), False)
    return result


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sums = {"answers": 0, "events": 0}
    for report in [r for reports in terminalreporter.stats.values() for r in reports]:
        for name, count in getattr(report, "user_properties", []):
            if name in sums and report.when == "call":
                sums[name] += count
    if sums["answers"]:
        terminalreporter.write_line(
            f"contract: {sums['answers']} answers and {sums['events']} events "
            "judged by Stripe's OpenAPI description"
        )
