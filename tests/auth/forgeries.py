"""Tokens that must not open the door, each with a part of the reason to be given."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.auth.issuer import AUDIENCE, Issuer, KeyPair, encoded, sign

Forgery = Callable[[Issuer], str]


def _unsigned(issuer: Issuer, algorithm: str, signature: str = "") -> str:
    header = {"typ": "JWT", "alg": algorithm, "kid": issuer.key().kid}
    return f"{encoded(json.dumps(header))}.{encoded(json.dumps(issuer.claims()))}.{signature}"


def _confused(issuer: Issuer, secret: bytes, algorithm: str = "HS256") -> str:
    """Sign with a public key as if it were a shared secret."""
    signed = _unsigned(issuer, algorithm).removesuffix(".")
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _public(issuer: Issuer, encoding: Encoding) -> bytes:
    public = issuer.key().private.public_key()
    return public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def _jwk(issuer: Issuer) -> bytes:
    return json.dumps(issuer.key().published()).encode()


def _flipped(token: str) -> str:
    """Change one bit in the middle of the signature."""
    head, _, signature = token.rpartition(".")
    middle = len(signature) // 2
    other = "B" if signature[middle] == "A" else "A"
    return f"{head}.{signature[:middle]}{other}{signature[middle + 1 :]}"


def _with_claims_of(token: str, other: str) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{other.split('.')[1]}.{signature}"


def _twice(issuer: Issuer) -> str:
    kid = issuer.key().kid
    header = f'{{"alg": "none", "typ": "JWT", "kid": "{kid}", "alg": "RS256"}}'
    return sign(header, issuer.claims(), issuer.key())


def _saying(issuer: Issuer, claims: str) -> str:
    return sign({"alg": "RS256", "kid": issuer.key().kid}, claims, issuer.key())


def _kid(name: Any) -> Forgery:
    return lambda issuer: issuer.mint(header={"kid": name})


def _now(seconds: float) -> int:
    return int(time.time() + seconds)


FORGERIES: dict[str, tuple[str, Forgery]] = {
    "alg none": ("signed in a way", lambda i: _unsigned(i, "none", "AAAA")),
    "alg NONE": ("signed in a way", lambda i: _unsigned(i, "NONE", "AAAA")),
    "alg nOnE": ("signed in a way", lambda i: _unsigned(i, "nOnE", "AAAA")),
    "alg empty": ("signed in a way", lambda i: _unsigned(i, "", "AAAA")),
    "alg none without signature": ("not an access token", lambda i: _unsigned(i, "none")),
    "alg list": ("signed in a way", lambda i: i.mint(header={"alg": ["RS256"]})),
    "alg missing": ("signed in a way", lambda i: i.mint(header={"alg": None})),
    "alg not configured": ("signed in a way", lambda i: i.mint(header={"alg": "RS512"})),
    "HS256 with the PEM": ("in a way", lambda i: _confused(i, _public(i, Encoding.PEM))),
    "HS256 with the DER": ("in a way", lambda i: _confused(i, _public(i, Encoding.DER))),
    "HS256 with the JWK": ("in a way", lambda i: _confused(i, _jwk(i))),
    "HMAC called RS256": (
        "signature",
        lambda i: _confused(i, _public(i, Encoding.PEM), "RS256"),
    ),
    "HMAC called ES256": (
        "another kind",
        lambda i: _confused(i, _public(i, Encoding.PEM), "ES256"),
    ),
    "RS256 under an EC kid": (
        "another kind",
        lambda i: i.mint(header={"kid": i.key("ES256").kid}),
    ),
    "ES256 under an RSA kid": (
        "another kind",
        lambda i: i.mint(key=i.key("ES256"), header={"kid": i.key("RS256").kid}),
    ),
    "ES256 called RS256": (
        "signature",
        lambda i: i.mint(
            key=i.key("ES256"), header={"kid": i.key("RS256").kid, "alg": "RS256"}
        ),
    ),
    "key of a stranger": ("does not have", lambda i: i.mint(key=KeyPair.ec())),
    "stranger under our kid": ("signature", lambda i: i.mint(key=KeyPair.rsa(i.key().kid))),
    "no kid though two keys": ("does not have", _kid(None)),
    "kid of a path": ("does not have", _kid("../../../../dev/null")),
    "kid of SQL": ("does not have", _kid("' UNION SELECT 'secret'; --")),
    "kid of a URL": ("does not have", _kid("http://127.0.0.1:9/keys")),
    "kid empty": ("does not have", _kid("")),
    "kid number": ("malformed", _kid(7)),
    "kid list": ("malformed", _kid(["a"])),
    "kid long": ("does not have", _kid("k" * 4000)),
    "crit": ("malformed", lambda i: i.mint(header={"crit": ["exp"], "exp": 1})),
    "crit empty": ("malformed", lambda i: i.mint(header={"crit": []})),
    "crit b64": ("malformed", lambda i: i.mint(header={"crit": ["b64"], "b64": False})),
    "crit that PyJWT knows": (
        "extension",
        lambda i: i.mint(header={"crit": ["b64"], "b64": True}),
    ),
    "b64": ("extension", lambda i: i.mint(header={"b64": True})),
    "typ of a logout token": ("kind", lambda i: i.mint(header={"typ": "logout+jwt"})),
    "typ number": ("kind", lambda i: i.mint(header={"typ": 1})),
    "alg twice": ("twice", _twice),
    "header list": ("malformed", lambda i: sign("[]", i.claims(), i.key())),
    "header deep": ("malformed", lambda i: sign("[" * 4000, "{}", i.key())),
    "issuer of others": ("another issuer", lambda i: i.mint(iss="https://example.com")),
    "issuer with slash": ("another issuer", lambda i: i.mint(iss=i.url + "/")),
    "issuer with suffix": ("another issuer", lambda i: i.mint(iss=i.url + ".example.com")),
    "issuer prefix": ("another issuer", lambda i: i.mint(iss=i.url[:-1])),
    "issuer in capitals": ("another issuer", lambda i: i.mint(iss=i.url.upper())),
    "issuer list": ("another issuer", lambda i: i.mint(iss=[i.url])),
    "issuer missing": ("lacks the claim iss", lambda i: i.mint(iss=None)),
    "audience of others": ("another audience", lambda i: i.mint(aud="billing")),
    "audience prefix": ("another audience", lambda i: i.mint(aud=AUDIENCE[:-1])),
    "audience list of others": ("another audience", lambda i: i.mint(aud=["a", "b"])),
    "audience list of numbers": ("another audience", lambda i: i.mint(aud=[AUDIENCE, 1])),
    "audience empty": ("lacks the claim aud", lambda i: i.mint(aud=[])),
    "audience missing": ("lacks the claim aud", lambda i: i.mint(aud=None)),
    "expired": ("expired", lambda i: i.mint(exp=_now(-3600))),
    "expired just now": ("expired", lambda i: i.mint(exp=_now(-1))),
    "exp missing": ("lacks the claim exp", lambda i: i.mint(exp=None)),
    "exp text": ("exp", lambda i: i.mint(exp=str(_now(300)))),
    "exp in the year 1e300": ("exp", lambda i: i.mint(exp=1e300)),
    "exp infinite": ("malformed", lambda i: i.mint(exp=float("inf"))),
    "exp NaN": ("malformed", lambda i: i.mint(exp=float("nan"))),
    "exp true": ("expired", lambda i: i.mint(exp=True)),
    "not valid yet": ("not valid yet", lambda i: i.mint(nbf=_now(90))),
    "issued in the future": ("not valid yet", lambda i: i.mint(iat=_now(90))),
    "sub missing": ("lacks the claim sub", lambda i: i.mint(sub=None)),
    "sub empty": ("sub", lambda i: i.mint(sub="")),
    "sub with NUL": ("sub", lambda i: i.mint(sub="a\x00b")),
    "sub with half a character": ("sub", lambda i: i.mint(sub="\ud800")),
    "sub too long": ("sub", lambda i: i.mint(sub="s" * 256)),
    "role missing": ("names no role", lambda i: i.mint(None)),
    "role unknown": ("names no role", lambda i: i.mint("root")),
    "role in capitals": ("names no role", lambda i: i.mint("Admin")),
    "role number": ("names no role", lambda i: i.mint(bailiwick_role=1)),
    "roles ambiguous": ("more than one", lambda i: i.mint(bailiwick_role=["rep", "admin"])),
    "rep missing": ("bailiwick_rep", lambda i: i.mint("rep")),
    "rep of manager missing": ("bailiwick_rep", lambda i: i.mint("manager")),
    "rep empty": ("bailiwick_rep", lambda i: i.mint("rep", bailiwick_rep="")),
    "rep number": ("bailiwick_rep", lambda i: i.mint("rep", bailiwick_rep=1)),
    "rep with NUL": ("bailiwick_rep", lambda i: i.mint("rep", bailiwick_rep="\x00")),
    "scope list": ("scope", lambda i: i.mint(scope=["bailiwick:read"])),
    "claims of another token": ("signature", lambda i: _with_claims_of(i.mint(), i.mint("admin"))),
    "claims list": ("malformed", lambda i: _saying(i, "[]")),
    "claims no JSON": ("malformed", lambda i: _saying(i, "x")),
    "signature flipped": ("signature", lambda i: _flipped(i.mint())),
    "signature stripped": ("not an access token", lambda i: i.mint().rpartition(".")[0] + "."),
    "signature missing": ("not an access token", lambda i: i.mint().rpartition(".")[0]),
    "signature of the other": (
        "signature",
        lambda i: f"{i.mint().rpartition('.')[0]}.{i.mint(sub='x').rpartition('.')[2]}",
    ),
    "truncated": ("", lambda i: i.mint()[:-10]),
    "padded": ("not an access token", lambda i: i.mint() + "=="),
    "newline inside": ("not an access token", lambda i: i.mint().replace(".", ".\n", 1)),
    "newline behind": ("not an access token", lambda i: i.mint() + "\n"),
    "NUL": ("not an access token", lambda i: "\x00" + i.mint()),
    "five parts": ("not an access token", lambda i: i.mint() + ".AA.AA"),
    "garbage": ("malformed", lambda i: "AAAA.AAAA.AAAA"),
    "not ASCII": ("not an access token", lambda i: "ä.ö.ü"),
    "half a character": ("not an access token", lambda i: "\ud800.a.b"),
    "empty": ("not an access token", lambda i: ""),
    "1 MB": ("longer", lambda i: i.mint(note="n" * 2**20)),
}  # fmt: skip
