"""Frames that are nested more deeply than a parser may follow: each gets an answer."""

import json

import pytest

from tests.support.blocking_client import connect
from tests.support.device import TIMEOUT_S
from tests.support.users import Pair

FRAME_BYTES = 32 * 1024


@pytest.mark.parametrize("depth", [900, 4_000, 9_000, 10_000, 16_000, 40_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")], ids=str
)
def test_nested_frame_gets_an_answer(
    chat_url: str, pair: Pair, opening: str, closing: str, depth: int
) -> None:
    levels = depth // (opening.count("[") + opening.count("{"))
    nested = min(levels, 100_000 // len(opening + closing))
    value = opening * nested + "1" + closing * nested
    with connect(f"{chat_url}?userId={pair.first}", timeout_s=TIMEOUT_S) as client:

        def ask(frame: str) -> str:
            """Return the code of an answer, or the message of API Gateway's own."""
            client.send([frame[at : at + FRAME_BYTES] for at in range(0, len(frame), FRAME_BYTES)])
            answer = json.loads(client.recv(TIMEOUT_S))
            return str(answer.get("code", answer["message"]))

        assert ask(value) == "Forbidden"
        assert ask(f'{{"action":{value}}}') == "Forbidden"
        for_a_function = f'{{"action":"sendmessage","chatId":"{pair.chat_id}","text":{value}}}'
        assert ask(for_a_function) in {"Forbidden", "invalid_request"}
        assert ask('{"action":"sendmessage"}') == "invalid_request"
