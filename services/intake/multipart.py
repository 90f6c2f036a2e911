"""The one file of a multipart/form-data body, read by the standard library's mail parser, which knows MIME."""

from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser

from common.errors import FieldProblem, Invalid
from services.intake.problems import Unreadable

# What a form adds to its file.
OVERHEAD = 64 * 1024


def file_of(content_type: str, body: bytes) -> bytes:
    """The bytes of the only part with a file name.

    Raises Invalid where there is none or another one, Unreadable where it isn't multipart.
    """
    try:
        header = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
        form = BytesParser().parsebytes(header + body)
        # The names of parts and files play no part: a file is what has a file name.
        files = [part for part in _parts(form) if part.get_filename() is not None]
    except (MessageError, ValueError, LookupError, RecursionError, TypeError, AttributeError) as error:
        raise Unreadable(400, "invalid_multipart", "the body isn't multipart/form-data") from error
    if not form.is_multipart() or any("Boundary" in type(defect).__name__ for defect in form.defects):
        raise Unreadable(400, "invalid_multipart", "the body isn't multipart/form-data")
    if len(files) != 1:
        raise Invalid([FieldProblem("file", "is required" if not files else "must be one file")])
    content = files[0].get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _parts(form: Message) -> list[Message]:
    payload = form.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []
