"""Bearer tokens: made of 256 random bits, kept as a hash, each with a role."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from monitor.config.settings import TokenConfig


class Role(StrEnum):
    """What a caller may do."""

    READ = "read"  # look: metrics, batches, versions, the journal
    INGEST = "ingest"  # deliver batches and labels, and nothing else
    OPERATE = "operate"  # everything

    def may(self, needed: Role) -> bool:
        return self in (needed, Role.OPERATE)


@dataclass(frozen=True, slots=True)
class Caller:
    name: str
    role: Role


def new_token() -> str:
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """SHA-256, as `http.tokens.sha256` has it. Nothing slower is needed: a token is not guessed as a password is."""
    return sha256(token.encode()).hexdigest()


def who_calls(authorization: str, tokens: Sequence[TokenConfig]) -> Caller | None:
    """The owner of the bearer token in this header; every hash is compared, each in constant time."""
    scheme, _, given = authorization.partition(" ")
    digest = hash_token(given.strip())
    matches = [token for token in tokens if hmac.compare_digest(digest, token.sha256)]
    if scheme.lower() != "bearer" or not matches:
        return None
    return Caller(matches[0].name, Role(matches[0].role))
