"""Call an agency's REST service with JSON answers: the base of REST adapters."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from urllib.parse import quote, quote_plus, urlencode

from bus.core.errors import (
    AccountRefused,
    RecipientHttpRefused,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.http.client import (
    ACCOUNT_STATUSES,
    AgencyHttp,
    AgencyReply,
    AgencyRequest,
    AttachmentBody,
    agency_address,
    check_status,
    public_message,
)
from bus.runtime.deadline import Deadline
from signing.attachments import Attachment

JsonObject = Mapping[str, object]

TOKEN_LIFE_SECONDS_DEFAULT = 300.0
"""How long a token is used whose reply tells no expires_in (RFC 6749 §5.1 lets it)."""
TOKEN_MARGIN_SECONDS = 10.0
"""A token is not used in its last seconds: it would expire on its way."""

_MEANING = frozenset({"content-encoding", "content-language"})


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """An OAuth2 account of ours at an agency, RFC 6749 §4.4."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _AccessToken:
    text: str = field(repr=False)
    monotonic_seconds_end: float


class TokenSource:
    """Hand out a bearer token, fetched when there is none or it ends; shared by all threads."""

    def __init__(self, credentials: ClientCredentials, http: AgencyHttp) -> None:
        self._credentials = credentials
        self._http = http
        self._token: _AccessToken | None = None  # guarded by _lock
        self._lock = threading.Lock()

    def token(self, deadline: Deadline) -> str:
        """A token that holds. Raises AccountRefused: the endpoint says no; RecipientUnavailable,
        RecipientTimeout."""
        # The others wait for one fetch rather than make their own, each within its own time.
        if not self._lock.acquire(timeout=deadline.remaining_seconds()):
            raise RecipientTimeout("no token in time")
        try:
            if self._token is None or self._token.monotonic_seconds_end <= time.monotonic():
                self._token = self._fetch(deadline)
            return self._token.text
        finally:
            self._lock.release()

    def discard(self, text: str) -> None:
        """Forget a token that the agency did not take, unless another took its place already."""
        with self._lock:
            if self._token is not None and self._token.text == text:
                self._token = None

    def _fetch(self, deadline: Deadline) -> _AccessToken:
        account = self._credentials
        # RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
        pair = f"{quote_plus(account.client_id)}:{quote_plus(account.client_secret)}"
        reply = self._http.send(
            AgencyRequest(
                "POST",
                account.token_url,
                headers={
                    "Authorization": f"Basic {b64encode(pair.encode()).decode('ascii')}",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Accept": "application/json",
                },
                body=urlencode({"grant_type": "client_credentials"}).encode("ascii"),
            ),
            deadline,
        )
        try:
            check_status(reply.status)
        except RecipientHttpRefused as error:
            # Nothing of a sender's request went there: it is our account, or its address.
            raise AccountRefused(f"the token endpoint: {error.detail}") from error
        answer = read_json_object(reply)
        if "error" in answer:  # RFC 6749 §5.2, of an endpoint that says 200 to everybody
            raise AccountRefused("the token endpoint answered with an error")
        text = answer.get("access_token")
        if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable():
            raise RecipientUnavailable("the token endpoint gave no access_token")
        life = answer.get("expires_in", TOKEN_LIFE_SECONDS_DEFAULT)
        if not isinstance(life, (int, float, Decimal)):
            raise RecipientUnavailable("the token endpoint gave no number as expires_in")
        return _AccessToken(text, time.monotonic() + float(life) - TOKEN_MARGIN_SECONDS)


class RestAgency:
    """One REST service of an agency, called from several threads."""

    def __init__(self, *, base_url: str, credentials: ClientCredentials, http: AgencyHttp) -> None:
        """Raises SettingRefused if one of the addresses is none."""
        agency_address(credentials.token_url)
        self._base_url = agency_address(base_url).rstrip("/")
        self._tokens = TokenSource(credentials, http)
        self._http = http

    def get(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> JsonObject:
        """GET a resource; give the JSON object of its answer, numbers as int or Decimal.

        Raises RecipientRefused (4xx), AccountRefused (401, 403, 407, or no token is given),
        RecipientUnavailable (5xx, no JSON object, too large), RecipientTimeout.
        """
        request = AgencyRequest("GET", self._url(path), headers=headers, query=query)
        return self._exchange(request, deadline)

    def post(
        self,
        path: str,
        query: Mapping[str, str],
        content: Attachment,
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> JsonObject:
        """POST an attachment's content, piece by piece; give the JSON object of the answer.

        Headers that say what the content's bytes mean go along. Raises what `get` raises.
        """
        request = AgencyRequest(
            "POST",
            self._url(path),
            headers={**headers, "Content-Type": content.media_type, **_meaning(content)},
            query=query,
            body=AttachmentBody(content),
        )
        return self._exchange(request, deadline)

    def _url(self, path: str) -> str:
        return f"{self._base_url}/{quote(path)}"

    def _exchange(self, request: AgencyRequest, deadline: Deadline) -> JsonObject:
        token = self._tokens.token(deadline)
        reply = self._send(request, token, deadline)
        if reply.status in ACCOUNT_STATUSES:
            # The agency may end a token before its time; once, a fresh one is tried.
            self._tokens.discard(token)
            token = self._tokens.token(deadline)
            reply = self._send(request, token, deadline)
        if reply.status in ACCOUNT_STATUSES:
            # Once the account is repaired, a token of before may still not be.
            self._tokens.discard(token)
        check_status(reply.status)
        return read_json_object(reply)

    def _send(self, request: AgencyRequest, token: str, deadline: Deadline) -> AgencyReply:
        ours = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return self._http.send(replace(request, headers={**request.headers, **ours}), deadline)


def _meaning(content: Attachment) -> dict[str, str]:
    """What an attachment's headers say of its bytes besides their type. RFC 9110 §8.4, §8.5."""
    return {name: value for name, value in content.headers if name.lower() in _MEANING}


def read_json_object(reply: AgencyReply) -> JsonObject:
    """The JSON object that a reply is; raise RecipientUnavailable if it is none."""
    try:
        value = json.loads(reply.body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecipientUnavailable(f"no JSON in {len(reply.body)} bytes") from error
    if not isinstance(value, dict):
        raise RecipientUnavailable("the JSON is no object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def refuse(message: str) -> RecipientRefused:
    """The error for an agency that answered properly that it will not: its words are handed on."""
    return RecipientRefused("refused in the answer", public_detail=public_message(message))
