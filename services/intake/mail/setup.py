"""Puts the mail channel together."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from common.clock import Clock
from rules.model import PolicySet
from services.intake.mail.handlers import MailDesk
from services.intake.mail.model import Mail
from services.intake.mail.ports import Complaints
from services.intake.mail.reading import read
from services.intake.mail.server import SmtpServer, tls_context
from services.intake.settings import IntakeSettings
from services.intake.uploads import Uploads

# A large mail takes a second to read and a few times its size in memory.
AT_ONCE = 2


class UploadedImages:
    """Pictures of mails among the uploads; keeps `services.intake.mail.ports.ImageStore`."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def add(self, brand: str, channel: str, data: bytes) -> str:
        async with self._uploads.place():
            return await self._uploads.take(data, channel)


def mail_desk(
    settings: IntakeSettings,
    complaints: Complaints,
    uploads: Uploads,
    policies: Mapping[str, PolicySet],
    secret: bytes,
    clock: Clock,
) -> MailDesk:
    """A desk that reads mails beside the event loop."""
    readers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mail")

    async def read_beside(raw: bytes) -> Mail:
        return await asyncio.get_running_loop().run_in_executor(readers, read, raw)

    return MailDesk(complaints, UploadedImages(uploads), policies, settings.default_brand, secret, clock, read_beside)


def smtp_server(settings: IntakeSettings, desk: MailDesk, clock: Clock) -> SmtpServer:
    """The server the settings ask for. Raises ValueError where its certificate can't be used."""
    certificate, key = settings.intake_smtp_certificate, settings.intake_smtp_key
    if (certificate is None) != (key is None):
        raise ValueError("PINGXI_INTAKE_SMTP_CERTIFICATE and PINGXI_INTAKE_SMTP_KEY go together")
    tls = tls_context(str(certificate), str(key)) if certificate and key else None
    return SmtpServer(
        settings.intake_smtp,
        desk,
        clock,
        settings.intake_smtp_name,
        settings.intake_smtp_bytes,
        settings.intake_smtp_connections,
        tls,
    )
