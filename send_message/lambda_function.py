"""``sendmessage``: store a message, push it to the devices of both users, acknowledge it.

``getmessages``: read what is stored. This function owns delivery, so it also pushes to a new
connection what its user missed, when on_connect asks for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.catch_up import CatchUp
from chat.catch_up_request import CatchUpRequest
from chat.connections import Connections
from chat.delivery import Delivery
from chat.fan_out import FanOut
from chat.files import Files
from chat.history import History
from chat.messages import Messages, NewMessage
from chat.push import Push
from chat.server_frames import ServerFrame
from chat.telemetry import instrumented, logger
from chat.websocket import Event, Reply, Request, handler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

connections = Connections.from_environment()
messages = Messages.from_environment()
files = Files.from_environment()
push = Push.from_environment()
delivery = Delivery(messages, files, FanOut(connections, push))
history = History(messages, files)
catch_up = CatchUp(connections, messages, files, push)


def lambda_handler(event: Event, context: LambdaContext) -> Reply | None:
    """Answer API Gateway, or on_connect."""
    if request := CatchUpRequest.in_event(event):
        return run_catch_up(request, context)
    return answer(event, context)


@handler
def answer(request: Request) -> ServerFrame:
    """Answer with the ``ack``, with a page of a chat, or, after a catch-up, with ``synced``."""
    user_id = connections.user_of(request.connection_id)
    frame = request.frame()
    if request.action != "getmessages":
        message = NewMessage.from_frame(frame, sender_id=user_id, received_at=request.received_at)
        return delivery.send(message, came_from=request.connection_id)
    if catch_up_request := CatchUpRequest.in_frame(frame, request, user_id):
        return catch_up.answer(catch_up_request)
    return history.page(frame, user_id=user_id)


@instrumented
def run_catch_up(request: CatchUpRequest, _context: LambdaContext) -> None:
    """Push what was missed; an exception makes Lambda run it again."""
    logger.append_keys(connection_id=request.connection_id)
    catch_up.run(request)
