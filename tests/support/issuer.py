"""An OpenID Connect issuer: a small HTTP server with real keys."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

type PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)

AUDIENCE = "chat"
CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/keys"

_ALGORITHM_OF_CURVE = {
    "secp256r1": "ES256",
    "secp384r1": "ES384",
    "secp521r1": "ES512",
    "secp256k1": "ES256K",
}


class Key:
    """A key of an issuer, and what the issuer says of it; a field that is None is left out."""

    def __init__(self, private: PrivateKey, **more: Any) -> None:
        self.private = private
        self.id = uuid4().hex
        if isinstance(private, rsa.RSAPrivateKey):
            self.algorithm = "RS256"
            public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        elif isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
            self.algorithm = "EdDSA"
            public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        else:
            self.algorithm = _ALGORITHM_OF_CURVE[private.curve.name]
            public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        listed = {**public, "kid": self.id, "use": "sig", "alg": self.algorithm, **more}
        self.listed = {name: value for name, value in listed.items() if value is not None}

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        return jwt.encode(claims, self.private, self.algorithm, {"kid": self.id, **headers})


def rsa_key(**more: Any) -> Key:
    return Key(rsa.generate_private_key(public_exponent=65537, key_size=2048), **more)


def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1, **more: Any) -> Key:
    return Key(ec.generate_private_key(curve()), **more)


def ed_key(**more: Any) -> Key:
    return Key(ed25519.Ed25519PrivateKey.generate(), **more)


class Issuer:
    """What it answers, and how often it was asked.

    Attributes:
        answers: What is at each path: JSON, bytes, or an error's status.
        asked: How often for each path.
        key: The one that it signs with.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, Any] = {
            CONFIGURATION: {"issuer": url, "jwks_uri": f"{url}{KEYS}"},
        }
        self.key = rsa_key()
        self.list(self.key)

    def list(self, *keys: Key) -> None:
        """Let these be its keys."""
        self.answers[KEYS] = {"keys": [key.listed for key in keys]}

    def claims(self, user_id: str, **changes: Any) -> dict[str, Any]:
        """Make the claims of a good token; one that is None is left out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": user_id, "iat": now, "exp": now + 300}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, user_id: str, **changes: Any) -> str:
        return self.key.sign(self.claims(user_id, **changes))


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Serve an `Issuer` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            serving.asked[self.path] += 1
            answer = serving.answers.get(self.path, 404)
            status, body = (answer, b"") if isinstance(answer, int) else (200, _bytes(answer))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{serving.url}{KEYS}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = Issuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield serving
    server.shutdown()
    server.server_close()
    thread.join()


def _bytes(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else json.dumps(answer).encode()
