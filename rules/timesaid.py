"""Times of the day in a text ("约的十一点半,现在下午两点了"), and how far apart the promised and the real one are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from rules.numerals import ENGLISH, NUMERAL, number

# Cheap: two things that may be times, or there is nothing to compare.
_LIKELY = re.compile(r"[\d一二两三四五六七八九十零]\s?[点时:]|[ap]\.?m\b|noon|half past|(?<=[a-z-] )\d|零点")
_DAY, _HALF_DAY = 24 * 60, 12 * 60
_MORNING = "凌晨|半夜|清晨|早上|早晨|今早|上午|一早|大早"
_LATER = "中午|下午|傍晚|晚上|今晚|昨晚|夜里|晚"
_BEFORE_HOUR = ("at", "by", "to", "and", "from", "for", "between", "slot", "until", "till")
_AFTER_WORD = "|".join(rf"(?<=\b{word} )" for word in _BEFORE_HOUR)
_THINGS = r"min|hour|day|yuan|item|piece|people|rmb|dollar|time|bag|box|of\b"
_TIME = re.compile(
    rf"(?P<part>{_MORNING}|{_LATER})?(?P<day>[零点])?"
    rf"(?:(?<![\d.:第])(?P<hour24>\d{{1,2}})[::](?P<minute24>\d{{2}})(?!\d)(?:\s?(?P<noon24>[ap])\.?m)?"
    rf"|(?<![\d.:第])(?P<hour>\d{{1,2}}|{NUMERAL})\s?[点时](?!心|击|评|菜|赞|外|个|名|间|候|长|代|常|点)"
    rf"(?:(?P<half>半)|(?P<quarter>[一三])刻|过?(?P<minute>\d{{1,2}}|{NUMERAL}|廿)分?(?!钟|多|[点时个小天份块元])|(?P<more>多|几))?"
    rf"|(?<![\w.:$¥£])(?P<hour_en>\d{{1,2}})(?:[:.](?P<minute_en>\d{{2}}))?\s?(?P<noon>[ap])\.?m\b"
    rf"|(?:{_AFTER_WORD})(?P<hour_bare>\d{{1,2}})(?![\d%.:/]|\s?(?:[-a-z]*(?:{_THINGS})|am\b|pm\b))"
    rf"|\b(?P<half_en>half past (?P<hour_half>\w+))|(?P<noon_en>\bnoon\b)|(?P<zero>零点))"
)
_RANGE = re.compile(r"^\s?(?:钟)?(?:到|至|-|~|—|–|--|——|and|to|till|until)+\s?(?:间|之间)?$")
_WAITED = re.compile(
    r"^[^,。!?]{0,8}?(?:等|催|拖|排|搞|滚|熬|耐心|盼|饿|耗|站|waited|waiting)"
    r"[^,。]{0,5}?(?:到|until|till|→)[^,。]{0,6}$"
)
_ARROW = re.compile(r"^\s?(?:→|->|=>|变|成)+\s?$")
_PROMISED = re.compile(
    r"约|预计|应|逾|的[^,。]{0,4}[饭餐单菜茶汤]|承诺|说好|讲好|说|写|保证|原定|原本|本来|定[好在的]|选的?|指定|要求|必达|前|"
    r"该到|就该|due|slot|promis|supposed|book|expected|was to be|for\b|scheduled|between"
)
_NOW = re.compile(
    r"^(?:多|左右|钟|分|半)?[到送来]|现在|而家|才|还没|仍|未|没|到了|到的|送来|送到|送的|实际|收到|拿到|至|敲门|按门铃|来人|来的|"
    r"签收|先到|了$|都|直|人来|到场|已|快|here it is|it's|it is|now|arriv|came|received|got|still|turned up|show|pm\b"
)
_ELSEWHERE = re.compile(
    r"退款|到账|客服[^,。]{0,6}回|回复|回电|审核|发票|营业|关门|打烊|refund|repl(?:y|ied)|call(?:ed)? back"
)
_CLAUSE = re.compile(r"[,。!?;、\n]|\.\s")


@dataclass(frozen=True)
class _Said:
    start: int
    end: int
    minutes: int
    sure: bool


def overdue(text: str) -> Iterator[timedelta]:
    """How long after the promised (else the ordering) time it is, or the delivery came, wherever a text says both."""
    if len(_LIKELY.findall(text)) < 2 or len(said := list(_times(text))) < 2:
        return
    base: _Said | None = None
    promised = False
    place = 0
    while place < len(said):
        each = said[place]
        following = said[place + 1] if place + 1 < len(said) else None
        between = text[each.end : following.start] if following else ""
        if following and (_WAITED.match(between) or _ARROW.match(between)):
            yield _between(each, following)
        if following and _RANGE.match(between):
            each = following
            place += 1
        before, after = _clause_of(text, each)
        says_promise = bool(_PROMISED.search(before) or _PROMISED.match(after.lstrip("钟")))
        says_now = bool(_NOW.search(before) or _NOW.search(after))
        if base is not None and says_now and not _ELSEWHERE.search(before + after):
            yield _between(base, each)
        if base is None or (says_promise and not promised):
            base, promised = each, says_promise
        place += 1


def _clause_of(text: str, said: _Said) -> tuple[str, str]:
    before = text[max(0, said.start - 14) : said.start]
    ends = [found.end() for found in _CLAUSE.finditer(before)]
    after = _CLAUSE.split(text[said.end : said.end + 16])
    follows = after[0] if after[0].strip("多钟分") or len(after) == 1 else after[1]
    return before[ends[-1] if ends else 0 :], follows


def _between(first: _Said, second: _Said) -> timedelta:
    """Of what both may mean (nine in the morning, nine at night) the shorter way; a little early is early."""
    starts = [first.minutes] if first.sure else [first.minutes % _HALF_DAY, first.minutes % _HALF_DAY + _HALF_DAY]
    ends = [second.minutes] if second.sure else [second.minutes % _HALF_DAY, second.minutes % _HALF_DAY + _HALF_DAY]
    ways = [(end - start + _HALF_DAY) % _DAY - _HALF_DAY for start in starts for end in ends]
    if first.sure and second.sure:
        ways = [(ways[0] + _DAY) % _DAY if ways[0] < -6 * 60 else ways[0]]
    return timedelta(minutes=min(ways, key=lambda way: (abs(way), -way)))


def _times(text: str) -> Iterator[_Said]:
    part = ""
    for found in _TIME.finditer(text):
        hour, minute = _clock(found)
        if _a_little(text, found):
            continue
        if hour is None or not 0 <= hour <= 24 or not 0 <= minute < 60:
            continue
        part = found["part"] or ""
        noon = found["noon"] or found["noon24"]
        sure = bool(part or noon or hour > 12 or hour == 0 or found["noon_en"] or found["zero"])
        if (noon == "p" or (part and re.fullmatch(_LATER, part))) and hour < 12:
            hour += 0 if part == "中午" and hour == 11 else 12
        elif noon == "a" and hour == 12:
            hour = 0
        if part in ("晚上", "半夜", "夜里") and hour == 24:
            hour = 0
        yield _Said(found.start(), found.end(), hour * 60 + minute, sure)


def _a_little(text: str, found: re.Match[str]) -> bool:
    """ "一点" is "one o'clock" only with something beside it."""
    alone = not (found["part"] or found["half"] or found["quarter"] or found["minute"])
    return alone and found["hour"] == "一" and text[found.end() : found.end() + 1] not in tuple("钟到多前的,")


def _clock(found: re.Match[str]) -> tuple[int | None, int]:
    if found["noon_en"]:
        return 12, 0
    if found["zero"]:
        return 0, 0
    if found["half_en"]:
        word = found["hour_half"]
        return (int(word) if word.isdigit() else ENGLISH.get(word)), 30
    if found["hour24"]:
        return int(found["hour24"]), int(found["minute24"])
    if found["hour_bare"]:
        return int(found["hour_bare"]), 0
    if found["hour_en"]:
        return int(found["hour_en"]), int(found["minute_en"] or 0)
    minute = 30 if found["half"] else 0
    if found["quarter"]:
        minute = 15 if found["quarter"] == "一" else 45
    if found["minute"]:
        minute = 20 if found["minute"] == "廿" else int(number(found["minute"]))
    if found["more"]:
        minute = 1
    return int(number(found["hour"])), minute
