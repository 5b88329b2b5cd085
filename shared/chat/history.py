"""The history: read a page of a chat, and the receipts of both users."""

from __future__ import annotations

from functools import partial
from typing import Any

from chat import aws
from chat.chats import Chat, UserId
from chat.client_frame import MAX_TIMESTAMP, ClientFrame
from chat.files import Files
from chat.messages import Messages
from chat.receipts import Receipts
from chat.server_frames import HistoryFrame, batches
from chat.telemetry import count, logger

_MAX_LIMIT = 100
_DEFAULT_LIMIT = 50


class History:
    """Reads what is stored of a chat, for its members."""

    def __init__(self, messages: Messages, receipts: Receipts, files: Files) -> None:
        self._messages = messages
        self._receipts = receipts
        self._files = files

    def page(self, frame: ClientFrame, *, user_id: UserId) -> HistoryFrame:
        """Answer a ``getmessages`` frame with ``chatId``, with the ``history`` frame.

        Raises:
            InvalidRequest: A field is missing or not of the agreed form.
            Forbidden: The user is not in the chat.
            Unavailable: DynamoDB is overloaded or out of reach.
        """
        chat = Chat.from_frame(frame)
        chat.partner_of(user_id)
        limit = (
            frame.optional_whole_number("limit", minimum=1, maximum=_MAX_LIMIT) or _DEFAULT_LIMIT
        )
        before = frame.optional_whole_number("before", maximum=MAX_TIMESTAMP)
        found: list[Any] = aws.in_parallel(
            [
                # One more than asked for, which tells whether there are older ones.
                partial(self._messages.page, chat.id, before=before, limit=limit + 1),
                *(partial(self._receipts.of, chat, member) for member in chat.members),
            ]
        )
        newest_first, *receipts = found
        # What does not fit into the frame is left to the next page.
        page = next(batches(newest_first[:limit], self._files.link, user_id), [])
        count("HistoryPages")
        logger.info("history read", messages=len(page))
        answer = HistoryFrame(
            type="history",
            chatId=chat.id,
            messages=page[::-1],
            more=len(page) < len(newest_first),
            receipts={
                member: times for member, times in zip(chat.members, receipts, strict=True) if times
            },
        )
        if answer["more"]:
            answer["before"] = page[-1]["timestamp"]
        return answer
