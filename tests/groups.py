"""Which tests run in one process, one after the other: those of a file, and of files that share.

pytest-xdist's own `--dist loadgroup` has no effect with pytest 9.2, which no longer reads the name
that it writes: every test went to whichever process was free.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# The folders by the duration of their files, so that no long file begins last.
LONGEST_FIRST = ("e2e", "explore", "contract", "integration", "unit", "conventions")
# The files that share a running service, and those that take long alone; the longest comes first.
GROUPS = {
    # The pages first: axe looks at every row, and the others make hundreds.
    "console": (
        "e2e/test_console_pages.py",
        "e2e/test_console_lists.py",
        "e2e/test_console.py",
        "e2e/test_console_event.py",
        "e2e/test_flower_failures.py",
    ),
    "open service": (
        "e2e/test_readme_story.py",
        "e2e/test_demo.py",
        "e2e/test_person_pays.py",
        "e2e/test_flower.py",
    ),
    # In this order: the attacks' counts leave no room for another test's payments before them.
    "guarded service": ("e2e/test_attack.py", "e2e/test_no_secret_leaves.py"),
    "supervision": ("e2e/test_app_supervision.py",),
    "installation": ("e2e/test_installation.py",),
    "doctor": ("integration/test_doctor_trials.py",),
    "unknown outcomes": ("integration/test_unknown_outcomes.py",),
    "replication": ("integration/test_replicated.py",),
    "reconcile": ("integration/test_reconcile.py",),
    "command line": ("integration/test_command_line.py",),
}
# Files about requests and answers, whose tests have a store only because a service needs one.
ABOUT_HTTP = {
    f"integration/test_{name}.py"
    for name in ("access", "bodies", "console", "front", "hosts", "problems", "schemas")
}
# Files whose tests share nothing: each goes to whichever process is free, for some take a minute.
APART = ("explore/test_explorer.py",)
GROUP_OF = {file: name for name, files in GROUPS.items() for file in files}
PLACES = {name: place for place, name in enumerate(GROUPS)}
ORDER = {file: place for files in GROUPS.values() for place, file in enumerate(files)}


def group_of(node_id: str) -> str:
    """Return the group of a test, given its id: a name of GROUPS, its file, or itself alone."""
    file = node_id.partition("::")[0].removeprefix("tests/")
    return node_id if file in APART else GROUP_OF.get(file, file)


def place_of(node_id: str) -> tuple[int, int, int]:
    """Return what to sort tests by; those of equal place keep their order."""
    file = node_id.partition("::")[0].removeprefix("tests/")
    folder = LONGEST_FIRST.index(file.partition("/")[0])
    return folder, PLACES.get(group_of(node_id), len(PLACES)), ORDER.get(file, 0)


class WholeGroups(LoadScopeScheduling):
    """Hands each process of a run whole groups of tests, in the order of the groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
