"""An OIDC issuer on loopback, for tests and for developers: real keys, a key set, any token.

`python -m tests.auth.issuer --role planner` serves until it is interrupted and prints the settings
to export and a token to call with. It can also misbehave in every way a test asks for.
"""

import argparse
import base64
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "bailiwick-api"
DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/keys"
Misbehaviour = Literal[
    "error", "hang", "huge", "endless", "html", "list", "redirect", "wrong-issuer", "no-keys",
    "junk-keys", "symmetric", "user-in-address", "no-keys-address", "cut-off",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and the name and algorithm under which its public half is published."""

    kid: str | None
    algorithm: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @classmethod
    def rsa(cls, kid: str | None = None, bits: int = 2048) -> "KeyPair":
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        return cls(kid or f"rsa-{uuid.uuid4().hex[:8]}", "RS256", private)

    @classmethod
    def ec(cls, kid: str | None = None) -> "KeyPair":
        private = ec.generate_private_key(ec.SECP256R1())
        return cls(kid or f"ec-{uuid.uuid4().hex[:8]}", "ES256", private)

    def published(self) -> dict[str, Any]:
        """Return the public half as a JSON Web Key."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            document = RSAAlgorithm.to_jwk(public, as_dict=True)
        else:
            document = ECAlgorithm.to_jwk(public, as_dict=True)
        named = {} if self.kid is None else {"kid": self.kid}
        return {**document, **named, "use": "sig", "alg": self.algorithm}


class Issuer:
    """A running issuer; `hits` counts the requests to each path."""

    def __init__(self, port: int = 0) -> None:
        self.keys = [KeyPair.rsa(), KeyPair.ec()]
        self.hits: Counter[str] = Counter()
        self.misbehaves: Misbehaviour | None = None
        self.extra_keys: list[Any] = []
        self.delay_s = 0.0
        self.closing = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def settings(self) -> dict[str, Any]:
        """Return what the service needs to know of this issuer, by names of settings."""
        return {"oidc_issuer": self.url, "oidc_audience": AUDIENCE}

    def rotate(self) -> None:
        """Sign with new keys from now on, and forget the old ones."""
        self.keys = [KeyPair.rsa(), KeyPair.ec()]

    def key(self, algorithm: str = "RS256") -> KeyPair:
        return next(key for key in self.keys if key.algorithm == algorithm)

    def claims(self, role: str | None = "planner", **changes: Any) -> dict[str, Any]:
        """Return the claims of a good token, with changes; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": AUDIENCE, "sub": f"{role}-1", "iat": now, "nbf": now,
            "exp": now + 300, "jti": uuid.uuid4().hex, "bailiwick_role": role, **changes,
        }  # fmt: skip
        return {name: value for name, value in claims.items() if value is not None}

    def mint(
        self,
        role: str | None = "planner",
        *,
        key: KeyPair | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a signed token; `header` adds members, and None takes one away."""
        key = key or self.key()
        members = {"typ": "at+jwt", "alg": key.algorithm, "kid": key.kid, **(header or {})}
        members = {name: value for name, value in members.items() if value is not None}
        return sign(members, self.claims(role, **claims), key)


def sign(header: dict[str, Any] | str, claims: dict[str, Any] | str, key: KeyPair) -> str:
    """Sign any header and claims, or texts in their place, with what the key really is."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    signed = ".".join(encoded(text) for text in texts)
    signer = jwt.get_algorithm_by_name(key.algorithm)
    return f"{signed}.{encoded(signer.sign(signed.encode(), key.private))}"


def encoded(part: str | bytes) -> str:
    """Return base64url without padding."""
    raw = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def running_issuer(port: int = 0) -> Iterator[Issuer]:
    issuer = Issuer(port)
    try:
        yield issuer
    finally:
        issuer.close()


def _handler_of(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.hits[self.path] += 1
            issuer.closing.wait(issuer.delay_s)
            odd = ODDITIES.get(issuer.misbehaves or "")
            if odd is not None:
                odd(self, issuer)
            elif self.path == DISCOVERY:
                self.answer(_discovery(issuer))
            elif self.path == KEYS:
                self.answer(_key_set(issuer))
            else:
                self.send_error(404)

        def answer(self, document: Any, kind: str = "application/json") -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Stay silent; `hits` tells the tests what was asked for."""

    return Handler


def _discovery(issuer: Issuer) -> dict[str, Any]:
    document = {"issuer": issuer.url, "jwks_uri": issuer.url + KEYS}
    if issuer.misbehaves == "wrong-issuer":
        document["issuer"] += "/"
    if issuer.misbehaves == "user-in-address":
        document["jwks_uri"] = document["jwks_uri"].replace("://", "://me:secret@")
    if issuer.misbehaves == "no-keys-address":
        del document["jwks_uri"]
    return document


def _key_set(issuer: Issuer) -> dict[str, Any]:
    keys = [key.published() for key in issuer.keys]
    if issuer.misbehaves == "no-keys":
        keys = []
    if issuer.misbehaves == "symmetric":
        keys = [{"kty": "oct", "kid": key["kid"], "k": encoded(b"k" * 32)} for key in keys]
    if issuer.misbehaves == "junk-keys":
        keys = [{"kid": key["kid"], "kty": "RSA", "n": 7, "e": None} for key in keys]
    return {"keys": issuer.extra_keys + keys}


def _hang(handler: Any, issuer: Issuer) -> None:
    issuer.closing.wait(30)
    handler.close_connection = True


def _endless(handler: Any, issuer: Issuer) -> None:
    """Send a byte now and then: no single wait is long, the whole has no end."""
    handler.send_response(200)
    handler.end_headers()
    while not issuer.closing.wait(0.2):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return


def _huge(handler: Any, issuer: Issuer) -> None:
    """Answer right and at once, but with 300 KB of space behind it."""
    document = _discovery(issuer) if handler.path == DISCOVERY else _key_set(issuer)
    handler.answer(json.dumps(document).encode() + b" " * 300 * 1024)


def _redirect(handler: Any, issuer: Issuer) -> None:
    handler.send_response(302)
    handler.send_header("Location", f"{issuer.url}/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _cut_off(handler: Any, issuer: Issuer) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"keys": [')
    handler.close_connection = True


ODDITIES: dict[str, Callable[[Any, Issuer], None]] = {
    "error": lambda handler, issuer: handler.send_error(500),
    "hang": _hang,
    "huge": _huge,
    "endless": _endless,
    "html": lambda handler, issuer: handler.answer(b"<html>Log in first</html>", "text/html"),
    "list": lambda handler, issuer: handler.answer([issuer.url]),
    "redirect": _redirect,
    "cut-off": _cut_off,
}


def main() -> None:
    """Serve until interrupted; print how to use it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--role", default="planner")
    parser.add_argument("--rep", help="external id of the rep, for the roles manager and rep")
    parser.add_argument("--hours", type=float, default=8)
    asked = parser.parse_args()
    with running_issuer(asked.port) as issuer:
        token = issuer.mint(
            asked.role, bailiwick_rep=asked.rep, exp=int(time.time() + asked.hours * 3600)
        )
        for name, value in issuer.settings().items():
            sys.stdout.write(f"export BAILIWICK_{name.upper()}={value}\n")
        sys.stdout.write(f"export TOKEN={token}\n")
        sys.stdout.write('# curl -H "Authorization: Bearer $TOKEN" localhost:8000/v1/customers\n')
        sys.stdout.flush()
        try:
            issuer.closing.wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
