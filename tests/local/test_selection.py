import pytest

from local.gateway.selection import select_route
from local.template.model import Api

ROUTES = {"chat", "1", "1.5", "true", "a/b", '{"x":1}'}


@pytest.mark.parametrize(
    ("expression", "frame", "key"),
    [
        ("$request.body.action", '{"action": "chat"}', "chat"),
        ("${request.body.action}", '{"action": "chat"}', "chat"),
        ("$request.body.meta.kind", '{"meta": {"kind": "chat"}}', "chat"),
        ("$request.body.kinds[1]", '{"kinds": ["other", "chat"]}', "chat"),
        ("${request.body.a}/${request.body.b}", '{"a": "a", "b": "b"}', "a/b"),
        ("$request.body.action", '{"action": 1}', "1"),
        ("$request.body.action", '{"action": 1.5}', "1.5"),
        ("$request.body.action", '{"action": true}', "true"),
        ("$request.body.action", '{"action": {"x": 1}}', '{"x":1}'),
        ("$request.body.action", '{"action": "Chat"}', None),
        ("$request.body.action", '{"action": null}', None),
        ("$request.body.action.deeper", '{"action": "chat"}', None),
        ("$request.body.kinds[7]", '{"kinds": ["chat"]}', None),
        ("$request.body.action", "chat", None),
        ("$request.body.action", "", None),
    ],
)
def test_selection_expression_is_evaluated_on_the_body(
    expression: str, frame: str, key: str | None
) -> None:
    assert select_route(expression, frame, ROUTES) == key


@pytest.mark.parametrize("frame", ['{"action": "nowhere"}', "{}", "[]", "text", ""])
def test_frame_that_matches_no_key_goes_to_default(frame: str) -> None:
    assert select_route("$request.body.action", frame, {"chat", "$default"}) == "$default"


@pytest.mark.parametrize(
    "nested",
    ["[" * 20_000 + "]" * 20_000, '{"a":' * 20_000 + "1" + "}" * 20_000],
    ids=["lists", "objects"],
)
def test_frame_that_is_nested_too_deeply_goes_to_default(nested: str) -> None:
    for frame in (nested, f'{{"action":{nested}}}', f'{{"action":"chat","more":{nested}}}'):
        assert select_route("$request.body.action", frame, {"chat", "$default"}) == "$default"
        assert select_route("$request.body.action", frame, {"chat"}) is None


def test_frame_can_select_disconnect() -> None:
    frame = '{"action": "$disconnect"}'
    assert select_route("$request.body.action", frame, {"$disconnect"}) == "$disconnect"


@pytest.mark.parametrize(
    ("expression", "understood"),
    [
        ("$request.body.action", True),
        ("${request.body.a}-${request.body.b}", True),
        ("fixed", True),
        ("$request.header.action", False),
        ("$context.routeKey", False),
    ],
)
def test_expression_on_anything_but_the_body_is_recognised(
    expression: str, understood: bool
) -> None:
    api = Api("a123456789", "prod", "us-east-1", {}, expression)
    assert api.selects_by_body_alone is understood
