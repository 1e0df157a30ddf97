"""Who asks: a key of ours or a token of Supabase, the clinic it belongs to, whether names are shown, how often it asks.

Routes get a `Reader` from here and know nothing of credentials.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import jwt
from fastapi import HTTPException, Request

from bn_aura_pipelines.api.connections import Connections
from bn_aura_pipelines.api.keys import PREFIX, SCOPES, hash_key
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import Settings

(PERSONAL,) = SCOPES
REMEMBERED_SECONDS = 10.0
"""How long a credential is taken as it was last seen: a revoked key ends within this time."""
REMEMBERED = 10_000
CLINIC_HEADER = "x-clinic-id"
LONGEST = 8_192


class AmbiguousIssuer(UserError):
    """Tokens are to be accepted, but it is not said whose."""


@dataclass(frozen=True)
class Reader:
    """Whoever asks. `name`: the key's prefix or the token's subject. Without `personal` names are masked. `user`: who
    the token was issued to, to whom nothing is shown that is addressed to somebody else; None for a key."""

    name: str
    clinic: UUID
    personal: bool
    user: UUID | None = None


@dataclass
class _Bucket:
    tokens: float
    at: float


class Access:
    """Credentials to readers, remembered for a few seconds, and a token bucket for each reader."""

    def __init__(self, connections: Connections, settings: Settings) -> None:
        self._connections = connections
        self._tokens = _Tokens(settings) if settings.jwt_secret or settings.jwt_jwks_url else None
        self._rate = settings.api_requests_per_second
        self._seen: dict[tuple[str, str | None], tuple[Reader, float]] = {}
        self._buckets: dict[str, _Bucket] = {}

    async def reader(self, request: Request) -> Reader:
        """Who asks, counted as a request. Raises HTTPException: 401 and 403 as `identify`, 429 when it asks more often
        than it may."""
        reader = await self.identify(request)
        self._take(reader.name)
        return reader

    async def identify(self, request: Request) -> Reader:
        """Who asks. Raises HTTPException: 401 without a credential that holds, 403 for another clinic than its own."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        wanted = request.headers.get(CLINIC_HEADER)
        entry = (credential, wanted)
        remembered = self._seen.get(entry)
        if remembered is None or remembered[1] < time.monotonic():
            if scheme.lower() != "bearer" or not 0 < len(credential) <= LONGEST:
                raise unauthorized()
            remembered = await self._look_up(credential, wanted)
            if len(self._seen) >= REMEMBERED:
                self._seen.clear()
            self._seen[entry] = remembered
        return remembered[0]

    async def _look_up(self, credential: str, wanted: str | None) -> tuple[Reader, float]:
        if credential.startswith(PREFIX):
            found = await self._connections.fetchrow(
                "select prefix, clinic_id, scopes, extract(epoch from expires_at - now())::float8 as seconds"
                " from aura_ops.api_key($1)",
                hash_key(credential),
            )
            if found is None:
                raise unauthorized()
            name, clinics, scopes, seconds = found["prefix"], [found["clinic_id"]], found["scopes"], found["seconds"]
            user = None
        elif self._tokens:
            name, clinics, scopes, seconds = await self._tokens.read(credential)
            user = _user(name)
        else:
            raise unauthorized()
        holds = REMEMBERED_SECONDS if seconds is None else min(REMEMBERED_SECONDS, seconds)
        return Reader(name, _choose(clinics, wanted), PERSONAL in scopes, user), time.monotonic() + holds

    def _take(self, name: str) -> None:
        """One request out of the reader's bucket, which holds twice what flows in each second."""
        now = time.monotonic()
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= REMEMBERED:
                self._buckets.clear()
            bucket = self._buckets[name] = _Bucket(2 * self._rate, now)
        bucket.tokens = min(2 * self._rate, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            seconds = max(1, round((1 - bucket.tokens) / self._rate))
            raise HTTPException(429, f"At most {self._rate:g} requests a second.", {"Retry-After": str(seconds)})
        bucket.tokens -= 1


class _Tokens:
    """JSON Web Tokens of one issuer, with the algorithms that its kind of key allows and no other."""

    def __init__(self, settings: Settings) -> None:
        if settings.jwt_secret and settings.jwt_jwks_url:
            raise AmbiguousIssuer("Set BN_AURA_JWT_JWKS_URL or BN_AURA_JWT_SECRET, not both.")
        if not settings.jwt_issuer:
            raise AmbiguousIssuer("Tokens need BN_AURA_JWT_ISSUER, for example https://PROJECT.supabase.co/auth/v1.")
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else ""
        self._keys = jwt.PyJWKClient(settings.jwt_jwks_url, timeout=5) if settings.jwt_jwks_url else None

    async def read(self, token: str) -> tuple[str, list[UUID], list[str], float]:
        """Subject, clinics, scopes and seconds left. Clinics and scopes come from `app_metadata`, which users cannot
        write; `user_metadata` is never read. Raises HTTPException 401, or ConnectionError when the keys cannot be
        fetched."""
        try:
            if self._keys:
                key = (await asyncio.to_thread(self._keys.get_signing_key_from_jwt, token)).key
                algorithms = ["ES256", "RS256"]
            else:
                key, algorithms = self._secret, ["HS256"]
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
            granted = claims.get("app_metadata") or {}
            clinics = [UUID(value) for value in [granted.get("clinic_id"), *granted.get("clinic_ids", [])] if value]
            scopes = [str(scope) for scope in granted.get("scopes", [])]
            return str(claims["sub"]), clinics, scopes, claims["exp"] - time.time()
        except jwt.PyJWKClientConnectionError as error:
            raise ConnectionError("the token's keys cannot be fetched") from error
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise unauthorized() from error


def _user(subject: str) -> UUID:
    """The user that a token's subject names; one that is no id is nobody whom anything is addressed to."""
    try:
        return UUID(subject)
    except ValueError:
        return UUID(int=0)


def _choose(clinics: list[UUID], wanted: str | None) -> UUID:
    """The clinic that the request is about: the only one, or the one named in X-Clinic-Id."""
    if not clinics:
        raise HTTPException(403, "This credential belongs to no clinic.")
    if wanted is None:
        if len(set(clinics)) > 1:
            raise HTTPException(422, "This credential belongs to several clinics: name one in X-Clinic-Id.")
        return clinics[0]
    for clinic in clinics:
        if str(clinic) == wanted.lower():
            return clinic
    raise HTTPException(403, "This credential does not belong to that clinic.")


def unauthorized() -> HTTPException:
    """The same words whatever was wrong with the credential."""
    return HTTPException(
        401, "This needs a key or token that holds: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
    )


@lru_cache(maxsize=2_000)
def fingerprint(reader: Reader) -> str:
    """What distinguishes the answers that readers get to the same question: clinic and scope."""
    return hashlib.sha256(f"{reader.clinic}{reader.personal}".encode()).hexdigest()[:12]
