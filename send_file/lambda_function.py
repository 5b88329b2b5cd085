"""``sendfile``: hand out a link to upload or download a file. The bytes never pass through here."""

from chat.authentication import FrameAuthentication
from chat.connections import Connections
from chat.files import Files
from chat.push import Push
from chat.server_frames import Download, Upload
from chat.uploads import Uploads
from chat.websocket import Request, handler

authentication = FrameAuthentication(
    Connections.from_environment(), Push.from_environment(lazily=True)
)
uploads = Uploads.from_environment()
files = Files.from_environment()


@handler
def lambda_handler(request: Request) -> Upload | Download:
    """Answer with the ``upload`` link, or with the ``download`` link."""
    user_id = authentication.authenticate(request).user_id
    frame = request.frame()
    if frame.has("fileKey"):
        return files.download_link(frame, user_id=user_id)
    return uploads.upload_link(frame, user_id=user_id)
