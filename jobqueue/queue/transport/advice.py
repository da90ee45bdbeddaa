"""What an operator can do about a connection that Redis or TLS refuses."""

from __future__ import annotations

import redis

from jobqueue.queue.transport.answers import code_of

ADVICE = {
    # Errors of Redis
    "NOAUTH": "Redis asks for a login: set REDIS_PASSWORD, or put user and password into REDIS_URL",
    "WRONGPASS": "check REDIS_USERNAME and REDIS_PASSWORD, or the login in REDIS_URL",
    "NOPERM": "give the user the rights in docs/redis.acl",
    "without any password configured": "Redis has no such login: take it out of REDIS_URL and REDIS_PASSWORD",
    # Errors of OpenSSL
    "Hostname mismatch": "the certificate of Redis is for another name: use one of its names in REDIS_URL",
    "IP address mismatch": "the certificate of Redis is not for this address: use one of its names in REDIS_URL",
    "certificate has expired": "renew the certificate of Redis",
    "certificate is not yet valid": "check the clocks of both machines, and the certificate of Redis",
    "certificate verify failed": "name the authority that signed the certificate of Redis in REDIS_CA_FILE",
    "certificate required": "Redis asks for a certificate: add ssl_certfile and ssl_keyfile to REDIS_URL",
    "EOF occurred in violation of protocol": "Redis has ended the TLS connection: it may ask for a certificate, which "
    "ssl_certfile and ssl_keyfile in REDIS_URL name",
    "WRONG_VERSION_NUMBER": "this port of Redis speaks no TLS: use its TLS port, or redis:// in REDIS_URL",
    "record layer failure": "this port of Redis speaks no TLS: use its TLS port, or redis:// in REDIS_URL",
}
"""By a part of the error's text. The first that matches counts."""


def advised(error: redis.RedisError) -> str:
    """Return the code and the text of an error, and what to do about it if that is known."""
    code, text = code_of(error), str(error)
    text = text if text.startswith(code) else f"{code} {text}"
    advice = next((advice for part, advice in ADVICE.items() if part in text), "")
    return f"{text.rstrip('.')}. {advice[:1].upper()}{advice[1:]}." if advice else text
