"""Documents about notifications are generated from the model that builds them."""

import json
from pathlib import Path

from api.contract import text
from shared.notification import DATA_FIELDS, TYPES, Notification, example, markdown
from tests.conventions.tracked import text_of


def test_the_page_of_notifications_is_the_one_the_model_makes():
    assert text_of(Path("docs/notifications.md")) == markdown(), "run bin/notification-docs"


def test_the_readme_names_every_type():
    readme = text_of(Path("README.md"))
    assert all(f"`{name}`" in readme or f"`.{name.split('.')[1]}`" in readme for name in TYPES)


def test_every_example_is_a_notification_that_fills_what_its_type_fills():
    for name, telling in TYPES.items():
        data = Notification.model_validate(example(name)).data.model_dump()
        assert all(data[field] is not None for field in telling.always)
        assert {*telling.always, *telling.sometimes} <= set(DATA_FIELDS)


def test_the_contract_has_a_webhook_with_an_example_for_every_type():
    document = json.loads(text())
    assert list(document["webhooks"]) == sorted(TYPES)
    for name, path in document["webhooks"].items():
        content = path["post"]["requestBody"]["content"]["application/json"]
        assert Notification.model_validate(content["example"]).type == name
        assert content["schema"]["$ref"].rpartition("/")[2] in document["components"]["schemas"]
