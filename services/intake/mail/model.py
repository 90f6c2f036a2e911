"""What the mail channel deals with, frozen. Texts are valid Unicode without control characters but tab and line end."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

# Why a mail opens no ticket; labels of `pingxi_complaints_rejected_total`.
Reason = Literal["auto_reply", "bounce", "list", "loop", "empty"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail. `name` is as the sender wrote it, cleaned and cut; empty where it has none."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it was read, whatever its form: no field is ever missing, empty is "not given".

    `headers`: (name in lower case, raw value) in order, bounded. `text`: all that was written, quotes and signature
    included; `written`: what the sender himself wrote. `images`: claimed or recognised to be pictures, attachments
    before inline ones; `others`: names of what isn't taken. `cut`: part of it was beyond the bounds and isn't read.
    """

    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "text/plain"
    subject: str = ""
    sender: str = ""
    reply_to: str = ""
    message_id: str = ""
    references: tuple[str, ...] = ()
    sent_at: datetime | None = None
    text: str = ""
    written: str = ""
    images: tuple[Attachment, ...] = field(default=())
    others: tuple[str, ...] = ()
    cut: bool = False

    def header(self, name: str) -> str:
        """The first value of that header (`name` in lower case), empty if there is none."""
        return next((value for each, value in self.headers if each == name), "")

    def has(self, name: str) -> bool:
        """Whether there is such a header, empty or not."""
        return any(each == name for each, _ in self.headers)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What SMTP said: `sender` is empty for the null sender `<>`; `brands` are those of the recipients."""

    sender: str
    recipients: tuple[str, ...]
    brands: tuple[str, ...]
