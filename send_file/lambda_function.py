"""``sendfile``: hand out a link to upload a file with. The bytes go straight to S3."""

from chat.connections import Connections
from chat.files import Files
from chat.telemetry import count, logger
from chat.websocket import Request, handler

connections = Connections.from_environment()
files = Files.from_environment()


@handler
def lambda_handler(request: Request) -> dict[str, object]:
    """Answer with the ``upload`` link."""
    sender_id = connections.user_of(request.connection_id)
    upload = files.check(request.frame(), sender_id=sender_id)
    count("Uploads")
    logger.info("upload link made", content_type=upload.content_type, size=upload.size)
    return files.presign(upload)
