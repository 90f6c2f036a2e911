"""How late a delivery is, as a customer says ("等了三个小时", "晚了两个半小时还没到", "3 hours late") or as we know."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

# A channel fact of a complaint that our own service made: milliseconds past the order's promised time.
ORDER_LATE = "order_late_ms"

_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12,
}  # fmt: skip
_CHINESE = dict(zip("零一二两三四五六七八九", (0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_AMOUNT = re.compile(
    r"(?P<more>超过|不止|多于|over |more than )?(?<![\d.:第])"
    rf"(?P<number>\d{{1,4}}(?:\.\d+)?|[一二两三四五六七八九十]{{1,3}}|半|\b(?:{'|'.join(_WORDS)})\b)"
    r"(?P<plus>\s?\+|多|几)?\s?个?(?P<half>半| and a half)?(?P<plus2>多|来)?\s?"
    r"(?P<unit>小时|钟头|天(?!无理由)|分钟|(?:hours?|hrs?|h|days?|minutes?|mins?)(?![a-z]))(?P<plus3>多|\+)?"
)
_ANY_UNIT = re.compile("小时|钟头|天|分钟|h|day|min")
_UNIT = {"小": 60, "钟": 60, "h": 60, "天": 1440, "d": 1440, "分": 1, "m": 1}
_LATE = re.compile(
    r"等|晚|迟|超时|逾期|延误|拖|过了|(?:没|未)有?(?:人|见|看到)?(?:送|到|收|来|配|发货|影|动静)|late|wait|delay|overdue|"
    r"past (?:the|its)|still (?:no|has|have|wait|did)|behind|not (?:here|arrived|delivered)|hasn't|haven't|"
    r"never (?:came|arrived)"
)
_ELSEWHERE = re.compile(
    r"退款|退钱|到账|客服|回复|审核|处理|发票|电话|refund|repl(?:y|ied)|respon|support|customer service|agent"
)
_PROMISED = re.compile(r"承诺|预计|预约|保证|说好|提前|promised|within")
_BEFORE, _AFTER = 10, 14
_CLAUSE_END = re.compile(r"[,。!?;、\n]|\.\s")


def known_lateness(channel_facts: Mapping[str, str]) -> timedelta | None:
    """How late the order is known to be; None where nobody but the customer says anything."""
    said = channel_facts.get(ORDER_LATE, "")
    return timedelta(milliseconds=int(said)) if said.isdecimal() else None


def lateness(normalised: str) -> timedelta | None:
    """The longest delay of a delivery a text (through `normalise`) speaks of, or None.

    "More than two hours" is read as a minute above two hours. Waiting for a refund, or for an answer, is no late
    delivery, and neither is a promised or booked time.
    """
    return max(_claims(normalised), default=None) if _ANY_UNIT.search(normalised) else None


def _claims(text: str) -> Iterator[timedelta]:
    for found in _AMOUNT.finditer(text):
        if found["number"] == "半" and found["unit"] == "天":
            continue  # "等了半天" only means "for ages"
        before = text[max(0, found.start() - _BEFORE) : found.start()]
        after = text[found.end() : found.end() + _AFTER]
        ends = [each.end() for each in _CLAUSE_END.finditer(before)]
        clause = before[ends[-1] if ends else 0 :]
        if _ELSEWHERE.search(clause) or _ELSEWHERE.search(_CLAUSE_END.split(after)[0]):
            continue
        promised = list(_PROMISED.finditer(clause))
        if promised and not _LATE.search(clause, promised[-1].end()):
            continue
        if _LATE.search(before) or _LATE.search(after):
            yield _duration(found)


def _duration(found: re.Match[str]) -> timedelta:
    number = _number(found["number"]) + (0.5 if found["half"] else 0)
    length = timedelta(minutes=number * _UNIT[found["unit"][0]])
    more = found["more"] or found["plus"] or found["plus2"] or found["plus3"]
    return length + timedelta(minutes=1) if more else length


def _number(text: str) -> float:
    if text == "半":
        return 0.5
    if text in _WORDS:
        return _WORDS[text]
    if text[0].isdigit():
        return float(text)
    if "十" in text:
        tens, _, ones = text.partition("十")
        return _CHINESE.get(tens, 1) * 10 + _CHINESE.get(ones, 0)
    return _CHINESE.get(text[-1], 0)
