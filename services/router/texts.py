"""What Pingxi itself tells customers about their tickets, in their language. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

from rules.model import Promise

_REMINDER = {
    "zh-CN": "我们还在等您的回复,以便继续处理您的投诉。",
    "zh-TW": "我們還在等您的回覆,以便繼續處理您的投訴。",
    "en": "We are still waiting for your answer to go on with your complaint.",
}
_CLOSES = {
    "zh-CN": "若没有收到您的消息,投诉将于{by}按“未回复”关闭。",
    "zh-TW": "若沒有收到您的訊息,投訴將於{by}按「未回覆」關閉。",
    "en": " Without one it will be closed on {by}.",
}
_PROMISE = {
    "zh-CN": "很抱歉,您的投诉需要更多时间:{parts}。感谢您的耐心。",
    "zh-TW": "很抱歉,您的投訴需要更多時間:{parts}。感謝您的耐心。",
    "en": "We are sorry, your complaint needs more time: {parts}. Thank you for your patience.",
}
_ANSWER = {"zh-CN": "我们将在{by}前答复您", "zh-TW": "我們將在{by}前答覆您", "en": "we will answer by {by}"}
_RESOLVE = {"zh-CN": "在{by}前解决", "zh-TW": "在{by}前解決", "en": "and resolve it by {by}"}
_JOIN = {"zh-CN": ",", "zh-TW": ",", "en": " "}
_MERGED = "{merged} → {into}"


def reminder(locale: str, time_zone: str, by: datetime | None) -> str:
    """To a customer whose answer is waited for; `by`: when the ticket closes without one, None where it doesn't."""
    closes = "" if by is None else _in(_CLOSES, locale).format(by=_local(by, time_zone))
    return _in(_REMINDER, locale) + closes


def loosened(locale: str, time_zone: str, promise: Promise, answered: bool) -> str:
    """A supervisor moved the promise: the new one, in full."""
    parts = []
    if promise.first_response_by is not None and not answered:
        parts.append(_in(_ANSWER, locale).format(by=_local(promise.first_response_by, time_zone)))
    if promise.resolve_by is not None:
        parts.append(_in(_RESOLVE, locale).format(by=_local(promise.resolve_by, time_zone)))
    return _in(_PROMISE, locale).format(parts=_in(_JOIN, locale).join(parts))


def merged_note(merged: str, into: str) -> str:
    """The note of a merging; for colleagues, in numbers."""
    return _MERGED.format(merged=merged, into=into)


def _in(texts: dict[str, str], locale: str) -> str:
    if locale.startswith("zh"):
        return texts["zh-TW" if locale in ("zh-TW", "zh-HK", "zh-MO", "zh-Hant") else "zh-CN"]
    return texts["en" if locale else "zh-CN"]


def _local(instant: datetime, time_zone: str) -> str:
    return instant.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M")
