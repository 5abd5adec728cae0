from __future__ import annotations

import pytest

from sandbox.wire import forms
from sandbox.world.errors import StripeError


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("k[]=x&k[]=y", {"k": ["x", "y"]}),
        ("k[0]=x&k[1]=y", {"k": ["x", "y"]}),
        ("k[1]=y&k[0]=x", {"k": ["x", "y"]}),
        ("k[10]=c&k[9]=b&k[2]=a", {"k": ["a", "b", "c"]}),
        ("i[0][p]=a&i[0][q]=2&i[1][p]=b", {"i": [{"p": "a", "q": "2"}, {"p": "b"}]}),
        ("i[][p]=a&i[][q]=2&i[][p]=b", {"i": [{"p": "a", "q": "2"}, {"p": "b"}]}),
        ("metadata[a%20b]=%C3%BC", {"metadata": {"a b": "ü"}}),
    ],
)
def test_every_spelling_of_a_tree_is_understood(text: str, tree: object) -> None:
    assert forms.decode(text) == tree


@pytest.mark.parametrize("text", ["a[=1", "[a]=1", "a=1&a[b]=2"])
def test_what_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(StripeError) as refusal:
        forms.decode(text)
    assert refusal.value.status == 400
