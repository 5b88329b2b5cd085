"""``sendmessage``: store a message, push it to both sides' devices, acknowledge it."""

from chat.connections import Connections
from chat.delivery import Delivery
from chat.messages import Message, Messages
from chat.push import Push
from chat.websocket import Request, handler

connections = Connections.from_environment()
delivery = Delivery(connections, Messages.from_environment(), Push.from_environment())


@handler
def lambda_handler(request: Request) -> dict[str, object]:
    """Answer with the ``ack``."""
    message = Message.draft(
        request.frame(),
        sender_id=connections.user_of(request.connection_id),
        received_at=request.received_at,
    )
    return delivery.send(message, came_from=request.connection_id)
