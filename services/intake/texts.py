"""What the customer reads on the progress page, per locale."""

from collections.abc import Mapping

from services.intake.model import LOCALES, Locale, PublicStatus

DEFAULT: Locale = "zh-CN"

_STATUS: Mapping[Locale, Mapping[PublicStatus, str]] = {
    "zh-CN": {"received": "已接收", "in_progress": "处理中", "resolved": "已解决", "closed": "已关闭"},
    "zh-TW": {"received": "已接收", "in_progress": "處理中", "resolved": "已解決", "closed": "已關閉"},
    "en": {"received": "Received", "in_progress": "In progress", "resolved": "Resolved", "closed": "Closed"},
}

_TIMELINE: Mapping[Locale, Mapping[str, str]] = {
    "zh-CN": {
        "received": "我们已收到您的投诉",
        "routed": "已转交负责部门",
        "assigned": "已有专人负责",
        "replied": "客服已回复",
        "message": "您补充了说明",
        "information_requested": "我们需要您补充信息",
        "resolved": "投诉已处理完毕",
        "closed": "投诉已关闭",
        "reopened": "投诉已重新打开",
        "compensation": "已为您办理补偿",
    },
    "zh-TW": {
        "received": "我們已收到您的投訴",
        "routed": "已轉交負責部門",
        "assigned": "已有專人負責",
        "replied": "客服已回覆",
        "message": "您補充了說明",
        "information_requested": "我們需要您補充資訊",
        "resolved": "投訴已處理完畢",
        "closed": "投訴已關閉",
        "reopened": "投訴已重新開啟",
        "compensation": "已為您辦理補償",
    },
    "en": {
        "received": "We have received your complaint",
        "routed": "Passed to the team in charge",
        "assigned": "A colleague is looking after it",
        "replied": "We have answered",
        "message": "You added something",
        "information_requested": "We need something from you",
        "resolved": "Your complaint has been handled",
        "closed": "Your complaint is closed",
        "reopened": "Your complaint is open again",
        "compensation": "You are being compensated",
    },
}


def status_text(status: PublicStatus, locale: Locale) -> str:
    """The word for a status (requirements, D: 已接收/处理中/已解决/已关闭)."""
    return _STATUS[locale][status]


def timeline_text(kind: str, locale: Locale) -> str:
    """The sentence for a kind of entry that has no words of its own."""
    return _TIMELINE[locale].get(kind, kind)


def locale_of(accept_language: str | None) -> Locale:
    """The best of ours for an Accept-Language header (RFC 9110, 12.5.4); Simplified Chinese where none fits."""
    ranked: list[tuple[float, int, Locale]] = []
    for position, part in enumerate((accept_language or "")[:500].split(",")):
        tag, *parameters = part.strip().split(";")
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.strip().partition("=")
            if name == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if weight > 0 and (locale := _locale(tag.strip().lower())):
            ranked.append((-weight, position, locale))
    return min(ranked)[2] if ranked else DEFAULT


def _locale(tag: str) -> Locale | None:
    exact = next((locale for locale in LOCALES if locale.lower() == tag), None)
    if exact:
        return exact
    if tag.startswith(("zh-hant", "zh-hk", "zh-mo", "zh-tw")):
        return "zh-TW"
    if tag == "zh" or tag.startswith("zh-"):
        return "zh-CN"
    return "en" if tag == "en" or tag.startswith("en-") else None
