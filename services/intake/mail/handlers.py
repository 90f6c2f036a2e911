"""What is done with a mail: read it, decide, keep its pictures, acknowledge the complaint."""

from collections.abc import Awaitable, Callable, Mapping

from common.clock import Clock
from common.errors import Invalid
from rules.model import PolicySet
from services.intake.mail import policy
from services.intake.mail.model import Envelope, Mail, Reason
from services.intake.mail.ports import Complaints, ImageStore
from services.intake.mail.repeats import Repeats
from services.intake.mail.robots import reason_not_to_open
from services.intake.model import Submission
from services.intake.policy import fingerprint

CHANNEL = "mail"
# Of pictures that turn out to be none.
MAX_TRIED = 10

# Reads a mail's bytes; not on the event loop, for a large one takes a second.
ReadMail = Callable[[bytes], Awaitable[Mail]]


class MailDesk:
    """Takes mails; one per process."""

    def __init__(
        self,
        complaints: Complaints,
        images: ImageStore,
        policies: Mapping[str, PolicySet],
        default_brand: str,
        secret: bytes,
        clock: Clock,
        read: ReadMail,
    ) -> None:
        self._complaints = complaints
        self._images = images
        self._policies = policies
        self._default = default_brand
        self._secret = secret
        self._clock = clock
        self._read = read
        self._repeats = Repeats()

    def brand_of(self, address: str) -> str | None:
        """The brand whose mailbox it is, None if it is nobody's."""
        return policy.brand_of(address, self._policies, self._default)

    async def take(self, envelope: Envelope, raw: bytes) -> Reason | None:
        """The mail is dealt with when this returns: None when its complaint is in the log (one for each brand it was
        sent to), else why it opens no ticket.

        The same mail again is the same complaint, from any instance. Raises Unavailable where a retry is needed.
        """
        mail = await self._read(raw)
        own = policy.own_addresses(self._policies, envelope.recipients)
        reason = reason_not_to_open(mail, not envelope.sender, own, bool(policy.ticket_named(mail)))
        for brand in envelope.brands if reason is None else ():
            submission = policy.submission_of(mail, envelope.sender, self._policies[brand], self._secret)
            reason = await self._submit(submission, mail)
            if reason is not None:
                break
        return reason

    async def _submit(self, submission: Submission, mail: Mail) -> Reason | None:
        # Ids of pictures differ from try to try: what makes the mail itself are their bytes.
        said = policy.print_of_content(self._secret, mail)
        sent = fingerprint(self._secret, policy.alike(submission, said))
        words = fingerprint(self._secret, policy.words_only(submission, said))
        if self._repeats.too_often(words, sent, self._clock.monotonic()):
            return "loop"
        images, refused = await self._keep_images(submission.brand, mail)
        complaint = policy.complete(submission, images, refused, mail)
        if complaint is None:
            return "empty"
        await self._complaints.submit(complaint, CHANNEL, f"mail-{sent}", fingerprint=sent)
        return None

    async def _keep_images(self, brand: str, mail: Mail) -> tuple[list[str], list[str]]:
        """The ids of the first three pictures, and the names of what isn't taken."""
        kept: list[str] = []
        refused: list[str] = []
        for tried, image in enumerate(mail.images):
            if len(kept) == policy.MAX_IMAGES or tried == MAX_TRIED:
                refused.append(image.name)
                continue
            try:
                kept.append(await self._images.add(brand, CHANNEL, image.content))
            except Invalid:
                refused.append(image.name)
        return kept, refused
