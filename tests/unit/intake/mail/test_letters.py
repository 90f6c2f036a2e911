"""Each mail of `letters` becomes what it should."""

import pytest

from services.intake.mail.policy import own_addresses, submission_of, ticket_named
from services.intake.mail.reading import read
from services.intake.mail.robots import reason_not_to_open
from tests.unit.intake.fakes import SECRETS, policies
from tests.unit.intake.mail.letters import LETTERS, Letter

SENDER = "zhangsan@qq.com"
OWN = own_addresses(policies(), ["complaint@xiaoxiang.example"])


@pytest.mark.parametrize("letter", LETTERS, ids=lambda letter: letter.name)
def test_a_letter_becomes_what_it_should(letter: Letter) -> None:
    mail = read(letter.raw)
    assert reason_not_to_open(mail, False, OWN, bool(ticket_named(mail))) == letter.reason
    if letter.reason is not None:
        return
    submission = submission_of(mail, SENDER, policies()["default"], SECRETS.customer_ref)
    facts = dict(letter.facts)
    if facts.pop("no_controls", False):
        assert submission.description.encode().decode().isprintable()
        assert submission.description.startswith("牛奶坏了")
    else:
        assert submission.description == letter.words
    assert submission.contact == SENDER
    assert submission.channel == "mail"
    if "locale" in facts:
        assert submission.locale == facts.pop("locale")
    if "images" in facts:
        assert tuple(image.content for image in mail.images) == facts.pop("images")
    else:
        assert mail.images == ()
    assert mail.others == facts.pop("others", ())
    assert not facts
