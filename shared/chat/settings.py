"""The environment variables. `template-python.yaml` gives each function only those that it uses.

Each raises `KeyError` where the template did not set it.
"""

import os


def connections_table() -> str:
    """Name ``ChatConnections``, as deployed. Read by every function."""
    return os.environ["CONNECTIONS_TABLE"]


def messages_table() -> str:
    """Name ``ChatMessages``, as deployed. Read by send_message."""
    return os.environ["MESSAGES_TABLE"]


def send_message_function() -> str:
    """Name the function that catches up, as deployed. Read by on_connect."""
    return os.environ["SEND_MESSAGE_FUNCTION"]


def max_connections() -> int:
    """Say how many connections a user may have; 0 if any number. Read by on_connect."""
    return int(os.environ["MAX_CONNECTIONS"])


def jwt_issuer() -> str:
    """Name the issuer whose tokens are needed to connect; empty if none are. Read by on_connect."""
    return os.environ["JWT_ISSUER"]


def jwt_audience() -> str:
    """Name whom tokens must be meant for. Read by on_connect, with an issuer."""
    return os.environ["JWT_AUDIENCE"]


def jwt_user_claim() -> str:
    """Name the claim that is the user's id. Read by on_connect, with an issuer."""
    return os.environ["JWT_USER_CLAIM"]


def jwks_url() -> str:
    """Say where the issuer's keys are; empty if it says so itself. Read by on_connect, as above."""
    return os.environ["JWKS_URL"]


def files_bucket() -> str:
    """Name the bucket of the files. Read by send_message and send_file."""
    return os.environ["FILES_BUCKET"]


def allowed_content_types() -> frozenset[str]:
    """List the content types that may be uploaded, in lower case. Read by send_file."""
    return frozenset(
        content_type.strip().lower()
        for content_type in os.environ["ALLOWED_CONTENT_TYPES"].split(",")
    )


def max_file_bytes() -> int:
    """Say how large a file may be, in bytes. Read by send_message and send_file."""
    return int(os.environ["MAX_FILE_BYTES"])


def shows_files_in_place() -> bool:
    """Say whether browsers may show files. Read by send_message and send_file."""
    return os.environ["SHOW_FILES_IN_PLACE"] == "true"
