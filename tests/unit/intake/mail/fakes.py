"""A mail desk on hand-written stand-ins."""

from dataclasses import dataclass, field

from common.errors import FieldProblem, Invalid, Unavailable
from services.intake.handlers import Intake
from services.intake.mail.handlers import MailDesk
from services.intake.mail.model import Envelope, Mail, Reason
from services.intake.mail.reading import read
from services.intake.model import Complaint
from tests.unit.intake.fakes import SECRETS, Bench, policies

OUR_ADDRESS = "complaint@xiaoxiang.example"
CUSTOMER = "zhangsan@qq.com"


@dataclass
class FakeImages:
    """Keeps pictures by id, each under a new one; `away`: doesn't answer."""

    kept: dict[str, bytes] = field(default_factory=dict)
    away: bool = False

    async def add(self, brand: str, channel: str, data: bytes) -> str:
        if self.away:
            raise Unavailable("pictures can't be kept at the moment")
        if not data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
            raise Invalid([FieldProblem("file", "must be a picture")])
        name = f"upload-{len(self.kept) + 1}"
        self.kept[name] = data
        return name


async def read_here(raw: bytes) -> Mail:
    """Reads a mail at once."""
    return read(raw)


class MailBench(Bench):
    """An intake with a mail desk. `another_desk()` is that of another instance of the installation."""

    def __init__(self) -> None:
        super().__init__()
        self.images = FakeImages()
        self.desk = self.desk_of(self.intake)

    def desk_of(self, intake: Intake) -> MailDesk:
        secret = SECRETS.customer_ref
        return MailDesk(intake, self.images, policies(), "default", secret, self.clock, read_here)

    def another_desk(self) -> MailDesk:
        return self.desk_of(self.instance())

    async def take(
        self, raw: bytes, *recipients: str, sender: str = CUSTOMER, desk: MailDesk | None = None
    ) -> Reason | None:
        """Hands in a mail as SMTP would; without recipients it is to the default brand."""
        desk = desk or self.desk
        to = recipients or (OUR_ADDRESS,)
        brands = tuple(dict.fromkeys(brand for each in to if (brand := desk.brand_of(each))))
        return await desk.take(Envelope(sender, to, brands), raw)

    def taken(self) -> Complaint:
        """The only complaint in the log."""
        (complaint,) = self.log.complaints
        return complaint
