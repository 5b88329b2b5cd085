"""``sendmessage``: store a message, push it to the devices of both users, acknowledge it.

``getmessages``: read what is stored. This function owns delivery, so it also pushes to a new
connection what its user missed, when on_connect asks for that, and sends what a server asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.authentication import FrameAuthentication
from chat.catch_up import CatchUp
from chat.catch_up_request import CatchUpRequest
from chat.chats import UserId
from chat.client_frame import ClientFrame
from chat.connections import Connections, Origin
from chat.delivery import Delivery
from chat.fan_out import FanOut
from chat.files import Files
from chat.history import History
from chat.messages import Messages
from chat.push import Push
from chat.rate_limit import RateLimit
from chat.receipts import Receipts
from chat.server_frames import Ack, Answer, SignalAck
from chat.server_request import answer_as_frame, is_from_server, sender_in
from chat.signals import Signals, is_signal
from chat.telemetry import instrumented, logger
from chat.waiting_topic import WaitingTopic
from chat.websocket import Event, Request, handler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

connections = Connections.from_environment()
messages = Messages.from_environment()
files = Files.from_environment()
push = Push.from_environment()
rate_limit = RateLimit.from_environment()
receipts = Receipts.from_environment()
authentication = FrameAuthentication(connections, push)
fan_out = FanOut(connections, push)
delivery = Delivery(messages, files, fan_out, WaitingTopic.from_environment())
signals = Signals(messages, receipts, fan_out)
history = History(messages, receipts, files)
catch_up = CatchUp(connections, messages, files, push)


def lambda_handler(event: Event, context: LambdaContext) -> Any:
    """Answer API Gateway, on_connect, or a server."""
    if request := CatchUpRequest.in_event(event):
        return run_catch_up(request, context)
    if is_from_server(event):
        return answer_as_frame(event, context, answer_server)
    return answer(event, context)


@handler
def answer(request: Request) -> Answer:
    """Answer with an ``ack``, with a page of a chat, or, after a catch-up, with ``synced``."""
    rate_limit.admit(request.connection_id)
    connection = authentication.authenticate(request)
    frame = request.frame()
    if request.action != "getmessages":
        return send(request, frame, connection.user_id, came_from=request.connection_id)
    if wanted := CatchUpRequest.in_frame(frame, request, connection):
        return catch_up.answer(wanted)
    return history.page(frame, user_id=connection.user_id)


@handler
def answer_server(request: Request) -> Answer:
    """Answer a server with an ``ack``. It has no connection to authenticate, or to limit."""
    logger.append_keys(origin="invoke")
    frame = request.frame()
    return send(request, frame, sender_in(frame), came_from=None)


def send(
    request: Request, frame: ClientFrame, user_id: UserId, *, came_from: Origin
) -> Ack | SignalAck:
    """Send a message, or a signal."""
    return (signals if is_signal(frame) else delivery).send(
        frame,
        user_id=user_id,
        came_from=came_from,
        received_at=request.received_at,
    )


@instrumented
def run_catch_up(request: CatchUpRequest, _context: LambdaContext) -> None:
    """Push what was missed; an exception makes Lambda run it again."""
    logger.append_keys(connection_id=request.connection_id)
    catch_up.run(request)
