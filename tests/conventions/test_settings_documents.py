"""Documents about settings are generated from the class of the settings."""

from pathlib import Path

from shared import processes
from shared.settings import REQUIRED, Settings
from shared.settings_documents import env_example, markdown_table
from tests.conventions.tracked import text_of

AGAIN = "run bin/settings-docs"


def test_env_example_is_the_one_the_settings_class_makes():
    assert text_of(Path(".env.example")) == env_example(), AGAIN


def test_the_readmes_table_is_the_one_the_settings_class_makes():
    assert markdown_table() in text_of(Path("README.md")), AGAIN


def test_the_readme_names_the_three_required_settings():
    required = {
        name.upper() for name, field in Settings.model_fields.items() if field.is_required()
    }
    assert required == set(REQUIRED)
    assert all(name in text_of(Path("README.md")) for name in required)


def test_the_table_of_processes_is_the_one_that_the_code_follows():
    assert processes.markdown_table() in text_of(Path("docs/processes.md")), AGAIN


def test_every_secret_setting_is_some_processes_own():
    secrets = {name.upper() for name, f in Settings.model_fields.items() if "Secret" in str(f)}
    assert len(secrets) >= 5
    assert secrets <= processes.GUARDED
