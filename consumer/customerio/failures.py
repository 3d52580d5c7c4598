"""What went wrong on the way to the API, in words: true, and without what the other side sent."""

import ssl

import h11

_UNKNOWN_AUTHORITIES = {18, 19, 20, 21}  # OpenSSL's X509_V_ERR_*: of its own, or nobody's we know
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"}


def text_of(error: Exception) -> str:
    """Return what went wrong. OpenSSL's and h11's own texts have noise, or quotes, in them."""
    match error:
        case ssl.SSLError():
            return _of_tls(error)
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case h11.RemoteProtocolError():
            return _of_protocol(str(error).partition(":")[0])
        case _:
            return type(error).__name__


def _of_tls(error: ssl.SSLError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return _of_certificate(error)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return "the other side closed the connection in the midst of TLS"
        case ssl.SSLError(reason=reason) if reason in _NO_TLS:
            return "the other side does not speak TLS"
        case ssl.SSLError(reason=str(reason)) if "BIO" not in reason:
            return f"TLS failed ({reason.lower().replace('_', ' ')})"
        case _:
            return "TLS failed"


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _UNKNOWN_AUTHORITIES:
        return f"its certificate is of an unknown authority ({error.verify_message})"
    return f"its certificate is not accepted ({error.verify_message.rstrip('.')})"


def _of_protocol(text: str) -> str:
    """Return h11's text, if it says what it means; what is no HTTP at all is called so."""
    if text.startswith("can't handle event type ConnectionClosed"):
        return "Server disconnected without sending a response."
    return text if text.startswith("peer ") else f"the answer is no HTTP ({text})"
