"""The environment variables. `template-python.yaml` gives each function only those that it uses.

Each raises `KeyError` where the template did not set it.
"""

import os


def connections_table() -> str:
    """Return the name of ``ChatConnections``. Read by every function."""
    return os.environ["CONNECTIONS_TABLE"]


def messages_table() -> str:
    """Return the name of ``ChatMessages``. Read by send_message."""
    return os.environ["MESSAGES_TABLE"]


def send_message_function() -> str:
    """Return the name of the function that runs catch-ups. Read by on_connect."""
    return os.environ["SEND_MESSAGE_FUNCTION"]


def max_connections() -> int:
    """Return the connection limit; 0 for none. Read by on_connect."""
    return int(os.environ["MAX_CONNECTIONS"])


def jwt_issuer() -> str:
    """Return the issuer of the tokens; empty in the open mode. Read by on_connect."""
    return os.environ["JWT_ISSUER"]


def jwt_audience() -> str:
    """Return the audience that tokens must have. Read by on_connect, with an issuer."""
    return os.environ["JWT_AUDIENCE"]


def jwt_user_claim() -> str:
    """Return the claim that holds the user's id. Read by on_connect, with an issuer."""
    return os.environ["JWT_USER_CLAIM"]


def jwks_url() -> str:
    """Return the URL of the issuer's keys; empty to discover it. Read by on_connect, as above."""
    return os.environ["JWKS_URL"]


def files_bucket() -> str:
    """Return the name of the files' bucket. Read by send_message and send_file."""
    return os.environ["FILES_BUCKET"]


def allowed_content_types() -> frozenset[str]:
    """Return the content types that may be uploaded, in lower case. Read by send_file."""
    return frozenset(
        content_type.strip().lower()
        for content_type in os.environ["ALLOWED_CONTENT_TYPES"].split(",")
    )


def max_file_bytes() -> int:
    """Return the maximum size of a file, in bytes. Read by send_message and send_file."""
    return int(os.environ["MAX_FILE_BYTES"])


def shows_files_in_place() -> bool:
    """Return whether browsers may show files. Read by send_message and send_file."""
    return os.environ["SHOW_FILES_IN_PLACE"] == "true"
