"""What a mail says, read from its bytes. Decodes what can be decoded and never refuses a mail."""

from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass(frozen=True)
class Letter:
    sender: str
    subject: str
    text: str
    html: str


def read_letter(raw: bytes) -> Letter:
    """The letter's visible parts; a part that is missing is an empty text.

    >>> read_letter(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\\r\\n\\r\\nHello").subject
    'Grüße'
    """
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return Letter(
        sender=str(message.get("From", "")),
        subject=str(message.get("Subject", "")),
        text=_part(message, "plain"),
        html=_part(message, "html"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        text = content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # a charset nobody has heard of
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n")
