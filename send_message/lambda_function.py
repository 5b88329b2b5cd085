"""``sendmessage``: store a message, push it to both sides' devices, acknowledge it.

This function owns delivery, so it also replays to a new connection what its user missed, when
on_connect asks for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.catch_up import CatchUp
from chat.connections import Connections
from chat.delivery import Delivery
from chat.files import Files
from chat.messages import Message, Messages
from chat.push import Push
from chat.replay import Replay
from chat.telemetry import instrumented, logger
from chat.websocket import Event, Reply, Request, handler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

connections = Connections.from_environment()
messages = Messages.from_environment()
files = Files.from_environment()
push = Push.from_environment()
delivery = Delivery(connections, messages, files, push)
replay = Replay(connections, messages, files, push)


def lambda_handler(event: Event, context: LambdaContext) -> Reply | None:
    """Answer API Gateway, or on_connect."""
    if wanted := CatchUp.in_event(event):
        return catch_up(wanted, context)
    return send(event, context)


@handler
def send(request: Request) -> dict[str, object]:
    """Answer with the ``ack``."""
    message = Message.draft(
        request.frame(),
        sender_id=connections.user_of(request.connection_id),
        received_at=request.received_at,
    )
    return delivery.send(message, came_from=request.connection_id)


@instrumented
def catch_up(wanted: CatchUp, _context: LambdaContext) -> None:
    """Replay; an exception makes Lambda run it again."""
    logger.append_keys(connection_id=wanted.connection_id)
    replay.run(wanted)
